"""Print 20 MB in a cell.

Stock nbgrader: all of it goes into the notebook. Here: graded, 0.
"""

print("x" * (20 << 20))
