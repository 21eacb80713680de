"""Viterbi's search, a program a row. Read `viterbi`, then `viterbi_triton`."""

from lib.kernels.trellis.viterbi import launch_viterbi

__all__ = ["launch_viterbi"]
