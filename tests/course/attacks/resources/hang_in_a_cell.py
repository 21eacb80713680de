"""Never end a cell.

Stock nbgrader: until the cell's time is over, then no grade. Here: stopped, 0.
"""

while True:
    pass
