"""Never end a cell.

Stock nbgrader: not tried. Here: graded, 0.
"""

while True:
    pass
