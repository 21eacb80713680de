"""Scales by max / 6, as an integer grid would; a byte of exponent can't hold that."""

LOSES = ["test_mxfp4"]


def mxfp4(x):
    blocks = x.unflatten(1, (-1, 32))
    scales = (blocks.abs().amax(-1, keepdim=True) / 6).clamp(min=2.0**-127)
    return scales.squeeze(-1), (scales * to_fp4(blocks / scales)).flatten(1)
