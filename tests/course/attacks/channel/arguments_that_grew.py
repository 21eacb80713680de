"""Claim to have changed arguments: into far more than they were, and into other kinds.

Stock nbgrader: has no channel. Here: stopped, 9 beside honest answers.
"""

import gc

import torch

from course.grader.box.channel import Channel


def round_nearest(x, exponent_bits, fraction_bits):
    (channel,) = [x for x in gc.get_objects() if type(x) is Channel]
    grown = torch.zeros(1 << 20, dtype=torch.float64)
    objects = [(number, grown) for number in (-1, 0, 1, 2, 99)]
    regions = [(number, bytes(1 << 20)) for number in range(-3, 30)]
    channel.send(("value", x, "", (objects, regions)))
