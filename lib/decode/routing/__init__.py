"""Who answers: a small model or the large one, this server or that.

Read in order: `cascade` (by input or by token), `balance` (several servers).
"""
