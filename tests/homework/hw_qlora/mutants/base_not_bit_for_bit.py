"""Changes the base by a millionth: with B = 0 it is not the pretrained model."""

LOSES = ["test_lora_forward", "test_smollm2"]
PATCHES = {
    "lora_forward": {
        "x @ w.T": "x @ (w * 1.000001).T",
    },
}
