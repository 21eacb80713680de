"""Whole parts less: heads, neurons, channels and layers, so that what is left is dense.

Read in order: `importance` (which parts matter), `heads` (the same by a gradient),
`hard_concrete` (gates that learn to be 0), `refit` (what is left makes up for what is
gone).  The cut itself is lib/models/structure/surgery.py.  Taught in notebooks/12.
"""
