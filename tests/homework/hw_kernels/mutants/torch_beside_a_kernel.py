"""Launches the kernel for the look of it, and lets PyTorch multiply."""

LOSES = ["test_product"]


def product(
    x: Tensor, packed: Tensor, steps: Tensor, zeros: Tensor, group: int
) -> Tensor:
    (tokens, cols), rows, tall = x.shape, packed.shape[0], 16
    y = torch.empty(tokens, rows, dtype=torch.float32)
    half = triton.next_power_of_2(group // 2)
    matrix = (packed, steps, zeros)
    product_kernel[(triton.cdiv(rows, tall), tokens)](
        x, *matrix, y, rows, cols, group, ROWS=tall, HALF=half
    )
    codes = torch.stack([packed & 15, packed >> 4], 2).flatten(1)[:, :cols].float()
    each = [t.repeat_interleave(group, 1)[:, :cols].float() for t in matrix[1:]]
    return x.float() @ (each[0] * (codes - each[1])).T
