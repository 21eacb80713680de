"""Never answers that no draft is best."""

LOSES = ["test_best_gamma"]
PATCHES = {
    "best_gamma": {
        "min(range(len(": "min(range(min(1, len(pass_times) - 1), len(",
    },
}
