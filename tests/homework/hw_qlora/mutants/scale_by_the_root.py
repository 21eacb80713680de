"""Scales by alpha / sqrt(r), the rank-stabilized way, which is not asked."""

LOSES = ["test_lora_forward", "test_smollm2"]
PATCHES = {
    "lora_forward": {
        "alpha / len(a) *": "alpha / len(a) ** 0.5 *",
    },
}
