"""Asks the target once for each guess."""

LOSES = ["test_generate"]
PATCHES = {
    "generate": {
        "new = accept_greedy(guess, target(text + guess)[len(text) - 1 :])": """rows = [target(text + guess[:n])[-1] for n in range(len(guess) + 1)]
        new = accept_greedy(guess, torch.stack(rows))""",
    },
}
