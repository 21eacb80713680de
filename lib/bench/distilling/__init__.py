"""Experiments of lecture 13: students of a 6-gram, of the course's teacher, of traces.

Read in order: `letters` (the task and the student), `soft` (targets, temperatures,
texts), `together` (ensembles, dropout, co-distillation), `halves` (half of the course's
teacher), `traces` (rationales), `table` (the command).
"""
