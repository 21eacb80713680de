"""What several folders of tests share: a copy of the course to dirty; models; kernels.

Kernels run on the GPU where there is one, else in Triton's interpreter. It has to be
asked for before Triton is imported, and transformers imports it. So before anything
imports a kernel of `lib`, Triton is forgotten and imported anew, with its compiled part
as it is. Tests that run a kernel take the fixture `interpreter`; outside of them the
variable is as it was.

No example of a property has a limit of time: a busy machine would break it.
"""

import shutil
import sys
import warnings
from pathlib import Path

import jaxtyping
import pytest
import torch
from hypothesis import settings
from transformers import LlamaConfig, LlamaForCausalLM

from lib.models.load import load_model

settings.register_profile("course", deadline=None)
settings.load_profile("course")

ROOT = Path(__file__).parents[1]
COPIED = ("course", "lib", "notebooks", "solutions", "tools", "Makefile", "README.md")
FOR_THE_ENVIRONMENT = ("constraints.txt", "environment.yml", "pyproject.toml")
SLOW = ("test_gates.py", "test_nbval.py", "browser/", "tests/course/")
GENERATED = shutil.ignore_patterns(
    *("release", "submitted", "autograded", "feedback", "exchange"),
    *("gradebook.db", ".nbgrader.log", ".ipynb_checkpoints", "__pycache__"),
)


DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
ASK = "TRITON_INTERPRET"


def import_interpreted():
    """Import the kernels with Triton's interpreter under them."""
    if "lib.kernels.core.compiler" in sys.modules:
        return
    for name in list(sys.modules):
        if name.startswith("triton") and not name.startswith("triton._C"):
            del sys.modules[name]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(ASK, "1")
        import lib.kernels  # noqa: F401


if DEVICE == "cpu":
    import_interpreted()


def pytest_collection_modifyitems(items):
    """Begin with what takes minutes, so that no worker ends long after the others."""
    items.sort(key=lambda item: not any(slow in item.nodeid for slow in SLOW))


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A fresh copy of what students and instructors use, without anything generated."""
    copy = tmp_path_factory.mktemp("checkout") / "course"
    copy.mkdir()
    for name in COPIED + FOR_THE_ENVIRONMENT:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, copy / name, ignore=GENERATED)
        elif source.exists():
            shutil.copy(source, copy / name)
    return copy


@pytest.fixture(scope="session")
def smollm2():
    """(model, tokenizer) of SmolLM2; a test that changes the model must restore it."""
    return load_model()


def llama_of(**settings):
    """A Llama of 2 layers and 40 tokens, or as `settings` say, with random weights."""
    torch.manual_seed(0)
    shape = {
        "vocab_size": 40,
        "hidden_size": 16,
        "intermediate_size": 24,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "max_position_embeddings": 64,
    }
    config = LlamaConfig(**shape | settings)
    return LlamaForCausalLM(config).eval().requires_grad_(False)


@pytest.fixture
def small_llama():
    """A maker of such models: `small_llama(num_hidden_layers=1)`."""
    return llama_of


@pytest.fixture
def tiny_llama():
    """The model of most tests, its head tied to the embeddings."""
    return llama_of(tie_word_embeddings=True)


@pytest.fixture
def interpreter(monkeypatch):
    """Triton asks for the variable again while an interpreted kernel runs."""
    if DEVICE == "cpu":
        monkeypatch.setenv(ASK, "1")


@pytest.fixture(scope="session")
def device():
    """Where the kernels of this run live; skips where there is no Triton at all."""
    from lib.kernels.core.compiler import INTERPRETED, MISSING

    if MISSING is not None:
        pytest.skip("Triton is not installed")
    assert DEVICE == "cuda" or INTERPRETED, f"set {ASK}=1 before anything imports lib"
    return DEVICE


@pytest.fixture
def by_kernel(device):
    """`by_kernel(name, launch)`: on a CPU the operation `name` now calls `launch`.

    Only what is registered for the CPU changes, as the dispatcher sees it: plain
    functions, with which a test compares, stay as they are. On a GPU kernels are
    registered anyhow. `by_kernel.ran` lists the operations that ran so.
    """
    library = torch.library.Library("llm_compression", "IMPL")

    def register(name, launch):
        def call(*arguments):
            register.ran.append(name)
            return launch(*arguments)

        if device == "cpu":
            with warnings.catch_warnings():  # torch says that something is overridden
                warnings.simplefilter("ignore")
                library.impl(name, call, "CPU", allow_override=True)

    register.ran = []
    yield register
    library._destroy()


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


@pytest.fixture
def as_a_user():
    """Without executed annotations, which would refuse bad shapes before `lib` does."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)
