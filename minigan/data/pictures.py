"""Picture files in a folder, a zip or a tar; archives are read in place."""

import hashlib
import os
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

from minigan.data.folder import is_picture, walk_pictures
from minigan.errors import InputError


class Pictures:
    """PNG and JPEG files by number; `files` holds their names, and `key` changes when a file changes."""

    def __init__(self, path: Path):
        self.path = path

    @cached_property
    def files(self) -> list[str]:
        """Names relative to the folder or archive, sorted by path, or in the order of a tar."""
        raise NotImplementedError

    @cached_property
    def key(self) -> str:
        """SHA-256 of the names of the files with their sizes and times, or with their checksums in a zip."""
        raise NotImplementedError

    def read(self, i: int) -> bytes:
        with self.guarded(f" ({self.files[i]})"):
            return self.content(i)

    def content(self, i: int) -> bytes:
        raise NotImplementedError

    def close(self) -> None:
        pass

    @contextmanager
    def guarded(self, where: str = "") -> Iterator[None]:
        """Turn every error of the files or the archive into an InputError."""
        try:
            yield
        except InputError:
            raise
        except OSError as e:
            raise InputError(f"cannot read {self.path}{where}: {e.strerror or e}") from e
        except (EOFError, RuntimeError, ValueError, NotImplementedError, zlib.error) as e:
            raise InputError(f"cannot read {self.path}{where}: {e}") from e
        except (zipfile.BadZipFile, tarfile.TarError) as e:
            raise InputError(f"{self.path}{where} is a damaged archive: {e}") from e

    def __enter__(self) -> "Pictures":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class Folder(Pictures):
    def __init__(self, path: Path):
        super().__init__(path)
        with self.guarded():
            self.found = sorted(walk_pictures(str(path)), key=lambda file: file[0].split("/"))

    @cached_property
    def files(self) -> list[str]:
        return [name for name, _ in self.found]

    @cached_property
    def key(self) -> str:
        return _digest((name, stat.st_size, stat.st_mtime_ns) for name, stat in self.found)

    def content(self, i: int) -> bytes:
        return (self.path / self.files[i]).read_bytes()


class Zip(Pictures):
    def __init__(self, path: Path):
        super().__init__(path)
        with self.guarded():
            self.archive = zipfile.ZipFile(path)
        members = [member for member in self.archive.infolist() if is_picture(member.filename)]
        self.members = sorted(members, key=lambda member: member.filename.split("/"))

    @cached_property
    def files(self) -> list[str]:
        return [member.filename for member in self.members]

    @cached_property
    def key(self) -> str:
        return _digest((m.filename, m.file_size, m.CRC) for m in self.members)

    def content(self, i: int) -> bytes:
        return self.archive.read(self.members[i])

    def close(self) -> None:
        self.archive.close()


class Tar(Pictures):
    """A tar, perhaps compressed. `key` uses its size and time, because listing a compressed tar reads all of it."""

    @cached_property
    def archive(self) -> tarfile.TarFile:
        return tarfile.open(self.path)

    @cached_property
    def members(self) -> list[tarfile.TarInfo]:
        with self.guarded():
            members = self.archive.getmembers()
        return [member for member in members if member.isfile() and is_picture(member.name.removeprefix("./"))]

    @cached_property
    def files(self) -> list[str]:
        return [member.name.removeprefix("./") for member in self.members]

    @cached_property
    def key(self) -> str:
        with self.guarded():
            stat = self.path.stat()
        return _digest([("tar", stat.st_size, stat.st_mtime_ns)])

    def content(self, i: int) -> bytes:
        file = self.archive.extractfile(self.members[i])
        assert file is not None  # a regular file
        with file:
            data = file.read()
        if len(data) != self.members[i].size:
            raise EOFError("the archive ends within this file")
        return data

    def close(self) -> None:
        if "archive" in self.__dict__:
            self.archive.close()


def open_pictures(path: str | os.PathLike) -> Pictures:
    """The pictures of a folder, a zip or a tar; InputError if it is none of these."""
    path = Path(path)
    try:
        if path.is_dir():
            return Folder(path)
        if not path.is_file():
            raise InputError(f"{path} does not exist")
        if zipfile.is_zipfile(path):
            return Zip(path)
        if tarfile.is_tarfile(path):
            return Tar(path)
    except OSError as e:
        raise InputError(f"cannot read {path}: {e.strerror or e}") from e
    except (EOFError, zlib.error) as e:  # from is_tarfile, for a damaged compressed tar
        raise InputError(f"{path} is a damaged archive: {e}") from e
    raise InputError(f"{path} is neither a folder nor a zip or tar archive")


def _digest(lines: Iterable[tuple]) -> str:
    digest = hashlib.sha256()
    for line in lines:
        digest.update(repr(line).encode() + b"\n")
    return digest.hexdigest()
