"""Run lectures in fresh kernels and compare every output with the stored one, by nbval.

    python tests/notebooks/compare.py notebooks/02_number_formats.ipynb …

A pytest run of its own: the suite's options (warnings as errors, shapes executed) would
reach only nbval's process, never the kernel in which the notebook runs.
Compared: stdout, values, tables. Not compared: figures, stderr (progress bars), and a
cell that shows a widget. `sanitize.cfg` forgives late digits and timings.
"""

import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
WIDGET = "application/vnd.jupyter.widget-view+json"
NOT_COMPARED = ("stderr", "image/svg+xml", "application/pdf")
OPTIONS = [
    f"--config-file={HERE / 'nbval.ini'}",
    f"--rootdir={HERE.parents[1]}",
    "--nbval",
    "--nbval-current-env",
    "--nbval-cell-timeout=300",
    f"--nbval-sanitize-with={HERE / 'sanitize.cfg'}",
    "--color=no",
    "-q",
]


class Rules:
    """nbval's documented hook, and two rules that it has no option for."""

    def pytest_collectstart(self, collector: pytest.Collector) -> None:
        """Add to the kinds of output that nbval does not compare."""
        if hasattr(collector, "skip_compare"):
            collector.skip_compare += NOT_COMPARED

    def pytest_itemcollected(self, item: pytest.Item) -> None:
        """Compare nothing of a cell that shows a widget; let `;` silence a last value.

        A widget has no stored outputs. And nbval runs cells outside IPython's history,
        which is where IPython looks for the semicolon.
        """
        compare = item.compare_outputs
        if item.cell.source.rstrip().endswith(";"):
            item.cell.source += "\nNone"

        def compare_unless_widget(test: list, ref: list, skip_compare=None) -> bool:
            shows_widget = any(WIDGET in output.get("data", {}) for output in test)
            return shows_widget or compare(test, ref, skip_compare)

        item.compare_outputs = compare_unless_widget


def main(notebooks: list[str]) -> int:
    """Compare the notebooks; pytest's exit code."""
    return pytest.main([*OPTIONS, *notebooks], plugins=[Rules()])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
