"""Converts to int8 without rounding: everything moves towards zero."""

LOSES = ["test_quantize_rows", "test_llm_int8"]


def quantize_rows(x):
    constants = x.abs().amax(1)
    scale = 127 / torch.where(constants > 0, constants, 1.0)
    return (x * scale[:, None]).to(torch.int8), constants
