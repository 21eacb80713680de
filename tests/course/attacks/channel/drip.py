"""Send a frame so slowly that it never ends.

Stock nbgrader: has no channel. Here: stopped, 10 beside honest answers.
"""

import gc
import struct
import time

from course.grader.box.channel import Channel


def number_line(exponent_bits, fraction_bits, specials):
    (channel,) = [x for x in gc.get_objects() if type(x) is Channel]
    channel.socket.send(struct.pack("!IQ", 1 << 20, 1 << 20))
    while True:
        channel.socket.send(b" ")
        time.sleep(0.01)
