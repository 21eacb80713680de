"""Does not mask a negative code, whose upper ones flood its neighbour."""

LOSES = ["test_pack"]


def pack(codes):
    if len(codes) % 2:
        codes = torch.cat((codes, codes.new_zeros(1)))
    return (codes[0::2] | (codes[1::2] << 4)).to(torch.uint8)
