"""Launches cols // BLOCK programs a row: the rest has none."""

LOSES = ["test_dequantize"]


def dequantize(
    packed: Tensor, steps: Tensor, zeros: Tensor, cols: int, group: int
) -> Tensor:
    rows, block = packed.shape[0], 64
    w = torch.empty(rows, cols, dtype=torch.float32)
    grid = (rows, cols // block)
    dequantize_kernel[grid](packed, steps, zeros, w, cols, group, BLOCK=block)
    return w
