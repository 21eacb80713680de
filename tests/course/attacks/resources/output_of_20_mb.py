"""Print 20 MB in a cell.

Stock nbgrader: not tried. Here: graded, 0.
"""

print("x" * (20 << 20))
