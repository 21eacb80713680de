"""Asks the target once for each guess."""

LOSES = ["test_generate"]
PATCHES = {
    "generate": {
        "new = accept_greedy(guess, target(text + guess)[len(text) - 1 :])": """\
parts = [text + guess[:n] for n in range(len(guess) + 1)]
        rows = [target(part)[-1] for part in parts]
        new = accept_greedy(guess, torch.stack(rows))""",
    },
}
