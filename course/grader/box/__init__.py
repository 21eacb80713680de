"""The box: where a student's code runs, and what passes through its wall.

Around it: `bubblewrap`, `visible` (what is seen inside), `box`, `sandbox` (the handle
of one submission's process), `journal`, `memory`. Inside: `zygote`, `seccomp`,
`sandboxed`. Through the wall, values as plain bytes: `channel`, `wire`, `reading`,
`regions` and `sharing`. This file is seen inside as well.
"""
