"""Deals the groups in turn, one to each split."""

LOSES = ["test_split_product"]
PATCHES = {
    "part_kernel": {
        "tl.program_id(1) * each": "tl.program_id(1)",
        "tl.minimum(first + each, groups)": "groups, tl.num_programs(1)",
    },
}
