"""The entries of a zip that anybody may have made, each judged before it is read.

Nothing is extracted. A name is cut into parts, an entry gets its `trouble` (it leads
out, it is a link, it is encrypted, …), and bytes are read within limits, whatever the
headers say. The directory has a limit too, since `zipfile` reads all of it at once.

Read in order: `opened`, `entries_of`, `content`, `shown`.
"""

import contextlib
import io
import re
import stat
import struct
import unicodedata
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from course.grader.judging.parsing import MAX_FILE

MAX_ENTRIES = 50_000
MAX_DIRECTORY = 16 << 20  # bytes of names and headers; 50,000 of usual length take 6 MB
MAX_NAME = 1_000  # characters of a path
CHUNK = 1 << 20
READABLE = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # others unpack without a limit
UTF8 = 0x800  # the flag of a name that says that it is in UTF-8
DRIVE = re.compile(r"[A-Za-z]:")
TURNING = set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


@dataclass(frozen=True)
class Entry:
    """One entry: the parts of its path in NFC, and why it can't be taken, if so."""

    info: zipfile.ZipInfo
    parts: tuple[str, ...]
    trouble: str | None = None
    named: bool = True  # its name is a path that tells whose it is

    @property
    def path(self) -> str:
        """Its path, safe to print."""
        return shown("/".join(self.parts))


class _Bounded(io.BufferedReader):
    """A file whose directory `zipfile` can read whole: it is not absurdly large."""

    opening = True

    def read(self, size: int | None = -1) -> bytes:
        if size is not None and size > MAX_DIRECTORY:
            raise zipfile.BadZipFile("its directory is larger than any class's")
        found = super().read(size)
        return _decodable(found) if self.opening else found


def _decodable(directory: bytes) -> bytes:
    """A directory without the flag of UTF-8 where a name is none.

    One such name would raise before any other is read.
    """
    found, at = bytearray(directory), 0
    while found[at : at + 4] == b"PK\x01\x02":
        name, extra, comment = struct.unpack_from("<3H", found, at + 28)
        try:
            found[at + 46 : at + 46 + name].decode()
        except UnicodeDecodeError:
            found[at + 9] &= ~(UTF8 >> 8)
        at += 46 + name + extra + comment
    return bytes(found)


@contextlib.contextmanager
def opened(archive: Path) -> Iterator[zipfile.ZipFile]:
    """A zip, open; ValueError for what is none or has more than a class could."""
    with contextlib.ExitStack() as stack:
        try:
            file = stack.enter_context(_Bounded(io.FileIO(archive)))
            bundle = stack.enter_context(zipfile.ZipFile(file))
            file.opening = False
        except Exception as error:  # a damaged one raises whatever its bytes lead to
            why = shown(str(error))
            message = f"{archive} is no zip that can be read ({why}): download it again"
            raise ValueError(message) from None
        if (count := len(bundle.filelist)) > MAX_ENTRIES:
            raise ValueError(
                f"{archive} has {count:,} entries, no class's; {MAX_ENTRIES:,} are read"
            )
        yield bundle


def entries_of(bundle: zipfile.ZipFile) -> list[Entry]:
    """All entries in the order of the directory, folders included."""
    return [_entry(info) for info in bundle.filelist]


def _entry(info: zipfile.ZipInfo) -> Entry:
    name = info.orig_filename
    if len(name) > MAX_NAME:
        why = f"its name has {len(name):,} characters"
        return Entry(info, (name[:MAX_NAME],), why, named=False)
    if not info.flag_bits & UTF8:  # Macs write UTF-8 and don't say so
        with contextlib.suppress(UnicodeError):
            name = name.encode("cp437").decode("utf-8")
    path = unicodedata.normalize("NFC", name).replace("\\", "/")
    parts = tuple(part for part in path.split("/") if part not in ("", "."))
    if path.startswith("/") or DRIVE.match(path) or ".." in parts or not parts:
        return Entry(info, parts or ("",), "its name leads out of the zip", named=False)
    return Entry(info, parts, disguise(path) or _trouble(info))


def disguise(text: str) -> str | None:
    """Why a name can't be trusted to be what a screen shows, if so."""
    if any(unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") for c in text):
        return "its name has control characters"
    if TURNING & set(text):
        return "its name has characters that turn the text around"
    return None


def _trouble(info: zipfile.ZipInfo) -> str | None:
    """Why nobody's work can come from an entry, as far as its headers tell."""
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind == stat.S_IFLNK:
        return "it is a link"
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "it is a device or a pipe, no ordinary file"
    if info.is_dir():
        return None
    if info.flag_bits & 0x41:
        return "it is encrypted"
    if info.compress_type not in READABLE:
        return "it is packed in an unusual way: zip it again with deflate"
    if not info.file_size:
        return "it is empty, 0 bytes"
    if info.file_size > MAX_FILE:
        return f"it unpacks to more than {MAX_FILE >> 20} MB"
    return None


def content(bundle: zipfile.ZipFile, entry: Entry) -> bytes:
    """An entry's bytes; ValueError with the reason where it can't be taken."""
    if entry.trouble:
        raise ValueError(entry.trouble)
    found = bytearray()
    try:
        with bundle.open(entry.info) as stream:
            while len(found) <= MAX_FILE and (chunk := stream.read(CHUNK)):
                found += chunk
    except Exception as error:  # zipfile's own, zlib's
        raise ValueError(f"it cannot be read ({shown(str(error))})") from None
    if len(found) > MAX_FILE:
        raise ValueError(f"it unpacks to more than {MAX_FILE >> 20} MB")
    return bytes(found)


def shown(text: str, limit: int = 160) -> str:
    """Text from outside for a terminal: one line, cut, nothing that it would obey."""
    cut = text if len(text) <= limit else text[: limit - 1] + "…"
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode() for c in cut
    )
