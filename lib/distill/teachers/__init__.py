"""Teachers of other kinds: several models as one, a model that drops.

Read `averaged` (ensemble, dropout, co-distillation). A table of counts is a teacher
too: lib.data.ngram.
"""
