"""What homeworks need beside the algorithms; the grader imports nothing else of `lib`.

Read in order: `own_work` (what a student writes alone), `trial` (SmolLM2 with a
student's weights), `kernels` (fences, a reader and a compiler for hw_kernels).
"""
