"""Puts the first code of a pair into the high half."""

LOSES = ["test_pack"]


def pack(codes):
    nibbles = codes.to(torch.uint8) & 15
    if len(nibbles) % 2:
        nibbles = torch.cat((nibbles, nibbles.new_zeros(1)))
    return nibbles[1::2] | (nibbles[0::2] << 4)
