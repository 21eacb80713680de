"""Claim outputs whose kinds, texts and lines are arrays and numbers.

Stock nbgrader: has no channel. Here: graded, 0.
"""

import gc

import numpy as np

from course.grader.box.channel import Channel

(channel,) = [x for x in gc.get_objects() if type(x) is Channel]
two = np.zeros(2)
error = {"output_type": "error", "ename": "x", "evalue": "y", "traceback": two}
channel.send([{"output_type": two, "text": two}, error, two, 7])
