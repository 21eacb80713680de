"""Exchanges the two weights."""

LOSES = ['test_kd_gradient']
PATCHES = {
    "kd_gradient": {
        'kd * soft + ce *': 'ce * soft + kd *',
    },
}
