"""Takes one scale for the whole row, and repeats it for every block."""

LOSES = ["test_mxfp4"]


def mxfp4(x):
    blocks = x.unflatten(1, (-1, 32))
    largest = x.abs().amax(-1)[:, None, None].expand(-1, blocks.shape[1], 1)
    scales = torch.exp2((torch.log2(largest).floor() - 2).clamp(-127, 127))
    return scales.squeeze(-1), (scales * to_fp4(blocks / scales)).flatten(1)
