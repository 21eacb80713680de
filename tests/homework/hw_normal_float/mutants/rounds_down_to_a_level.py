"""Takes the level below instead of the nearest one."""

LOSES = ["test_quantize_blocks", "test_double_quantize"]


def quantize_blocks(w, levels, block):
    flat = w.flatten()
    runs = torch.nn.functional.pad(flat, (0, -len(flat) % block)).view(-1, block)
    constants = runs.abs().amax(1)
    scaled = runs / torch.where(constants > 0, constants, 1.0)[:, None]
    codes = torch.bucketize(scaled, levels, right=True).sub(1).clamp(min=0)
    return codes.flatten()[: len(flat)].view(w.shape), constants
