"""JupyterLab as a person sees it: what the journey does, said once in its own words.

`Lab` is the whole window, `Notebook` one open notebook, `Formgrader` nbgrader's pages.
The selectors are those of JupyterLab 4.6 and nbgrader 0.9.6.
"""

import json
import time
from pathlib import Path

from playwright.sync_api import Page, expect

SECOND = 1000  # milliseconds, in which Playwright counts
STARTS = 300 * SECOND  # a page, a kernel or a check on a busy machine


class Lab:
    """One JupyterLab window at `address`, over the files under `root`."""

    def __init__(self, page: Page, address: str, root: Path):
        self.page, self.root = page, root
        self.base, _, query = address.partition("/lab/")
        self.token = query.partition("?")[2]

    def open(self, path: str) -> "Notebook":
        """Open the notebook at `path`, and wait until its kernel is ready."""
        self.visit(path)
        self.page.locator(".jp-Notebook .jp-Cell").first.wait_for(timeout=STARTS)
        self.page.get_by_text("(ipykernel) | Idle").wait_for(timeout=STARTS)
        return Notebook(self.page, self.root / path)

    def open_map(self) -> None:
        """Open the README, as `make lab` does."""
        self.visit("README.md")
        self.page.locator(".jp-RenderedMarkdown h1").wait_for(timeout=STARTS)

    def visit(self, path: str) -> None:
        """Open `path` in a window without other tabs."""
        self.page.goto(f"{self.base}/lab/tree/{path}?reset&{self.token}")
        self.page.locator("#jupyterlab-splash").wait_for(
            state="detached", timeout=STARTS
        )

    def has_menu(self, name: str) -> bool:
        """Whether the menu bar has `name`."""
        return self.menu(name).count() > 0

    def menu(self, name: str):
        """The menu bar's item `name`."""
        return self.page.locator(f"#jp-MainMenu .lm-MenuBar-item:has-text('{name}')")

    def open_formgrader(self) -> "Formgrader":
        """Open nbgrader's Formgrader from its menu."""
        self.menu("Nbgrader").click()
        self.page.locator("[data-command='nbgrader:open-formgrader']").click()
        self.page.locator("iframe[src*=formgrader]").wait_for(timeout=STARTS)
        return Formgrader(self.page)


class Notebook:
    """An open notebook, kept in `file`."""

    def __init__(self, page: Page, file: Path):
        self.page, self.file = page, file

    def run_all(self, *, timeout_s: float) -> list[dict]:
        """Run every cell; return when the saved file shows that the last has run."""
        self.page.locator("#jp-MainMenu .lm-MenuBar-item:has-text('Run')").click()
        self.page.locator("[data-command='runmenu:run-all']").click()
        deadline = time.monotonic() + timeout_s
        cells = self.save_and_read()
        while any(cell["execution_count"] is None for cell in cells):
            assert not errors(cells), errors(cells)
            assert time.monotonic() < deadline, f"still running after {timeout_s} s"
            time.sleep(1)
            cells = self.save_and_read()
        return cells

    def save_and_read(self) -> list[dict]:
        """Save, and return the file's code cells."""
        with self.page.expect_response(
            lambda response: (
                response.request.method == "PUT" and self.file.name in response.url
            ),
            timeout=STARTS,
        ) as saved:
            self.page.locator(".jp-Toolbar [data-command='docmanager:save']").click()
        assert saved.value.ok, saved.value.status_text
        cells = json.loads(self.file.read_text())["cells"]
        return [cell for cell in cells if cell["cell_type"] == "code"]

    def type_over(self, marker: str, source: str) -> None:
        """Replace the text of the code cell that contains `marker`, by typing."""
        editor = self.page.locator(f".jp-CodeCell:has-text('{marker}') .cm-content")
        editor.first.click()
        self.page.keyboard.press("Control+a")
        self.page.keyboard.insert_text(source)
        expect(editor.first).to_contain_text(source.splitlines()[-1].strip())
        self.save_and_read()

    def validate(self) -> str:
        """Press Validate, and return what the dialog says, once closed."""
        self.page.locator("jp-button.validate-button").click()
        dialog = self.page.locator(".jp-Dialog", has_text="Validation Results")
        dialog.wait_for(timeout=STARTS)
        verdict = dialog.inner_text()
        dialog.locator(".jp-mod-accept").click()
        dialog.wait_for(state="detached")
        return verdict


def forget_outputs(file: Path) -> None:
    """Take the outputs and counts out of a notebook, so that a run must make them."""
    notebook = json.loads(file.read_text())
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            cell |= {"outputs": [], "execution_count": None}
    file.write_text(json.dumps(notebook))


def errors(cells: list[dict]) -> list[str]:
    """What the code cells raised."""
    return [
        f"{output['ename']}: {output['evalue']}"
        for cell in cells
        for output in cell["outputs"]
        if output["output_type"] == "error"
    ]


class Formgrader:
    """nbgrader's pages, inside JupyterLab's frame."""

    def __init__(self, page: Page):
        self.frame = page.frame_locator("iframe[src*=formgrader]")

    def submissions(self, homework: str) -> "Formgrader":
        """Follow the number of submissions of `homework` to their table."""
        row = self.frame.locator("tr", has=self.frame.get_by_text(homework, exact=True))
        row.locator("td.num-submissions a").click(timeout=STARTS)
        return self

    def row_of(self, student: str) -> str:
        """The words of the row of `student`."""
        row = self.frame.locator("tbody tr", has_text=student).first
        row.wait_for(timeout=STARTS)
        return " ".join(row.inner_text().split())


class Grading:
    """One submission on the formgrader's page, where a person reads and marks."""

    def __init__(self, lab: Lab, submission: str):
        self.page = lab.page
        address = f"{lab.base}/formgrader/submissions/{submission}/?index=0"
        self.page.goto(f"{address}&{lab.token}")
        self.page.locator("input.score").first.wait_for(timeout=STARTS)
        self.page.wait_for_function("typeof formgrader != 'undefined'")
        self.page.wait_for_load_state("networkidle")

    def words(self) -> str:
        """All that the page shows."""
        return self.page.locator("body").inner_text()

    def mark(self, grade_id: str, points: float) -> None:
        """Give points by hand, and wait until they are kept."""
        self._fill(f"input.score[id='{grade_id}']", str(points), "grade")

    def comment(self, grade_id: str, words: str) -> None:
        """Write a comment, and wait until it is kept."""
        self._fill(f"textarea[id='{grade_id}-comment']", words, "comment")

    def _fill(self, selector: str, text: str, kept: str) -> None:
        field = self.page.locator(selector)
        with self.page.expect_response(
            lambda response: (
                response.request.method == "PUT" and f"/api/{kept}/" in response.url
            )
        ) as saved:
            field.fill(text)
            field.blur()
        assert saved.value.ok, saved.value.status_text
