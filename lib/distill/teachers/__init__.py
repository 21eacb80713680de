"""Teachers of other kinds: several models as one, a model that drops.

Read in order: `averaged` (ensemble, dropout, co-distillation), `instruct`
(Self-Instruct's filter of written exercises). A table of counts is a teacher too:
lib.data.ngram.
"""
