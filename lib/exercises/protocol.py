"""What a judge may ask of a student's function that a grader hands to a test.

    function(...)                      call it where the student's notebook ran
    function.source                    the text of its cell, in the submitted file
    function.isolated(source, name)    the function `name` of a text, isolated

*Isolated*: in a fresh process that has run the course's own cells and then the text,
and no other cell of the student's. So what is called is what was read.

In a student's own notebook a test gets the plain function, which has none of this, and
a judge takes it as it is. A grader's stand-in implements `StudentFunction` by
declaration.
"""

from abc import abstractmethod
from typing import Any, Protocol, runtime_checkable


@runtime_checkable
class StudentFunction(Protocol):
    """A student's function in a grader's hands, of which a test may ask three things.

    `__name__` is the function's name, and `source` the text of the cell that defines
    it, as it was submitted: a judge reads it, and runs nothing of it.
    """

    __name__: str
    source: str

    @abstractmethod
    def isolated(self, source: str, name: str) -> "StudentFunction":
        """The function `name` of the text `source`, isolated; lasts until the next.

        `source` is run as it stands: read it before.
        """

    @abstractmethod
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call it with plain data, and return plain data.

        As in Python, an argument that it changes in place is changed for the caller.
        Raises what the student's function raised, or the grader's own exception where
        the call hit a limit.
        """
