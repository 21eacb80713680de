"""Gives each split groups // splits groups: the rest is lost."""

LOSES = ["test_split_product"]


def split_product(
    x: Tensor, packed: Tensor, steps: Tensor, zeros: Tensor, group: int, splits: int
) -> Tensor:
    (rows, groups), cols, tall = steps.shape, x.shape[0], 16
    each, half = groups // splits, triton.next_power_of_2(group // 2)
    parts = torch.empty(splits, rows, dtype=torch.float32)
    y = torch.empty(rows, dtype=torch.float32)
    sizes = (rows, cols, group, each)
    part_kernel[(triton.cdiv(rows, tall), splits)](
        x, packed, steps, zeros, parts, *sizes, ROWS=tall, HALF=half
    )
    add_kernel[(triton.cdiv(rows, 64),)](parts, y, rows, splits, BLOCK=64)
    return y
