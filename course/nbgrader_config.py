"""The nbgrader course: where its folders are, and how a submission is run.

nbgrader's commands and JupyterLab's buttons read this file, because `tools/lab.py` puts
this folder on JUPYTER_CONFIG_PATH.
"""

from pathlib import Path

COURSE = Path(__file__).resolve().parent

c = get_config()  # a name that traitlets gives

c.CourseDirectory.course_id = "llm-compression"
c.CourseDirectory.root = str(COURSE)
c.Exchange.root = str(COURSE / "exchange")  # unused, but nbgrader wants it there
(COURSE / "exchange").mkdir(exist_ok=True)

# Running a submission: one slow cell ends, and the others still count.
c.Execute.timeout = 120  # seconds a cell; SmolLM2 loads and is measured in one
c.Execute.startup_timeout = 60
c.Execute.interrupt_on_timeout = True
c.Execute.extra_arguments = [
    "--HistoryManager.hist_file=:memory:",  # nbgrader's own
    # nbgrader takes all points for a line on stderr, and the box takes none: a warning
    # or a progress bar is no error, so that Validate and the grader give one verdict.
    "--IPKernelApp.exec_lines=import sys; sys.stderr = sys.stdout",
]
c.KernelManager.transport_encryption = "auto"  # no one on the machine listens in
c.LimitOutput.max_lines = 500
c.LimitOutput.max_traceback = 60

# For instructors

# `make grade` runs submissions in a box (course/grader). nbgrader's own autograde,
# command or button, is the plain way: a submission's cells and its tests share one
# process, under the account that grades. That stops no one who reads files or rewrites
# later cells: keep it for a class that you trust.

from nbconvert.preprocessors.sanitize import SanitizeHTML  # noqa: E402
from nbgrader.converters import Autograde  # noqa: E402

# The folders: solutions/ is the source, and there is no copy of it.
c.CourseDirectory.source_directory = "../solutions"
c.CourseDirectory.db_url = f"sqlite:///{COURSE / 'gradebook.db'}"

# The release: what a student sees in place of a solution.
c.ClearSolutions.code_stub = {
    "python": "# YOUR CODE HERE\nraise NotImplementedError",
}
c.ClearSolutions.text_stub = "*Your answer here.*"

# Script in a submission's markdown or outputs must not run in the instructor's page:
# of nbconvert's two ways only this preprocessor, placed last, stops it.
c.SanitizeHTML.enabled = True
c.Autograde.autograde_preprocessors = [
    *Autograde.autograde_preprocessors.default(),
    SanitizeHTML,
]
