"""Lets the first trit count 81, when it packs and when it unpacks."""

LOSES = ["test_pack_trits", "test_unpack_trits"]
PATCHES = {
    "pack_trits": {
        "3 ** torch.arange(5)": "3 ** torch.arange(4, -1, -1)",
    },
    "unpack_trits": {
        "3 ** torch.arange(5)": "3 ** torch.arange(4, -1, -1)",
    },
}
