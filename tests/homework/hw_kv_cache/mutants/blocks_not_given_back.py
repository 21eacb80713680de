"""Does not count the blocks that the preempted gives back."""

LOSES = ["test_schedule"]
PATCHES = {
    "schedule": {
        "        free += -(-cached // size)\n": "",
    },
}
