"""Show TeX that leaves its formula, or that is a link to script.

Stock nbgrader: not tried. Here: graded, 0.
"""

from IPython.display import Latex, Math, display

display(Math("\\href{javascript:alert(1)}{x}"))
display(Latex("$$</script><script>alert(1)</script>$$"))
display(Latex("<img src=x onerror=alert(1)>"))
