"""Texts that come with the environment, cut into windows of tokens."""

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
