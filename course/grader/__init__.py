"""The grader: intake → box → referee → gradebook → feedback, one file each.

It stands on nbgrader and knows nothing of the algorithms that a homework teaches.
"""
