"""Picture files in a folder, a zip or a tar; archives are read in place."""

import hashlib
import os
import posixpath
import re
import tarfile
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from stat import S_ISLNK
from typing import Any

from minigan.data.decoding import FILE_BYTES, read_file
from minigan.data.folder import Found, find_pictures
from minigan.data.tars import Archive, is_tar
from minigan.errors import InputError
from minigan.files import EXPANSION, unusable, why

LINKS = 20  # that lead to each other, at most
LINK_BYTES = 4096  # of the target of a link


class Pictures:
    """Picture files by number; `files` holds their names, and `key` changes when a file changes."""

    def __init__(self, path: Path):
        self.path = path

    @cached_property
    def found(self) -> Found:
        """What the folder or archive holds, sorted by path, or in the order of a tar."""
        raise NotImplementedError

    @cached_property
    def files(self) -> list[str]:
        """Names relative to the folder or archive, with slashes."""
        return list(self.found.files)

    @cached_property
    def items(self) -> list[Any]:
        """What `found` has of each file: its stat in a folder, or its member of an archive."""
        return list(self.found.files.values())

    @cached_property
    def key(self) -> str:
        """SHA-256 of the names of the files with their sizes and times, or with their checksums in a zip."""
        raise NotImplementedError

    def read(self, i: int) -> bytes:
        """The bytes of picture i; InputError if they cannot be read."""
        with self.guarded(f" ({self.files[i]})"):
            return self.content(i)

    def content(self, i: int) -> bytes:
        """`read`, with any exception of the file or the archive as it comes."""
        raise NotImplementedError

    def close(self) -> None:
        """Close the archive."""

    @contextmanager
    def guarded(self, where: str = "") -> Iterator[None]:
        """Turn every error of the files or the archive into an InputError."""
        try:
            yield
        except (zipfile.BadZipFile, tarfile.TarError) as e:
            raise InputError(f"{self.path}{where} is a damaged archive: {why(e)}") from e
        except InputError:
            raise
        except Exception as e:  # each method of compression raises its own for damaged data
            raise InputError(f"cannot read {self.path}{where}: {why(e)}") from e

    def __enter__(self) -> "Pictures":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class Folder(Pictures):
    """The pictures below a folder, by their paths in it."""

    @cached_property
    def found(self) -> Found:
        return find_pictures(self.path)

    @cached_property
    def key(self) -> str:
        return _digest((name, stat.st_size, stat.st_mtime_ns) for name, stat in self.found.files.items())

    def content(self, i: int) -> bytes:
        return read_file(self.path / self.files[i])


class Zip(Pictures):
    """The pictures in a zip archive. Raises InputError for a damaged one."""

    def __init__(self, path: Path):
        super().__init__(path)
        with self.guarded():
            self.archive = zipfile.ZipFile(path)

    @cached_property
    def found(self) -> Found:
        found, members = Found(), {}
        with self.guarded():
            for member in self.archive.infolist():  # of two members with one name the later one counts
                if not (name := plain_name(member.filename)).endswith("/"):
                    members[name] = member
            self.check_size(sum(member.file_size for member in members.values()))
            for name, member in sorted(members.items(), key=lambda item: item[0].split("/")):
                target = self.resolve(name, member, members)
                found.note(name, target, regular=target is not None)
        return found

    def resolve(
        self, name: str, member: zipfile.ZipInfo, members: dict[str, zipfile.ZipInfo]
    ) -> zipfile.ZipInfo | None:
        """The member that a link leads to, within the archive; the member itself if it is none."""
        for _ in range(LINKS):
            if not S_ISLNK(member.external_attr >> 16):
                return member
            if member.file_size > LINK_BYTES:
                return None
            target = self.archive.read(member).decode("utf-8", "replace")
            name = posixpath.normpath(posixpath.join(posixpath.dirname(name), target))
            if name not in members:
                return None
            member = members[name]
        return None

    def check_size(self, total: int) -> None:
        """ValueError as from `check_expansion`, for members of `total` bytes."""
        check_expansion(self.path, total)

    @cached_property
    def key(self) -> str:
        return _digest((name, m.file_size, m.CRC) for name, m in self.found.files.items())

    def content(self, i: int) -> bytes:
        check_member(self.items[i].file_size)
        return self.archive.read(self.items[i])

    def close(self) -> None:
        self.archive.close()


class Tar(Pictures):
    """A tar, perhaps compressed. `key` uses its size and time, because listing a compressed tar reads all of it."""

    @cached_property
    def archive(self) -> tarfile.TarFile:
        """The tar, opened at first use."""
        return Archive.open(self.path)

    @cached_property
    def found(self) -> Found:
        found, members, total = Found(), {}, 0
        with self.guarded():
            for member in self.archive:
                total += member.size if member.isreg() else 0
                check_expansion(self.path, total)
                if not member.isdir():
                    members[plain_name(member.name)] = member
            for name, member in members.items():
                target = self.resolve(member)
                found.note(name, target, regular=target is not None)
        found.files = dict(sorted(found.files.items(), key=lambda item: item[1].offset_data))
        return found

    def resolve(self, member: tarfile.TarInfo) -> tarfile.TarInfo | None:
        """The file that a link leads to, within the archive; the member itself if it is none."""
        for _ in range(LINKS):
            if member.isreg():
                return member
            if not (member.islnk() or member.issym()):
                return None
            try:
                member = self.archive._find_link_target(member)  # type: ignore[attr-defined]
            except KeyError:
                return None
        return None

    @cached_property
    def key(self) -> str:
        with self.guarded():
            stat = self.path.stat()
        return _digest([("tar", stat.st_size, stat.st_mtime_ns)])

    def content(self, i: int) -> bytes:
        check_member(self.items[i].size)
        file = self.archive.extractfile(self.items[i])
        assert file is not None  # a regular file
        with file:
            data = file.read()
        if len(data) != self.items[i].size:
            raise EOFError("the archive ends within this file")
        return data

    def close(self) -> None:
        if "archive" in self.__dict__:
            self.archive.close()


def plain_name(name: str) -> str:
    """The name of a member as a relative path with slashes, however it was written: ./a, a\\b, /a, C:\\a, ../a."""
    name = re.sub(r"^([A-Za-z]:)?/*", "", name.replace("\\", "/"))
    return posixpath.normpath(f"/{name}")[1:] + ("/" if name.endswith("/") else "")


def check_member(size: int) -> None:
    """ValueError if a member of an archive, of `size` bytes, is too large for a picture."""
    if size > FILE_BYTES:
        raise ValueError(f"its {size:,} bytes are too many for a picture")


def check_expansion(path: Path, total: int) -> None:
    """ValueError if an archive says that it unpacks to `total` bytes, much more than pictures can."""
    if total > EXPANSION * path.stat().st_size + FILE_BYTES:
        raise ValueError(f"it says that it unpacks to {total / 2**30:,.0f} GiB")


def open_pictures(path: str | os.PathLike) -> Pictures:
    """The pictures of a folder, a zip or a tar; InputError if it is none of these."""
    path = Path(path)
    try:
        if path.is_dir():
            return Folder(path)
        if not path.is_file():
            raise InputError(unusable(path))
        if zipfile.is_zipfile(path):
            return Zip(path)
        if is_tar(path):
            return Tar(path)
    except OSError as e:
        raise InputError(f"cannot read {path}: {e.strerror or e}") from e
    except InputError:
        raise
    except Exception as e:  # from is_tar, for a damaged compressed tar
        raise InputError(f"{path} is a damaged archive: {why(e)}") from e
    raise InputError(f"{path} is neither a folder nor a zip or tar archive")


def _digest(lines: Iterable[tuple]) -> str:
    digest = hashlib.sha256()
    for line in lines:
        digest.update(repr(line).encode() + b"\n")
    return digest.hexdigest()
