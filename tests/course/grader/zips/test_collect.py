"""An LMS's zip: every student's notebook arrives, nothing else does."""

import io
import random
import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lms import NAME, NOTEBOOK, RELEASES, SCRATCH, entry, notebook, taken, zipped

from course.grader.judging.parsing import MAX_FILE
from course.grader.zips import collect
from course.grader.zips import entries as zip_entries
from course.grader.zips.collect import Options
from course.grader.zips.report import report


@pytest.mark.parametrize(
    ("path", "student"),
    [
        ("Ada Lovelace_12345_assignsubmission_file/hw_x.ipynb", "Ada-Lovelace-12345"),
        ("Ada Lovelace_12345_assignsubmission_file_hw_x.ipynb", "Ada-Lovelace-12345"),
        ("HW 1/Ada_12_assignsubmission_file/my work (1).ipynb", "Ada-12"),
        ("lovelaceada_12345_67890_hw_x-1.ipynb", "lovelaceada-12345"),
        ("lovelaceada_LATE_12345_67890_hw_x.ipynb", "lovelaceada-12345"),
        ("submissions/lovelaceada_12345_67890_hw_x.ipynb", "lovelaceada-12345"),
        ("ada/hw_x.ipynb", "ada"),
        ("ada/hw_x/hw_x.ipynb", "ada"),
        ("class/ada/hw_x/hw_x.IPYNB", "ada"),
        ("class\\ada\\hw_x.ipynb", "ada"),
    ],
)
def test_the_name_tells_the_student(tmp_path, path, student):
    archive = zipped(tmp_path / "lms.zip", {path: NOTEBOOK})
    options = Options(releases=RELEASES)
    found = collect.collect(archive, NAME, tmp_path / "submitted", options)
    assert (found.students, found.refused) == ([student], [])
    assert taken(tmp_path / "submitted") == {student: NOTEBOOK}


def test_two_students_of_one_name_stay_two(tmp_path):
    names = [f"Kim Lee_{n}_assignsubmission_file/hw_x.ipynb" for n in (7, 8)]
    archive = zipped(tmp_path / "lms.zip", {name: name.encode() for name in names})
    collect.collect(archive, NAME, tmp_path / "submitted")
    assert taken(tmp_path / "submitted") == {
        "Kim-Lee-7": names[0].encode(),
        "Kim-Lee-8": names[1].encode(),
    }


def test_of_two_attempts_the_newest_counts_in_any_order(tmp_path):
    attempts = [
        (entry("ada/hw_x-1.ipynb", (2026, 3, 1, 12, 0, 0)), b"old"),
        (entry("ada/hw_x.ipynb", (2026, 3, 2, 12, 0, 0)), b"new"),
    ]
    for number in range(2):
        archive = zipped(tmp_path / f"{number}.zip", dict(attempts))
        collect.collect(archive, NAME, tmp_path / "submitted")
        assert taken(tmp_path / "submitted") == {"ada": b"new"}
        attempts.reverse()


def test_an_earlier_collection_s_time_is_not_kept(tmp_path):
    folder = tmp_path / "submitted" / "ada" / NAME
    folder.mkdir(parents=True)
    (folder / "timestamp.txt").write_text("2020-01-01 00:00:00 UTC")
    archive = zipped(tmp_path / "lms.zip", {"ada/hw_x.ipynb": NOTEBOOK})
    collect.collect(archive, NAME, tmp_path / "submitted")
    assert taken(tmp_path / "submitted") == {"ada": NOTEBOOK}


def link(path):
    info = entry(path)
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        (link("eve/hw_x.ipynb"), b"/etc/passwd", "it is a link"),
        ("eve/notes.txt", b"hello", "no notebook"),
        ("hw_x.ipynb", NOTEBOOK, "its name tells of no student"),
        ("../hw_x.ipynb", NOTEBOOK, "its name leads out of the zip"),
        ("///hw_x.ipynb", NOTEBOOK, "its name leads out of the zip"),
        ("eve/hw_x.ipynb", bytes(MAX_FILE + 1), "it unpacks to more than"),
    ],
)
def test_what_no_student_hands_in_is_refused_and_the_rest_is_taken(
    tmp_path, name, content, why
):
    archive = zipped(tmp_path / "lms.zip", {name: content, "ada/hw_x.ipynb": NOTEBOOK})
    found = collect.collect(archive, NAME, tmp_path / "submitted")
    assert taken(tmp_path / "submitted") == {"ada": NOTEBOOK}
    ((_, told),) = found.refused + found.skipped
    assert why in told


def test_an_entry_that_holds_more_than_it_says_is_refused(tmp_path):
    archive = zipped(tmp_path / "lms.zip", {"eve/hw_x.ipynb": bytes(1 << 20)})
    size = (1 << 20).to_bytes(4, "little")
    archive.write_bytes(archive.read_bytes().replace(size, (10).to_bytes(4, "little")))
    found = collect.collect(archive, NAME, tmp_path / "submitted")
    assert found.students == []
    assert "it cannot be read" in dict(found.over)["eve/hw_x.ipynb"]
    assert "it cannot be read" in found.missing["eve"]


def test_an_encrypted_entry_is_refused(tmp_path):
    both = {"eve/hw_x.ipynb": NOTEBOOK, "ada/hw_x.ipynb": NOTEBOOK}
    archive = zipped(tmp_path / "lms.zip", both)
    content = bytearray(archive.read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1  # the flag in the directory
    archive.write_bytes(content)
    found = collect.collect(archive, NAME, tmp_path / "submitted")
    assert found.refused == [("eve/hw_x.ipynb", "it is encrypted")]
    assert found.students == ["ada"]


def test_no_zip_is_said(tmp_path):
    (tmp_path / "lms.zip").write_text("<html>Please log in</html>")
    with pytest.raises(ValueError, match=r"lms\.zip is no zip that can be read"):
        collect.collect(tmp_path / "lms.zip", NAME, tmp_path / "submitted")
    with pytest.raises(ValueError, match="No such file"):
        collect.collect(tmp_path / "none.zip", NAME, tmp_path / "submitted")


def test_more_entries_than_a_class_has_are_no_class_s(tmp_path, monkeypatch):
    monkeypatch.setattr(zip_entries, "MAX_ENTRIES", 3)
    archive = zipped(tmp_path / "lms.zip", {f"s{n}/hw_x.ipynb": b"" for n in range(4)})
    with pytest.raises(ValueError, match="4 entries"):
        collect.collect(archive, NAME, tmp_path / "submitted")


@given(st.lists(st.text(max_size=60).map(lambda text: text + ".ipynb"), max_size=5))
def test_no_name_leads_out_of_the_folder(tmp_path_factory, names):
    root = tmp_path_factory.mktemp("zip")
    names = [name for name in dict.fromkeys(names) if "\0" not in name]
    archive = zipped(root / "lms.zip", dict.fromkeys(names, NOTEBOOK))
    try:
        found = collect.collect(archive, NAME, root / "submitted")
    except ValueError:
        assert not (root / "submitted").exists()
        return
    assert set(taken(root / "submitted")) == set(found.students)
    assert {path.name for path in root.iterdir()} <= {"lms.zip", "submitted"}


@given(st.integers(0, 2**32))
def test_a_damaged_zip_is_refused_never_a_crash(tmp_path_factory, seed):
    root, rng = tmp_path_factory.mktemp("zip"), random.Random(seed)
    buffer = io.BytesIO()
    zipped(buffer, {f"s{n}/hw_x.ipynb": rng.randbytes(50) for n in range(3)})
    content = bytearray(buffer.getvalue())
    for _ in range(rng.randrange(1, 6)):
        content[rng.randrange(len(content))] = rng.randrange(256)
    (root / "lms.zip").write_bytes(content)
    try:
        found = collect.collect(root / "lms.zip", NAME, root / "submitted")
    except ValueError:
        return
    assert set(taken(root / "submitted")) == set(found.students)


def test_a_dry_run_writes_nothing_and_says_the_same(gather):
    works = {"ada/hw_x.ipynb": NOTEBOOK, "eve/hw_x.pdf": b"%PDF"}
    dry, handed = gather(works, dry_run=True)
    assert handed == {}
    wet, handed = gather(works)
    assert handed == {"ada": NOTEBOOK}
    assert dry == wet
    assert "Nothing was written" in report(dry, Options(dry_run=True))


def test_a_second_collection_says_what_it_changed(gather, tmp_path):
    gather({"ada/hw_x.ipynb": NOTEBOOK, "bob/hw_x.ipynb": NOTEBOOK})
    changed = {"ada/hw_x.ipynb": notebook(words="better"), "bob/hw_x.ipynb": NOTEBOOK}
    found, _ = gather(changed | {"cy/hw_x.ipynb": NOTEBOOK})
    assert "1 new, 1 replaced, 1 unchanged" in report(found, Options())


def test_the_report_counts_and_lists_all_that_needs_a_look(gather):
    works = {f"s{n}/hw_x.ipynb": NOTEBOOK for n in range(30)}
    over = {f"s{n}/scratch.ipynb": SCRATCH for n in range(30)}
    found, _ = gather(works | over | {"eve/hw_x.pdf": b"", "__MACOSX/x": b"noise"})
    text = report(found, Options())
    assert "Its naming scheme: plain folders (SCHEME=plain)" in text
    assert "  s0/hw_x.ipynb is s0's" in text
    assert "30 students collected for hw_x: 30 new" in text
    assert "  eve: hw_x.pdf: a PDF, no notebook" in text
    assert "  1 a Mac's own file, as __MACOSX/x" in text
    assert "  and 10 more: ARGS=--verbose" in text
    assert text.endswith("Now: make grade HW=hw_x")
    assert len(text.splitlines()) < 40
    every = report(found, Options(), verbose=True)
    assert all(f"s{n}: s{n}/hw_x.ipynb" in every for n in range(30))
    assert all(f"s{n}/scratch.ipynb: hw_x.ipynb counts" in every for n in range(30))
