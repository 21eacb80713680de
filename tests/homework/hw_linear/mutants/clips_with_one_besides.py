"""Tries the share 1 too, whether it is among the shares or not."""

LOSES = ["test_clip_weight"]
PATCHES = {"clip_weight": {"for clip in clips:": "for clip in [1.0, *clips]:"}}
