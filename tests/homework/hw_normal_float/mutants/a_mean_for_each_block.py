"""Subtracts from each nested block its own mean, and returns that of all."""

LOSES = ["test_double_quantize"]


def double_quantize(constants, levels, nested):
    parts = [part - part.mean() for part in constants.split(nested)]
    codes, seconds = quantize_blocks(torch.cat(parts), levels, nested)
    return codes, seconds, constants.mean()
