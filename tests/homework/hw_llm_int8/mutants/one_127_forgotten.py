"""Divides by 127 once, and there are two sides."""

LOSES = ["test_rescale", "test_llm_int8"]


def rescale(out, x_constants, w_constants):
    return out * torch.outer(x_constants, w_constants) / 127
