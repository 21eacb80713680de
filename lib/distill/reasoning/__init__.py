"""Reasons as something to learn: beside the answer, or before it.

Read in order: `sums` (problems with a right answer, and their rationales), `rationale`
(three ways to lay them out, their loss, and how often a student is right).
"""
