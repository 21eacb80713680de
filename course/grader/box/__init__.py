"""The box: where a student's code runs, and what passes through its wall.

Around it: `bubblewrap` (what is seen inside), `box`, `sandbox` (the handle of one
submission's process), `memory`. Inside: `zygote`, `seccomp`, `sandboxed`. Through the
wall: `channel`, `wire`, `regions` and `sharing`, values as plain bytes. This file is
seen inside as well.
"""
