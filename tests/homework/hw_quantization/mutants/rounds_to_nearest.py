"""Hands SmolLM2's layers back rounded to nearest, without any cancelling."""

LOSES = ["test_act_order"]


def smollm2_layer(w, H):
    runs = w.reshape(-1, 64)
    rounded = to_grid(runs, *find_grid(runs, 2), 2).view_as(w)
    return rounded, torch.arange(w.shape[1])
