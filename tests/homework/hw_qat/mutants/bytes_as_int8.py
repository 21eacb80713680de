"""Reads bytes as int8: from 128 on they are negative."""

LOSES = ["test_unpack_trits"]
PATCHES = {
    "unpack_trits": {
        "packed.long()": "packed.to(torch.int8).long()",
    },
}
