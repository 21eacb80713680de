"""One warm box for all tests of the grader; they need bubblewrap, and CI has it."""

import os
import shutil
from dataclasses import replace

import pytest

from course.grader.box.box import Box
from course.grader.terms import Limits

LIMITS = Limits(call_s=6, total_s=30, memory=2 << 30, files=8 << 20, processes=24)


@pytest.fixture(scope="session")
def box():
    if not shutil.which("bwrap") and os.environ.get("CI") != "true":
        pytest.skip("the grader's tests need bubblewrap: apt-get install bubblewrap")
    with Box(("lib.quant", "ml_dtypes"), LIMITS) as box:
        yield box


@pytest.fixture
def brief(box):
    """Limits to run into; what ends well below them may take its time."""
    return replace(box.limits, test_s=2, call_s=5)


@pytest.fixture
def sandbox(box):
    with box.sandbox() as sandbox:
        yield sandbox
