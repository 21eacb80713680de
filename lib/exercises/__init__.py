"""What homeworks need beside the algorithms; the grader imports nothing else of `lib`.

What is here decides points: a change of any file makes every submission due again.

Read in order: `own_work` (what a student has to write), `trial` (SmolLM2 with a
student's weights), `tuning` (its last blocks trained by a student's two passes, or in
fp16 by a student's loss scaler and step),
`decoding` (models as functions of a text), `letters` (a teacher of letters),
`compare` and `pure` (what a test asks of a value, and of a function's arguments),
`follow` (a slip costs once), `protocol` (a student's function in a grader's hands),
`kernels` (fences, a reader and a compiler for hw_kernels).
"""
