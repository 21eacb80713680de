"""Sets hidden scores to 0, which the softmax takes for a score."""

LOSES = ["test_attention"]
PATCHES = {
    "attention": {
        "-torch.inf": "0.0",
    },
}
