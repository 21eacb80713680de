"""Fills up after it has raised the trits by one: the filler is -1."""

LOSES = ["test_pack_trits"]
PATCHES = {
    "pack_trits": {
        ("torch.nn.functional.pad(t.long(), (0, -t.shape[1] % 5)) + 1"): (
            "torch.nn.functional.pad(t.long() + 1, (0, -t.shape[1] % 5))"
        ),
    },
}
