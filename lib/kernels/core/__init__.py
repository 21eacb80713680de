"""What every operation's folder uses: the compiler, tiles, layouts, checks.

Read in order: `compiler` (Triton, or its stand-in), `planes` (how 4-bit codes lie in
memory), `blocks` (what kernels share), `tiles` (which tile for which size), `entry`;
`compile` (for a GPU that is not there).
"""
