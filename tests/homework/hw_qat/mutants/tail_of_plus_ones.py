"""Fills up with zeros before it takes signs: the tail is all ones."""

LOSES = ["test_pack_signs"]
PATCHES = {
    "pack_signs": {
        ("torch.nn.functional.pad((x >= 0).long(), (0, -x.shape[1] % 64))"): (
            "(torch.nn.functional.pad(x, (0, -x.shape[1] % 64)) >= 0).long()"
        ),
    },
}
