"""The grader: intake → box → referee → gradebook → feedback.

    the class      campaign, crew, worker, desk; terms (what passes between them)
    judging/       a submitted file → our notebook with its answers → outputs, points
    box/           around the student's code, inside it, and through its wall
    afterwards     gradebook, feedback, returns
    beside it      zips/ (what an LMS exports), demo (a made-up class), bench and cost

A *cell* is a notebook's. A *desk* is a process that grades one homework's submissions;
its *box* is bubblewrap around a warm process, and a *sandbox* is the handle of one
submission's process inside. *Isolated* is what runs without the student's other cells.
A *stamp* says that a grade was written to its end, and of what.

It stands on nbgrader and knows nothing of the algorithms that a homework teaches: of
`lib` it imports `lib.exercises` and nothing else.
"""

import sys

# jsonschema, which nbformat imports, would build a parser of IRIs at once if it could:
# a second of the processor in every process, for a format that no notebook has.
sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]
