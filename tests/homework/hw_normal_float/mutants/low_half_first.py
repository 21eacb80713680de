"""Puts the first of two codes into the low half, as other libraries do."""

LOSES = ["test_pack_pairs", "test_unpack_pairs"]


def pack_pairs(codes):
    even = torch.nn.functional.pad(codes.to(torch.uint8), (0, len(codes) % 2))
    return even[1::2] << 4 | even[::2]


def unpack_pairs(packed, count):
    return torch.stack([packed & 15, packed >> 4], 1).flatten()[:count]
