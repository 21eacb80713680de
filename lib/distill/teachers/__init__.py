"""Teachers of other kinds: several models as one, a model that drops, n-grams.

Read in order: `averaged` (ensemble, dropout, co-distillation), `ngram` (a table of
counts as a teacher), `instruct` (Self-Instruct's filter of written exercises).
"""
