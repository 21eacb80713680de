"""Takes the mean over places and tokens."""

LOSES = ['test_kd_gradient']
PATCHES = {
    "kd_gradient": {
        '/ len(student)': '/ student.numel()',
    },
}
