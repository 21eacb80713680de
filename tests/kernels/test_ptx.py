"""The assembly inside the kernels, which the interpreter skips, does what they mean."""

import importlib.util
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
import torch

from lib.kernels.int4.decode_triton import _unpack_two
from lib.kernels.nf4.assembly import (
    PAIRS,
    bytes_text,
    float_words_text,
    level_text,
    pair_text,
    pairs_text,
    words_text,
)
from lib.kernels.two_of_four.spread_triton import (
    levels_text,
    spread_codes_text,
    spread_text,
)
from lib.quant.codebooks.double import dynamic_levels
from lib.quant.codebooks.normal_float import normal_float_levels

spec = importlib.util.spec_from_file_location("ptx", Path(__file__).with_name("ptx.py"))
ptx = importlib.util.module_from_spec(spec)
spec.loader.exec_module(ptx)

DTYPES = {"f16": (0x6400, np.float16), "bf16": (0x4300, ml_dtypes.bfloat16)}


def words(seed):
    """One random word of 32 bits a lane."""
    return np.random.default_rng(seed).integers(0, 2**32, 32, dtype=np.uint32)


@pytest.mark.parametrize("kind", DTYPES)
def test_four_masks_and_subtractions_are_four_planes_of_q_minus_z(kind):
    magic, dtype = DTYPES[kind]
    for zeros in ((0, 15, 8, 7), (15, 0, 1, 14)):
        w = words(zeros[0])
        biases = [np.full(32, (magic | z) * 0x10001, np.uint32) for z in zeros]
        text = _unpack_two(f"0x{magic * 0x10001:08x}", kind)
        for plane, out in enumerate(ptx.run(text, [w, *biases], 4)):
            got = out.view(np.uint16).view(dtype).astype(int).reshape(32, 2)
            q = np.stack([w >> 4 * plane & 15, w >> 16 + 4 * plane & 15], 1)
            assert np.array_equal(got, q.astype(int) - zeros[plane])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_a_load_finds_the_levels_of_two_codes_and_no_lane_waits(dtype):
    w = words(1)
    levels = normal_float_levels().to(dtype).view(torch.int16).numpy().view(np.uint16)
    table = np.zeros((256, 8, 4), np.uint32)  # bytes, copies
    at = ptx.START + 16 * np.arange(2048, dtype=np.uint32)
    for part in at.reshape(64, 32):
        stored = {PAIRS: table.reshape(-1)}
        ptx.run(pair_text(dtype), [part, (part - ptx.START) // 128], 1, stored)
    table = {PAIRS: table.reshape(-1)}
    for plane, out in enumerate(ptx.run(pairs_text(), [w], 4, table)):
        q = np.stack([w >> 8 * plane & 15, w >> 8 * plane + 4 & 15], 1)
        assert np.array_equal(out.view(np.uint16).reshape(32, 2), levels[q])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_shuffles_look_up_the_levels_of_pairs(dtype):
    w = words(3)
    levels = normal_float_levels().to(dtype).view(torch.int16).numpy().view(np.uint16)
    for plane, out in enumerate(ptx.run(words_text(dtype), [w], 4)):
        q = np.stack([w >> 8 * plane & 15, w >> 8 * plane + 4 & 15], 1)
        assert np.array_equal(out.view(np.uint16).reshape(32, 2), levels[q])


def test_the_level_of_a_scale_is_found_by_its_low_byte():
    w, levels = words(4), dynamic_levels().numpy()
    table = {"levels": levels.copy().view(np.uint32)}
    address = np.full(32, ptx.START, np.uint32)
    (out,) = ptx.run(level_text(), [w, address], 1, table, alone=False)
    assert np.array_equal(out.view(np.float32), levels[w & 255])


def test_shuffles_look_up_the_levels_of_bytes():
    w = words(2)
    out = ptx.run(bytes_text(), [w], 8)
    levels = normal_float_levels().numpy()
    for byte in range(4):
        high, low = w >> 8 * byte + 4 & 15, w >> 8 * byte & 15
        assert np.array_equal(out[byte].view(np.float32), levels[high])
        assert np.array_equal(out[4 + byte].view(np.float32), levels[low])


def test_shuffles_look_up_two_float32_levels_of_each_plane():
    w = words(5)
    levels = normal_float_levels().numpy()
    for at, out in enumerate(ptx.run(float_words_text(), [w], 8)):
        plane, column = divmod(at, 2)
        q = w >> 8 * plane + 4 * column & 15
        assert np.array_equal(out.view(np.float32), levels[q])


PAIRS_OF_FOUR = [3, 5, 9, 6, 10, 12]  # which two of four bits are set


def places_of_four(seed):
    """Eight nibbles with two bits each, a lane, and their words."""
    picks = np.random.default_rng(seed).choice(PAIRS_OF_FOUR, (32, 8))
    return picks, sum(picks[:, k].astype(np.uint32) << 4 * k for k in range(8))


def placed(first, last, bits):
    """The four places of a group, by the equation."""
    row = [0, 0, 0, 0]
    a, b = (p for p in range(4) if bits >> p & 1)
    row[a], row[b] = first, last
    return row


def test_masks_spread_two_values_over_four_places():
    first, last = words(6), words(7)
    picks, places = places_of_four(8)
    for plane in range(4):
        out = ptx.run(spread_text(plane), [first, last, places], 4)
        got = np.stack([one.view(np.uint16).reshape(32, 2) for one in out], -1)
        for lane in range(32):
            for half in range(2):
                a, b = (int(w[lane]) >> 16 * half & 0xFFFF for w in (first, last))
                wanted = placed(a, b, picks[lane, 4 * half + plane])
                assert got[lane, half].tolist() == wanted


@pytest.mark.parametrize("kind", DTYPES)
def test_masks_spread_codes_and_what_is_dropped_is_level_0(kind):
    magic, dtype = DTYPES[kind]
    first, last = words(9), words(10)
    picks, places = places_of_four(11)
    spread = ptx.run(spread_codes_text(), [first, last, places], 4)
    for plane in range(4):
        out = ptx.run(levels_text(plane, magic * 0x10001, kind), spread, 4)
        got = [one.view(np.uint16).view(dtype).reshape(32, 2) for one in out]
        got = np.stack(got, -1).astype(int)
        for lane in range(32):
            for half in range(2):
                at = 4 * (4 * half + plane)
                a, b = (((int(w[lane]) >> at & 15) ^ 8) - 8 for w in (first, last))
                wanted = placed(a, b, picks[lane, 4 * half + plane])
                assert got[lane, half].tolist() == wanted
