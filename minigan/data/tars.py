"""Tar archives, opened without believing what their headers say.

`tarfile` reads a long name, a pax header or the map of a sparse file whole, however large it claims to be, and gzip
makes a gigabyte of them from a megabyte. Here they may have a megabyte in all before each file.
"""

import os
import tarfile

HEADER_BYTES = 1 << 20  # of the headers that extend that of a file, at most
EXTENSIONS = (
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
)


class Member(tarfile.TarInfo):
    """A header of a tar archive that is not read beyond HEADER_BYTES, and no sparse file. Raises tarfile.ReadError."""

    def _proc_member(self, archive: "Archive") -> tarfile.TarInfo:
        archive.extended = archive.extended + self.size if self.type in EXTENSIONS else 0
        if archive.extended > HEADER_BYTES:
            raise tarfile.ReadError(f"headers of more than {HEADER_BYTES:,} bytes before a file")
        return super()._proc_member(archive)  # type: ignore[misc]

    def _refuse(self, *_: object) -> tarfile.TarInfo:
        raise tarfile.ReadError("a sparse file, which no picture is")

    _proc_sparse = _proc_gnusparse_10 = _refuse


class Archive(tarfile.TarFile):
    """A tar archive whose headers are bounded: see `Member`."""

    tarinfo = Member
    extended = 0  # bytes of extending headers since the last file


def is_tar(path: str | os.PathLike) -> bool:
    """Whether a file is a tar, perhaps compressed; what a damaged compressed file raises comes through."""
    try:
        Archive.open(path).close()
        return True
    except tarfile.TarError:
        return False
