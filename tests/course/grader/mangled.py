"""What editors and habits do to a notebook: the model solution of hw_formats, mangled.

mangle(nb, desk): changes nb in place, or returns what is handed in instead
"""

import copy
import json

NAME, ALL = "hw_formats", 11.0
WRITTEN = "why_two_formats"
FUNCTIONS = (
    *("decode", "number_line", "round_nearest", "overflow", "round_stochastic"),
    *("mxfp4", "nvfp4"),
)
PASSING = "def own_work(*_): pass\nprint('all tests passed')"


def loaded(text):
    nb = json.loads(text)
    for c in nb["cells"]:
        c["source"] = "".join(c["source"])
    return nb


def name_of(c):
    return c["metadata"].get("nbgrader", {}).get("grade_id")


def cell(nb, name):
    return next(c for c in nb["cells"] if name_of(c) == name)


def place(nb, name):
    return nb["cells"].index(cell(nb, name))


def source_of(nb, name):
    return cell(nb, name)["source"]


def own(source, kind="code"):
    """A cell of a student's own."""
    made = {"cell_type": kind, "metadata": {}, "source": source, "id": "own"}
    return made | ({"outputs": [], "execution_count": None} if kind == "code" else {})


# ------------------------------------------------------------------ names lost


def stripped(nb, desk):
    for number, c in enumerate(nb["cells"]):
        c["metadata"], c["id"] = {}, f"{number}"


def stripped_and_one_id_for_all(nb, desk):
    for c in nb["cells"]:
        c["metadata"], c["id"] = {}, "decode"


def stripped_and_reversed(nb, desk):
    nb["cells"].reverse()
    stripped(nb, desk)


def stripped_and_cards_deleted(nb, desk):
    answer = cell(nb, WRITTEN)
    nb["cells"] = [c for c in nb["cells"] if c["cell_type"] == "code" or c is answer]
    stripped(nb, desk)


def colab(nb, desk):
    nb["cells"].insert(0, own("from google.colab import drive\n%cd /content/drive"))
    stripped(nb, desk)
    for c in nb["cells"]:
        c["metadata"] = {"id": c.pop("id"), "outputId": "x"}
    nb["nbformat_minor"] = 0


def nbformat_3(nb, desk):
    code, text = {"language": "python", "outputs": []}, {}
    cells = [
        {"cell_type": c["cell_type"], "metadata": {}}
        | (code | {"input": c["source"]} if c["cell_type"] == "code" else text)
        | ({} if c["cell_type"] == "code" else {"source": c["source"]})
        for c in nb["cells"]
    ]
    return {"nbformat": 3, "nbformat_minor": 0, "worksheets": [{"cells": cells}]}


def turned_to_text(nb, desk):
    cell(nb, "decode")["cell_type"] = "markdown"
    cell(nb, "overflow")["cell_type"] = "raw"
    stripped(nb, desk)


# ------------------------------------------------------------------ magics


def magics(nb, desk):
    above = [
        *("%%time\n", "%%timeit\n", "%%capture out\n", "!pip install einops\n"),
        *("%pip install x\n%matplotlib inline\n", "%load_ext autoreload\n"),
        "torch.round?\n%autoreload 2\nfiles = !ls\n",
    ]
    for name, line in zip(FUNCTIONS, above, strict=True):
        cell(nb, name)["source"] = line + source_of(nb, name)


def stripped_magics(nb, desk):
    magics(nb, desk)
    stripped(nb, desk)


def prompts(nb, desk):
    lines = source_of(nb, "decode").rstrip().split("\n")
    cell(nb, "decode")["source"] = "\n".join([">>> " + lines[0], *lines[1:]])


# ------------------------------------------------------------------ cells moved


def cut_in_a_function(nb, desk):
    here, lines = place(nb, "mxfp4"), source_of(nb, "mxfp4").split("\n")
    other = copy.deepcopy(nb["cells"][here]) | {"id": "other"}
    nb["cells"].insert(here + 1, other)
    nb["cells"][here]["source"] = "\n".join(lines[:4])
    other["source"] = "\n".join(lines[4:])


def cut_and_stripped(nb, desk):
    cut_in_a_function(nb, desk)
    stripped(nb, desk)


def cut_between_helper_and_answer(nb, desk):
    here = place(nb, "mxfp4")
    nb["cells"].insert(here, copy.deepcopy(nb["cells"][here]))
    nb["cells"][here]["source"] = "def amax(x):\n    return x.amax(-1, keepdim=True)"
    answer = nb["cells"][here + 1]
    answer["source"] = answer["source"].replace(
        "blocks.abs().amax(-1, keepdim=True)", "amax(blocks.abs())"
    )


def an_older_version_above(nb, desk):
    here = place(nb, "decode")
    nb["cells"].insert(here, copy.deepcopy(nb["cells"][here]))
    nb["cells"][here]["source"] = "def decode(code, e, m):\n    return 7"


def answered_below_the_stub(nb, desk):
    here = place(nb, "decode")
    nb["cells"].insert(here + 1, own(source_of(nb, "decode")))
    nb["cells"][here]["source"] = desk.stub("decode")


def answered_above_the_stub(nb, desk):
    here = place(nb, "decode")
    nb["cells"].insert(here, own(source_of(nb, "decode")))
    nb["cells"][here + 1]["source"] = desk.stub("decode")


def all_in_one_cell_at_the_end(nb, desk):
    nb["cells"].append(own("\n\n".join(source_of(nb, name) for name in FUNCTIONS)))
    for name in FUNCTIONS:
        cell(nb, name)["source"] = desk.stub(name)


def all_in_the_first_answer(nb, desk):
    whole = "\n\n".join(source_of(nb, name) for name in FUNCTIONS)
    nb["cells"] = [c for c in nb["cells"] if name_of(c) not in FUNCTIONS[1:]]
    cell(nb, "decode")["source"] = whole


def answered_in_the_test(nb, desk):
    test = cell(nb, "test_decode")
    test["source"] = f"{test['source']}\n\n{source_of(nb, 'decode')}"
    nb["cells"].remove(cell(nb, "decode"))


def answered_in_a_test_that_was_edited(nb, desk):
    test = cell(nb, "test_decode")
    edited = test["source"].replace("got", "mine")
    test["source"] = f"{edited}\n\n{source_of(nb, 'decode')}"
    cell(nb, "decode")["source"] = "# below"


def imports_in_our_first_cell(nb, desk):
    cell(nb, "setup")["source"] += "\nimport numpy as np"
    answer = cell(nb, "overflow")
    answer["source"] = answer["source"].replace(
        "    beyond", "    np.ones(1)\n    beyond"
    )


def git_s_conflict(nb, desk):
    mine = source_of(nb, "decode").rstrip()
    other = "def decode(a, b, c):\n    return 3"
    cell(nb, "decode")["source"] = (
        f"<<<<<<< HEAD\n{mine}\n=======\n{other}\n>>>>>>> origin/main"
    )


def git_s_conflict_in_counters(nb, desk):
    count = '   "execution_count": {},\n'
    both = f"<<<<<<< HEAD\n{count.format(3)}=======\n{count.format(4)}>>>>>>> other\n"
    return json.dumps(nb, indent=1).replace(count.format("null"), both).encode()


# ------------------------------------------------------------------ what is in them


def withheld_but_unused(nb, desk):
    nb["cells"].insert(2, own("import lib.formats, numpy as np\nTWO = 2"))
    for name in ("decode", "overflow"):
        line = "from lib.formats import *\nimport ml_dtypes\n"
        cell(nb, name)["source"] = line + source_of(nb, name)
    answer = cell(nb, "overflow")
    answer["source"] = answer["source"].replace(
        "    end =", "    np.ones(TWO)\n    end ="
    )


def large_outputs(nb, desk):
    lines = ["[" * 40 + "{" * 40 + "\n"] * 12_000
    shown = {"output_type": "stream", "name": "stdout", "text": lines}
    cell(nb, "decode")["outputs"] = [shown]
    state = {"state": {"a": [], "b": {}}}
    nb["metadata"]["widgets"] = {f"{number}": state for number in range(100_000)}
    nb["metadata"]["loss"] = float("nan")


def nearly_numbers_and_lists(nb, desk):
    decode, line = cell(nb, "decode"), cell(nb, "number_line")
    decode["source"] = "from fractions import Fraction\n" + decode["source"].replace(
        "return sign", "value = sign"
    )
    decode["source"] += "\n    return Fraction(value) if value else value"
    line["source"] = "from collections import UserList\n" + line["source"].replace(
        "return numbers", "return UserList(numbers)"
    )


# ------------------------------------------------------------------ words


def words_elsewhere(nb, desk, kind):
    here = place(nb, WRITTEN)
    nb["cells"].insert(here + 1, own(source_of(nb, WRITTEN), kind))
    nb["cells"][here]["source"] = desk.stub(WRITTEN)


def words_in_a_cell_below(nb, desk):
    words_elsewhere(nb, desk, "markdown")


def words_in_a_cell_of_code(nb, desk):
    words_elsewhere(nb, desk, "code")


def words_under_the_question(nb, desk):
    here = place(nb, WRITTEN)
    nb["cells"][here - 1]["source"] += f"\n\n{source_of(nb, WRITTEN)}"
    del nb["cells"][here]


def words_in_two_cells(nb, desk):
    here, words = place(nb, WRITTEN), source_of(nb, WRITTEN).split(" ")
    nb["cells"].insert(here + 1, copy.deepcopy(nb["cells"][here]) | {"id": "b"})
    nb["cells"][here]["source"] = " ".join(words[:9])
    nb["cells"][here + 1]["source"] = " ".join(words[9:])


def words_beside_a_screenshot(nb, desk):
    picture = f"\n![x](data:image/png;base64,{'iVBORw0K' * (1 << 18)})"
    cell(nb, WRITTEN)["source"] += picture


def words_anywhere(nb, desk):
    nb["cells"].insert(3, nb["cells"].pop(place(nb, WRITTEN)))
    stripped(nb, desk)
