"""Who may import whom, by import-linter's contracts; and types, by mypy."""

import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
LINTER = Path(sys.executable).with_name("lint-imports")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def lint(folder):
    return subprocess.run(
        [LINTER, "--no-cache", "--config", ROOT / "pyproject.toml"],
        cwd=folder,
        capture_output=True,
        text=True,
    )


def test_every_contract_is_kept():
    done = lint(ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    contracts = PROJECT["tool"]["importlinter"]["contracts"]
    assert f"Contracts: {len(contracts)} kept, 0 broken" in done.stdout


def test_an_import_upwards_breaks_one(checkout):
    grid = checkout / "lib/quant/uniform/grid.py"
    grid.write_text(grid.read_text() + "\nfrom lib.models import walk  # noqa\n")
    done = lint(checkout)
    assert (
        done.returncode != 0 and "lib.quant.uniform.grid -> lib.models" in done.stdout
    )


def test_types_hold_where_tensors_do_not():
    done = subprocess.run(
        [sys.executable, "-m", "mypy"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
