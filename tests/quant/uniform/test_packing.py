"""Bits in, the same bits out, in the order that the module documents."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.quant import pack, unpack


@settings(max_examples=150)
@given(
    st.integers(1, 8).flatmap(
        lambda b: st.tuples(st.just(b), st.lists(st.integers(0, 2**b - 1), max_size=70))
    )
)
def test_unpack_undoes_pack_in_the_fewest_bytes(case):
    bits, codes = case
    codes = torch.tensor(codes, dtype=torch.int64)
    packed = pack(codes, bits)
    assert packed.numel() == (codes.numel() * bits + 7) // 8
    assert torch.equal(unpack(packed, bits, codes.numel()), codes.to(torch.uint8))
    assert torch.equal(pack(codes.to(torch.uint8), bits), packed), "as they are stored"


@pytest.mark.parametrize("bits", range(1, 9))
def test_the_stream_is_little_endian_as_numpy_packs_bits(bits):
    codes = torch.randint(
        0, 2**bits, (1001,), generator=torch.Generator().manual_seed(bits)
    )
    stream = (codes[:, None].numpy() >> np.arange(bits)) & 1
    expected = np.packbits(stream.astype(np.uint8), bitorder="little")
    assert np.array_equal(pack(codes, bits).numpy(), expected)


def test_the_first_code_is_the_low_nibble_and_odd_counts_end_in_zeros():
    assert pack(torch.tensor([0x1, 0x2, 0xF]), 4).tolist() == [0x21, 0x0F]
    assert pack(torch.tensor([[3, 2], [1, 0]]), 2).tolist() == [0b00011011]


def test_refuses_what_does_not_fit(as_a_user):
    with pytest.raises(ValueError, match="codes from -8 to 7 do not fit 0 to 15"):
        pack(torch.tensor([-8, 7]), 4)
    with pytest.raises(ValueError, match=r"codes are torch.float32"):
        pack(torch.ones(2), 4)
    with pytest.raises(ValueError, match="bits=9 is not in 1 to 8"):
        pack(torch.ones(2, dtype=torch.int8), 9)
    with pytest.raises(ValueError, match="3 codes of 4 bits are 2 uint8, not torch"):
        unpack(torch.zeros(3, dtype=torch.uint8), 4, 3)
    with pytest.raises(ValueError, match="-1 codes"):
        unpack(torch.zeros(0, dtype=torch.uint8), 4, -1)
