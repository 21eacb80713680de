"""Counting words that differ is the dense product of ±1, tail bits or none."""

import pytest
import torch

from lib.kernels.core.tiles import Tile
from lib.kernels.xnor import launch
from lib.kernels.xnor.product import tile_of
from lib.quant.aware.xnor import pack_signs, xnor_product

SMALL = Tile(rows=32, batch=4, warps=1)  # turns of 16 words


def signs(rows, cols, generator):
    return torch.randn(rows, cols, generator=generator).sign()


@pytest.mark.parametrize("tile", [None, SMALL], ids=["rule", "small"])
@pytest.mark.parametrize(
    ("m", "n", "cols"),
    [(1, 1, 1), (1, 17, 64), (3, 33, 65), (5, 31, 1023), (9, 70, 1100), (2, 40, 8200)],
)
def test_it_is_the_dense_product(m, n, cols, tile, generator, device):
    a, b = signs(m, cols, generator), signs(n, cols, generator)
    packed = pack_signs(a).to(device), pack_signs(b).to(device)
    y = launch(*packed, cols, tile)
    assert y.dtype == torch.int32
    assert torch.equal(y.cpu(), (a.double() @ b.double().T).int())
    assert torch.equal(y, xnor_product(*packed, cols))


def test_a_view_of_every_second_row(generator, device):
    a, b = signs(6, 130, generator), signs(10, 130, generator)
    left, right = pack_signs(a).to(device)[::2], pack_signs(b).to(device)[1::2]
    exact = (a[::2] @ b[1::2].T).int()
    assert torch.equal(launch(left, right, 130).cpu(), exact)


def test_no_rows_make_no_results(device):
    words = torch.zeros(3, 2, dtype=torch.int64, device=device)
    assert launch(words[:0], words, 100).shape == (0, 3)
    assert launch(words, words[:0], 100).shape == (3, 0)
    assert xnor_product(words, words[:0], 100).shape == (3, 0)


def test_every_tile_of_the_rule_has_whole_turns():
    for m in (1, 2, 3, 7, 8, 9, 1000):
        tile = tile_of(m)
        assert tile.batch >= min(m, 8)
        assert tile.rows * tile.batch <= 256


def test_the_sums_are_popcount(generator, device):
    words = torch.randint(-(2**63), 2**63 - 1, (1, 4), generator=generator)
    words = torch.cat([words, torch.tensor([[0, -1, 1, -(2**63)]])], 1).to(device)
    zero = torch.zeros_like(words)
    bits = [bin(w & (2**64 - 1)).count("1") for w in words[0].tolist()]
    for at, count in enumerate(bits):
        one = words[:, at : at + 1], zero[:, :1]
        assert launch(*one, 64).item() == 64 - 2 * count
