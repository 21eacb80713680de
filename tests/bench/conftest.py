"""Kernels run here."""

import pytest


@pytest.fixture(autouse=True)
def _interpreted(interpreter):
    """Every test of this folder may run one."""
