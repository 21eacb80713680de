"""Clamps the logits, so that an impossible token is possible."""

LOSES = ['test_soft_targets']
PATCHES = {
    "soft_targets": {
        '(logits / temperature)': 'logits.clamp(min=-1) / temperature',
    },
}
