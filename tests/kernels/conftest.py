"""Kernels run on the GPU where there is one, else in Triton's interpreter.

The interpreter has to be asked for before Triton is imported, and transformers, which
every worker has by now, imports it. So where nobody holds a kernel of `lib` yet, Triton
is forgotten and imported anew, with its compiled part as it is. Outside these tests the
variable is as it was.
"""

import sys

import pytest
import torch

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
ASK = "TRITON_INTERPRET"


def import_interpreted():
    """Import the kernels with Triton's interpreter under them."""
    if "lib.kernels.compiler" in sys.modules:
        return
    for name in list(sys.modules):
        if name.startswith("triton") and not name.startswith("triton._C"):
            del sys.modules[name]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(ASK, "1")
        import lib.kernels  # noqa: F401


if DEVICE == "cpu":
    import_interpreted()


@pytest.fixture(autouse=DEVICE == "cpu")
def interpreter(monkeypatch):
    """Triton asks for the variable again while an interpreted kernel runs."""
    monkeypatch.setenv(ASK, "1")


@pytest.fixture(scope="session")
def device():
    """Where the kernels of this run live; skips where there is no Triton at all."""
    from lib.kernels.compiler import INTERPRETED, MISSING

    if MISSING is not None:
        pytest.skip("Triton is not installed")
    assert DEVICE == "cuda" or INTERPRETED, f"set {ASK}=1 before anything imports lib"
    return DEVICE


@pytest.fixture
def generator():
    """Random numbers of this test, drawn on the CPU: the same on every machine."""
    return torch.Generator().manual_seed(0)


@pytest.fixture
def poisoned(monkeypatch):
    """What a kernel leaves unwritten is NaN, or 1 of an integer, and shows."""
    empty = torch.Tensor.new_empty

    def poison(*args, **kwargs):
        out = empty(*args, **kwargs)
        return out.fill_(torch.nan if out.is_floating_point() else 1)

    monkeypatch.setattr(torch.Tensor, "new_empty", poison)
