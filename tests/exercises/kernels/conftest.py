"""Programs beside the tests, each in a process of its own: Triton asks once."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lib.kernels.core.compiler import MISSING

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))


@pytest.fixture(scope="module")
def result_of():
    """Run a program of this folder in another one; the JSON that it prints."""
    if MISSING is not None:
        pytest.skip("Triton is not installed")

    def run(program, folder):
        done = subprocess.run(
            [sys.executable, HERE / program],
            capture_output=True,
            text=True,
            cwd=folder,
            env=os.environ | {"PYTHONPATH": str(HERE.parents[2])},
        )
        assert done.returncode == 0, done.stderr[-2000:]
        return json.loads(done.stdout)

    return run
