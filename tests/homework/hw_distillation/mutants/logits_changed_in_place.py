"""Divides the caller's logits."""

LOSES = ['test_soft_targets']
PATCHES = {
    "soft_targets": {
        '(logits / temperature)': 'logits.div_(temperature)',
    },
}
