"""Self-Instruct: a model writes its own exercises, and their answers.

    seeds → proposals → filter → answers → train → judge

Read in order: `overlap` (what is new), `propose` (exercises, answers, and rows to learn
from), `judge` (held-out questions, by references and by rules).
Source: Wang et al. 2023, "Self-Instruct", arXiv:2212.10560.
"""
