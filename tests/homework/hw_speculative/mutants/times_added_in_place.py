"""Adds the draft's time to the list of the caller."""

LOSES = ["test_best_gamma"]


def best_gamma(alpha, draft_time, pass_times):
    """Return the number of guesses with the least time a token."""
    for gamma in range(len(pass_times)):
        pass_times[gamma] += gamma * draft_time
        pass_times[gamma] /= sum(alpha**count for count in range(gamma + 1))
    return pass_times.index(min(pass_times))
