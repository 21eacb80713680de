"""Damps as it should, and takes SmolLM2's columns as they come."""

LOSES = ["test_act_order"]


def smollm2_layer(w, H):
    return gptq(w, H, 2, 64, 64, 0.1), torch.arange(w.shape[1])
