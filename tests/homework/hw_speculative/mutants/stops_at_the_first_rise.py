"""Stops where the cost first rises, and does not see that it falls again."""

LOSES = ["test_best_gamma"]
PATCHES = {
    "best_gamma": {
        "return min(range(len(pass_times)), key=time_a_token)": """\
for gamma in range(len(pass_times) - 1):
        if time_a_token(gamma + 1) >= time_a_token(gamma):
            return gamma
    return len(pass_times) - 1""",
    },
}
