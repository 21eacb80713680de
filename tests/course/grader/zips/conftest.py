"""Zip, and collect."""

import pytest
from lms import NAME, RELEASES, handed_in, zipped

from course.grader.zips import collect
from course.grader.zips.collect import Options


@pytest.fixture
def gather(tmp_path):
    """Zip {name: bytes} and collect it: what came of it, and what lies there then."""

    def gather(entries, **options):
        archive = zipped(tmp_path / "lms.zip", entries)
        options = Options(releases=RELEASES, **options)
        found = collect.collect(archive, NAME, tmp_path / "submitted", options)
        return found, handed_in(tmp_path / "submitted")

    return gather
