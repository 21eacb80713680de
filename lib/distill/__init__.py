"""Distillation: a student learns from a teacher's distributions, or from its texts.

Read in order: `losses`, `chunked` (the same, a few rows at a time), `sequence` (what a
teacher writes, and what a student writes), `intermediate` (a student made of a
teacher's layers, and its hidden states), `teachers` (ensembles, dropout, a filter of
written exercises; an n-gram is in lib.data), `reasoning` (rationales and traces),
`student` (one training loop for all); `acceptance` (how good a draft is). The course's
own models: `prompts`, `corpus`, `recipes`, `train`.
"""
