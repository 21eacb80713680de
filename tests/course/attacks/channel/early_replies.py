"""Answer questions before they are asked, hoping that a test takes them for its own.

Stock nbgrader: has no channel. Here: graded, 0.
"""

import gc

from course.grader.box.channel import Channel

(channel,) = [x for x in gc.get_objects() if type(x) is Channel]
for _ in range(5):
    channel.send(("value", 1.0, "", ([], [])))
