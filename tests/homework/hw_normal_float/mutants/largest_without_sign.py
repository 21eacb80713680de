"""Takes the largest weight, not the largest magnitude, as a block's constant."""

LOSES = ["test_quantize_blocks", "test_double_quantize"]


def quantize_blocks(w, levels, block):
    flat = w.flatten()
    runs = torch.nn.functional.pad(flat, (0, -len(flat) % block)).view(-1, block)
    constants = runs.amax(1)
    scaled = runs / torch.where(constants > 0, constants, 1.0)[:, None]
    codes = torch.bucketize(scaled, (levels[:-1] + levels[1:]) / 2)
    return codes.flatten()[: len(flat)].view(w.shape), constants
