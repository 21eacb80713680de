"""Divides a block of zeros by its constant, which is 0."""

LOSES = ["test_quantize_blocks"]


def quantize_blocks(w, levels, block):
    flat = w.flatten()
    runs = torch.nn.functional.pad(flat, (0, -len(flat) % block)).view(-1, block)
    constants = runs.abs().amax(1)
    codes = torch.bucketize(runs / constants[:, None], (levels[:-1] + levels[1:]) / 2)
    return codes.flatten()[: len(flat)].view(w.shape), constants
