"""Attention over blocks: every kernel against float64, at lengths around its tiles."""

import pytest
import torch

from lib.decode.llama import attention, rotated
from lib.kernels.attend import Blocks, attend_reference, attended, launch
from lib.kernels.attend.attention import SPLIT, splits_for, tile_for

BLOCK, WIDTH = 16, 12  # blocks of a text
TILE = 32
LENGTHS = (0, 15, 16, TILE - 1, TILE, TILE + 1, 180)
pytestmark = pytest.mark.usefixtures("poisoned")


def drawn(heads, groups, d, lengths, generator, dtype=torch.float16):
    """A query, a key and a value for each text, and the blocks of all, shuffled."""
    b, count = len(lengths), len(lengths) * WIDTH
    keys, values = (
        torch.randn(count + 1, BLOCK, groups, d, generator=generator).to(dtype)
        for _ in range(2)
    )
    keys[-1] = values[-1] = torch.nan  # a block of nobody
    tables = torch.randperm(count, generator=generator).view(b, WIDTH).int()
    for table, length in zip(tables, lengths, strict=True):
        table[length // BLOCK + 1 :] = count  # behind its end, too
    angles = 6 * torch.rand(WIDTH * BLOCK, d // 2, generator=generator)
    qkv = torch.randn(b, (heads + 2 * groups) * d, generator=generator).to(dtype)
    lengths = torch.tensor(lengths, dtype=torch.int32)
    return qkv, [keys, values, tables, lengths, angles.cos(), angles.sin()]


def moved(tensors, device, dtype=None):
    return [
        t.to(device, dtype if dtype and t.is_floating_point() else t.dtype).clone()
        for t in tensors
    ]


def check(options, shape, lengths, device, generator):
    qkv, tensors = drawn(*shape, lengths, generator)
    exact = moved(tensors, "cpu", torch.float64)
    wanted = attend_reference(qkv.double(), *exact)
    tensors = moved(tensors, device)
    out = launch(qkv.to(device), *tensors, tile=TILE, **options).cpu()
    assert (out.double() - wanted).abs().max() <= 2**-9 * wanted.abs().max()
    for mine, theirs in zip(tensors[:2], exact[:2], strict=True):
        assert torch.allclose(mine.cpu().double(), theirs, 1e-3, 1e-3, equal_nan=True)
        assert mine[-1].isnan().all(), "nobody's block was written"


@pytest.mark.parametrize("options", [{"naive": True}, {"splits": 1}, {"splits": 2}])
@pytest.mark.parametrize("shape", [(2, 2, 16), (6, 2, 32)])
def test_every_length_around_a_tile(options, shape, device, generator):
    lengths = LENGTHS[:3] if options.get("naive") else LENGTHS
    check(options, shape, lengths, device, generator)


def test_more_queries_a_key_than_a_tile_has_rows(device, generator):
    check({"splits": 2}, (17, 1, 16), (40,), device, generator)


def test_splits_add_to_the_same_in_any_turn(device, generator):
    """Counters are back at 0, and nothing depends on who came last."""
    qkv, tensors = drawn(4, 2, 16, (0, 150), generator)
    qkv, tensors = qkv.to(device), moved(tensors, device)
    first = launch(qkv, *tensors, splits=4, tile=TILE)
    assert torch.equal(first, launch(qkv, *tensors, splits=4, tile=TILE))


def test_the_reference_is_the_readable_attention(generator):
    """lib.decode.llama's, in float64: rotation, grouped queries, the text's own end."""
    heads, groups, d, length = 6, 2, 16, 37
    qkv, tensors = drawn(heads, groups, d, (length,), generator, torch.float64)
    keys, values, tables, _, cos, sin = tensors = moved(tensors, "cpu", torch.float64)
    found = attend_reference(qkv, *tensors)
    turn = cos[length, None, None], sin[length, None, None]
    parts = qkv.unflatten(1, (-1, d))
    q = rotated(parts[:, :heads], turn)
    blocks = tables[0, : length // BLOCK + 1].long()
    known = [t[blocks].flatten(0, 1)[None, : length + 1] for t in (keys, values)]
    assert torch.allclose(
        known[0][0, -1], rotated(parts[:, heads:-groups], turn)[0], atol=1e-12
    )
    wanted = attention(q[:, None], *known, torch.tensor([length + 1]))
    assert torch.allclose(found, wanted.flatten(1), rtol=1e-6, atol=1e-6)


def test_splits_fill_the_machine_and_have_enough_to_do():
    assert splits_for(1, 32, SPLIT, 132) == 1, "too little to be split"
    assert splits_for(1, 8, 64 * SPLIT, 132) == 16
    assert splits_for(64, 32, 64 * SPLIT, 132) == 1, "programs abound"
    for longest in (1, SPLIT, 5 * SPLIT):
        splits = splits_for(2, 4, longest, 132)
        assert splits == 1 or splits * SPLIT <= longest


def test_a_turn_holds_as_much_of_short_keys_as_of_long_ones():
    assert tile_for(1, 32, 128, 132) == (128, 8) and tile_for(1, 3, 64, 132) == (256, 8)
    assert tile_for(64, 32, 128, 132) == (64, 4)


def test_the_entry_runs_the_kernel_and_refuses_what_does_not_fit(
    by_kernel, device, as_a_user, generator
):
    by_kernel("attend", launch)
    qkv, tensors = drawn(4, 2, 16, (5, 20), generator)
    wanted = attend_reference(qkv.double(), *moved(tensors, "cpu", torch.float64))
    blocks = Blocks(*moved(tensors, device))
    out = attended(qkv.to(device), blocks).cpu()
    assert torch.allclose(out.double(), wanted, rtol=1e-2, atol=1e-2)
    assert by_kernel.ran == ["attend"] * (device == "cpu")
    for wrong, words in (
        (qkv.float(), "float32"),
        (qkv[:, :-1], "127 channels"),
        (qkv[:, : 5 * 16], "heads of 16"),
        (qkv[:1], "1 tokens"),
    ):
        with pytest.raises(ValueError, match=words):
            attended(wrong.to(device), blocks)
