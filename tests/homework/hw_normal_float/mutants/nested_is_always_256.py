"""Takes QLoRA's 256 for any number of nested blocks."""

LOSES = ["test_stored_bits"]
PATCHES = {
    "stored_bits": {
        "-blocks // nested": "-blocks // 256",
    },
}
