"""Show HTML, SVG, JavaScript and Markdown as a cell's output.

Stock nbgrader: not tried. Here: graded, 0.
"""

from IPython.display import HTML, SVG, Javascript, Markdown, display

display(HTML("<script>alert(1)</script>"), Javascript("alert(1)"))
display(SVG("<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>"))
display(Markdown("<script>alert(1)</script>"))
display({"text/html": "<script>alert(1)</script>", "text/plain": "x"}, raw=True)
