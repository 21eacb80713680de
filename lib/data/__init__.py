"""Texts that come with the environment, cut into windows, and what they count to.

Read in order: `text`; `ngram` (a table of what followed, as a model of text).
"""

from lib.data.text import (
    CALIBRATION,
    HELD_OUT,
    calibration_windows,
    play,
    python_docs,
    read_text,
    token_windows,
)

__all__ = [
    "CALIBRATION",
    "HELD_OUT",
    "calibration_windows",
    "play",
    "python_docs",
    "read_text",
    "token_windows",
]
