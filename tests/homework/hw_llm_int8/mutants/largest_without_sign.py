"""Takes the largest number of a row, not the largest magnitude."""

LOSES = ["test_quantize_rows"]


def quantize_rows(x):
    constants = x.amax(1)
    scale = 127 / torch.where(constants > 0, constants, 1.0)
    return (x * scale[:, None]).round().clamp(-127, 127).to(torch.int8), constants
