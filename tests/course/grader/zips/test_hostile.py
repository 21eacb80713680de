"""Zips that are meant to harm: refused in bounded time, and nobody else suffers."""

import stat
import zipfile

import pytest
from lms import NAME, NOTEBOOK, entry, zipped

from course.grader.judging.parsing import MAX_FILE
from course.grader.zips import collect
from course.grader.zips.collect import Options
from course.grader.zips.report import report


def bent(path, **facts):
    """An entry whose headers say what no honest one says."""
    info = entry(path)
    for name, value in facts.items():
        setattr(info, name, value)
    return info


HOSTILE = {
    "up": ("ada/../eve/hw_x.ipynb", NOTEBOOK, "leads out"),
    "absolute": ("/ada/hw_x.ipynb", NOTEBOOK, "leads out"),
    "drive": ("C:\\ada\\hw_x.ipynb", NOTEBOOK, "leads out"),
    "escape": ("eve/\x1b[2Jhw_x.ipynb", NOTEBOOK, "control characters"),
    "line": ("eve\nada: graded/hw_x.ipynb", NOTEBOOK, "control characters"),
    "turned": ("eve/\u202ebnypi.x_wh.ipynb", NOTEBOOK, "turn the text around"),
    "long": ("eve/" + "a" * 30_000 + ".ipynb", NOTEBOOK, "30,010 characters"),
    "device": (
        bent("eve/hw_x.ipynb", external_attr=(stat.S_IFBLK | 0o777) << 16),
        NOTEBOOK,
        "a device or a pipe",
    ),
    "bzip2": (
        bent("eve/hw_x.ipynb", compress_type=zipfile.ZIP_BZIP2),
        bytes(1 << 20),
        "unusual way",
    ),
    "empty": ("eve/hw_x.ipynb", b"", "0 bytes"),
    "bomb": ("eve/hw_x.ipynb", bytes(MAX_FILE + 1), "unpacks to more than"),
}


NOBODYS = [HOSTILE[key][0] for key in ("up", "absolute", "drive", "line", "long")]


@pytest.mark.parametrize(("name", "content", "why"), HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_entry_is_refused_and_harms_nobody_else_s(gather, name, content, why):
    found, works = gather({name: content, "ada/hw_x.ipynb": NOTEBOOK})
    assert works == {"ada": NOTEBOOK}
    ((_, told),) = found.refused
    assert why in told
    assert list(found.missing) == ([] if name in NOBODYS else ["eve"])
    assert report(found, Options(), verbose=True).replace("\n", "").isprintable()


def test_of_one_student_s_many_bombs_a_bounded_number_is_unpacked(gather, monkeypatch):
    monkeypatch.setattr(collect, "MAX_READ", 3 << 20)
    bombs = {f"eve/{n}/hw_x.ipynb": bytes([n]) * (1 << 20) for n in range(9)}
    found, works = gather(bombs | {f"{s}/hw_x.ipynb": NOTEBOOK for s in ("ada", "bob")})
    assert works == {"ada": NOTEBOOK, "bob": NOTEBOOK}
    assert sum("altogether" in why for _, why in found.over) == 6


def test_a_directory_of_a_million_entries_is_refused_before_it_is_read(tmp_path):
    header = bytearray(46)
    header[:4], header[28] = b"PK\x01\x02", 14
    directory = (bytes(header) + b"ada/hw_x.ipynb") * 1_000_000
    end = b"PK\x05\x06" + bytes(4) + b"\xff\xff\xff\xff"
    end += len(directory).to_bytes(4, "little") + bytes(6)
    (tmp_path / "lms.zip").write_bytes(directory + end)
    with pytest.raises(ValueError, match="directory is larger than any class's"):
        collect.collect(tmp_path / "lms.zip", NAME, tmp_path / "submitted")


def test_a_name_that_is_not_what_it_says_is_refused_alone(tmp_path):
    works = {"ada/hw_x.ipynb": NOTEBOOK, "eve/hw_é.ipynb": NOTEBOOK}
    archive = zipped(tmp_path / "lms.zip", works)
    archive.write_bytes(archive.read_bytes().replace("é".encode(), b"\xff\xfe"))
    found = collect.collect(archive, NAME, tmp_path / "submitted")
    assert found.students == ["ada"]
    assert "eve" in found.missing


def test_a_local_header_that_disagrees_is_refused_alone(tmp_path):
    works = {"ada/hw_x.ipynb": NOTEBOOK, "eve/hw_x.ipynb": NOTEBOOK}
    archive = zipped(tmp_path / "lms.zip", works)
    content = archive.read_bytes()
    archive.write_bytes(content.replace(b"eve/", b"ada/", 1))  # the local one is first
    found = collect.collect(archive, NAME, tmp_path / "submitted")
    assert found.students == ["ada"]
    assert "it cannot be read" in found.missing["eve"]
