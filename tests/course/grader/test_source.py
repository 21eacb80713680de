"""source: what IPython accepts is Python, and its magics do nothing."""

import pytest

from course.grader.judging.conflicts import sides
from course.grader.judging.source import (
    MAGIC,
    MAX_READ,
    Facts,
    definitions,
    functions,
    joined,
    plain,
    without,
)

F = "def f(x):\n    return x"


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (F, F),
        (f"%%time\n{F}", f"# %%time\n{F}"),
        (
            f"\n%%capture out\n\n%%timeit\n{F}\n",
            f"\n# %%capture out\n\n# %%timeit\n{F}",
        ),
        (f"!pip install 'x\n{F}", f"None\n{F}"),
        (f"%matplotlib inline\nf?\n{F}", f"None\nNone\n{F}"),
        ("%time y = 1\n%timeit -n 2 y", "y = 1\nNone"),
        ("a = !ls\nb = %time 3", "a = []\nb = 3"),
        ("x = '''\n%time\n'''\n%cd x", "x = '''\n%time\n'''\nNone"),
        ("x = (7\n  % 4)\n%cd x", "x = (7\n  % 4)\nNone"),
        (">>> def f(x):\n...     return x", F),
        ("%%bash\nrm -r x", "# %%bash\n# rm -r x\n"),
        ("%%writefile mine.py\nx = 1", "%%writefile mine.py\nx = 1"),
        ("def f(:", "def f(:"),
    ],
)
def test_magics_are_inert_and_what_they_wrap_is_code(typed, meant):
    assert plain(typed) == meant


def test_what_takes_too_long_to_read_stays_as_it_is():
    long = "%x\n" * MAX_READ
    assert plain(long) == long and Facts.of(long).defines == frozenset()


def test_facts_of_a_cell():
    whole = Facts.of(f"%%time\n{F}\ng = lambda: 1\nh = f(2)")
    assert whole.defines == {"f", "g"} and not (whole.cut or whole.idle or whole.empty)
    assert Facts.of("# only this").empty
    assert Facts.of("print(1)").idle
    assert Facts.of("    return 1").cut and Facts.of("def f(").cut
    assert functions("def b(): 1\ndef a(): 1") == ["b", "a"]


def test_definitions_leave_what_is_tried_out():
    tried = (
        f"import math\nK = 2\n@staticmethod\n{F}\ny = f(K)\nprint(y)\nfor _ in K: f(K)"
    )
    assert definitions(tried, "f") == f"import math\nK = 2\n@staticmethod\n{F}"


@pytest.mark.parametrize(
    "pieces",
    [
        ["def f(x):", "    return x"],
        ["def f(x):\n    ", "return x"],
        ["def f(x):\n    if x:", "        return 1\n    return 2"],
    ],
)
def test_a_function_that_was_cut_is_joined(pieces):
    assert functions(joined(pieces)) == ["f"] and "return" in joined(pieces)


def test_what_makes_no_python_is_not_joined():
    assert joined(["def f(:", "    return x"]) is None
    assert joined(["x = 1", "return x"]) is None


def test_an_import_of_what_is_withheld_goes_and_the_rest_of_it_stays():
    source = (
        "import math, lib.formats as r, os; x = 'lib.formats é'\n"
        "from lib import formats, cost\nfrom lib.formats import (\n    a,\n    b,\n)\n"
        "def f():\n    import lib.formats"
    )
    left, gone = without(source, ("lib.formats",))
    assert left == (
        "import math, os; x = 'lib.formats é'\nfrom lib import cost\npass\n"
        "def f():\n    import lib.formats"
    )
    assert gone[0] == "import math, lib.formats as r, os" and len(gone) == 3
    assert without(source, ("lib.format",)) == (source, [])


def test_the_sides_of_a_conflict():
    text = "a\n<<<<<<< HEAD\nb\n||||||| base\nc\n=======\nd\n>>>>>>> other\ne\n"
    assert sides(text) == ["a\nb\ne\n", "a\nd\ne\n"]
    assert sides("Title\n=======\n") == sides("<<<<<<< HEAD\n") == []


def test_empty_lines_are_read_once():
    assert not MAGIC.findall("x y\n" + "\n" * 4_000_000 + "z w")
