"""Returns logarithms."""

LOSES = ['test_soft_targets']
PATCHES = {
    "soft_targets": {
        'softmax(-1)': 'log_softmax(-1)',
    },
}
