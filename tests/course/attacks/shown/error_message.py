"""Raise errors whose names and messages are script and control characters.

Stock nbgrader: not tried. Here: graded, 0.
"""

script = "</pre><script>alert(1)</script>\x1b[31m\x07<img src=x onerror=alert(1)>"


def decode(code, exponent_bits, fraction_bits):
    raise type(script, (Exception,), {})(script)


def number_line(exponent_bits, fraction_bits, specials):
    error = ValueError(script)
    error.add_note(script)
    raise error


print(script)
