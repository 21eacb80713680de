"""What a test's own values were before a student's function changed them in place.

    note(x) ─ the change ─ the rest of the test ─ undo() → x is what it was

A table that `lib` keeps for everybody may be among a function's arguments: what one
submission writes into it, no other test and no other submission may find.
"""

from typing import Any

import numpy as np
import torch

from course.grader.box.regions import Forged, Leaf, assign

MAX_UNDONE = 512 << 20  # bytes of arguments that are kept to be put back
OBJECT = 100  # about the bytes of a Python object


class Journal:
    """Keeps what values were, to put it back. Not for two submissions at a time."""

    def __init__(self) -> None:
        self.entries: list[tuple[Any, Any]] = []
        self.noted: set[int] = set()
        self.room = MAX_UNDONE

    def note(self, own: Any) -> None:
        """Keep what `own` is now, for `undo`; `Forged` where that is too much."""
        if id(own) in self.noted:
            return
        leaf = isinstance(own, Leaf)
        self.room -= own.nbytes if leaf else OBJECT * (1 + len(own))
        if self.room < 0:
            raise Forged(f"arguments of more than {MAX_UNDONE >> 20} MB have changed")
        self.noted.add(id(own))
        if isinstance(own, torch.Tensor):
            alias = own.detach()
            self.entries.append((own, (alias, alias.clone(), own.requires_grad)))
        else:
            self.entries.append((own, own.copy()))

    def undo(self) -> None:
        """Put back what was there, the last change first."""
        while self.entries:
            match self.entries.pop():
                case (torch.Tensor() as own, (alias, before, grad)):
                    assign(alias, before)
                    own.data = alias
                    if own.requires_grad != grad and own.is_leaf:
                        own.requires_grad_(grad)
                case (np.ndarray() as own, before):
                    assign(own, before)
                case ((list() | bytearray()) as own, before):
                    own[:] = before
                case (own, before):
                    own.clear()
                    own.update(before)
        self.noted.clear()
        self.room = MAX_UNDONE
