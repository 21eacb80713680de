"""Leaves out the last block where it is not full."""

LOSES = ["test_quantize_blocks"]


def quantize_blocks(w, levels, block):
    whole = max(1, w.numel() // block)
    runs = w.flatten()[: whole * block].view(whole, -1)
    constants = runs.abs().amax(1)
    scaled = runs / torch.where(constants > 0, constants, 1.0)[:, None]
    codes = torch.bucketize(scaled, (levels[:-1] + levels[1:]) / 2).flatten()
    rest = torch.zeros(w.numel() - len(codes), dtype=codes.dtype)
    return torch.cat([codes, rest]).view(w.shape), constants
