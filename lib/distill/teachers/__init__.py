"""Teachers of other kinds: several models as one, a model that drops, n-grams, itself.

Read in order: `averaged` (ensemble, dropout, co-distillation), `ngram` (a table of
counts as a teacher), `instruct` (a model that writes its own exercises).
"""
