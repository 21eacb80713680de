"""What several folders of tests share: a copy of the course to dirty; two models."""

import shutil
from pathlib import Path

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from lib.models.load import load_model

ROOT = Path(__file__).parents[1]
COPIED = ("course", "lib", "notebooks", "solutions", "tools", "Makefile", "README.md")
FOR_THE_ENVIRONMENT = ("constraints.txt", "environment.yml", "pyproject.toml")
SLOW = ("test_gates.py", "test_nbval.py", "browser/", "tests/course/")
GENERATED = shutil.ignore_patterns(
    *("release", "submitted", "autograded", "feedback", "exchange"),
    *("gradebook.db", ".nbgrader.log", ".ipynb_checkpoints", "__pycache__"),
)


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


@pytest.fixture
def tiny_llama():
    """A Llama of 2 layers and 40 tokens, with random weights and a tied head."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=40,
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=64,
        tie_word_embeddings=True,
    )
    return LlamaForCausalLM(config).eval().requires_grad_(False)
