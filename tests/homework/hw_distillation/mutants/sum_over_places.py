"""Adds places up and forgets the mean."""

LOSES = ['test_kd_gradient']
PATCHES = {
    "kd_gradient": {
        ' / len(student)': '',
    },
}
