"""Who may start early: nobody by default, a row of our own kernels when it says so."""

from types import SimpleNamespace

import pytest
import torch
from torch._subclasses import FakeTensorMode

from lib.decode import graph
from lib.decode.graph import Writer
from lib.kernels.core import compiler
from lib.kernels.core.compiler import chained, pdl_options

with FakeTensorMode():  # tensors of a GPU that is not there
    HOPPER, OLDER = (torch.ones(1, device=f"cuda:{i}") for i in range(2))
PLAIN, EARLY = {"PDL": False}, {"PDL": True, "launch_pdl": True}


@pytest.fixture(autouse=True)
def _capability(monkeypatch):
    known = {HOPPER.device: (9, 0), OLDER.device: (8, 0)}
    monkeypatch.setattr(compiler, "_capability", known.__getitem__)


def test_a_launch_is_plain_but_inside_of_a_chain():
    assert pdl_options(HOPPER) == PLAIN
    with chained():
        assert pdl_options(HOPPER) == EARLY
        with chained():
            pass
        assert pdl_options(HOPPER) == EARLY
    assert pdl_options(HOPPER) == PLAIN


def test_a_chain_that_fails_ends():
    with pytest.raises(ZeroDivisionError), chained():
        1 / 0  # noqa: B018
    assert pdl_options(HOPPER) == PLAIN


def test_the_kernels_of_one_call_are_chained_anywhere():
    """The first one is launched plainly, and lets the second one start."""
    assert pdl_options(HOPPER, followed=True) == {"PDL": True}
    assert pdl_options(HOPPER, follows=True) == EARLY


def test_where_there_is_no_such_launch_nothing_asks_for_it():
    with chained():
        for x in (OLDER, torch.ones(1)):
            assert pdl_options(x, follows=True, followed=True) == PLAIN


def test_a_step_of_the_engine_is_a_chain(monkeypatch):
    seen = []

    def stop(*_):
        seen.append(pdl_options(HOPPER))
        raise StopIteration

    monkeypatch.setattr(graph, "embedded", stop)
    nothing = SimpleNamespace(texts=None, lengths=None, table=None, first=None)
    with pytest.raises(StopIteration):
        Writer.step(nothing)
    assert seen == [EARLY] and pdl_options(HOPPER) == PLAIN
