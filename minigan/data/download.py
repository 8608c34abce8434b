"""Fetch a dataset from a list of mirrors; a download resumes after a cut, and is checked before it gets its name."""

import hashlib
import http.client
import os
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from minigan.errors import InputError
from minigan.files import remove
from minigan.lock import hold_lock
from minigan.progress import Progress

_TIMEOUT = 30  # seconds to wait for a byte
_TRIES = 3  # per mirror; the later ones resume or start over
_BLOCK = 1 << 16


class Source(NamedTuple):
    """Where the files of a data set lie, and how they are recognised."""

    mirrors: tuple[str, ...]  # base URLs, tried in this order
    files: dict[str, tuple[int, str]]  # name: (bytes, MD5)


SOURCES = {
    "mnist": Source(  # LeCun, Cortes, Burges 1998
        (
            "https://ossci-datasets.s3.amazonaws.com/mnist",
            "https://storage.googleapis.com/cvdf-datasets/mnist",
        ),
        {
            "train-images-idx3-ubyte.gz": (9912422, "f68b3c2dcbeaaa9fbdd348bbdeb94873"),
            "train-labels-idx1-ubyte.gz": (28881, "d53e105ee54ea40749a09fcbcd1e9432"),
            "t10k-images-idx3-ubyte.gz": (1648877, "9fb629c4189551a2d022fa330f9573f3"),
            "t10k-labels-idx1-ubyte.gz": (4542, "ec29112dd5afa0611ce80d1b7f02629c"),
        },
    ),
    "fashion-mnist": Source(  # Xiao, Rasul, Vollgraf 2017
        (
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
            "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion",
        ),
        {
            "train-images-idx3-ubyte.gz": (26421880, "8d4fb7e6c68d591d4c3dfef9ec88bf0d"),
            "train-labels-idx1-ubyte.gz": (29515, "25c81989df183df01b3e8a0aad5dffbe"),
            "t10k-images-idx3-ubyte.gz": (4422102, "bef4ecab320f06d8554ea6380940ec79"),
            "t10k-labels-idx1-ubyte.gz": (5148, "bb300cfdad3c16e7a12a480ee83cd310"),
        },
    ),
    "kmnist": Source(  # Clanuwat et al. 2018
        ("http://codh.rois.ac.jp/kmnist/dataset/kmnist",),
        {
            "train-images-idx3-ubyte.gz": (18165135, "bdb82020997e1d708af4cf47b453dcf7"),
            "train-labels-idx1-ubyte.gz": (29497, "e144d726b3acfaa3e44228e80efcd344"),
            "t10k-images-idx3-ubyte.gz": (3041136, "5c965bf0a639b31b8f53240b1b52f4d7"),
            "t10k-labels-idx1-ubyte.gz": (5120, "7320c461ea6c1c855c0b718fb2a4b134"),
        },
    ),
    "cifar-10": Source(  # Krizhevsky 2009
        ("https://www.cs.toronto.edu/~kriz",),
        {"cifar-10-python.tar.gz": (170498071, "c58f30108f718f92721af3b95e74349a")},
    ),
}


class _Failed(Exception):
    """One attempt failed; `retry` says whether to try the same mirror again."""

    def __init__(self, why: str, retry: bool):
        super().__init__(why)
        self.retry = retry


def download(dataset: str, directory: str | os.PathLike) -> Path:
    """Fetch the missing files of a dataset (`SOURCES`) into a directory; return the directory.

    A file is called NAME.part until its size and checksum are right; the next call resumes it. If every mirror fails,
    InputError gives the reason for each; also for an unknown dataset, and where nothing can be written.
    """
    if dataset not in SOURCES:
        raise InputError(f"no dataset named {dataset} to download: choose from {', '.join(SOURCES)}")
    source = SOURCES[dataset]
    directory = Path(directory)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        if all(_whole(directory / name, size, md5) for name, (size, md5) in source.files.items()):
            return directory
        with hold_lock(directory / ".download.lock", f"waiting for another download into {directory}", wait=True):
            try:
                for name, (size, md5) in source.files.items():
                    target = directory / name
                    if not _whole(target, size, md5):
                        _fetch(target, size, md5, source.mirrors)
            finally:
                remove(directory / ".download.lock")
    except OSError as error:
        raise InputError(f"cannot write to {directory}: {error.strerror or error}") from None
    return directory


def _fetch(target: Path, size: int, md5: str, mirrors: Sequence[str]) -> None:
    part = target.with_name(target.name + ".part")
    reasons = []
    for mirror in mirrors:
        url = f"{mirror.rstrip('/')}/{target.name}"
        for _ in range(_TRIES):
            try:
                _attempt(url, part, size, md5)
            except _Failed as failure:
                why = str(failure)
                if not failure.retry:
                    break
            else:
                os.replace(part, target)
                return
        reasons.append(f"{url}: {why}")
    raise InputError(f"cannot download {target.name} ({'; '.join(reasons)})")


def _attempt(url: str, part: Path, size: int, md5: str) -> None:
    """Complete the part from one URL and check it, or raise _Failed."""
    have = part.stat().st_size if part.exists() else 0
    if have >= size:  # nothing left to ask for
        if _whole(part, size, md5):
            return
        part.unlink()
        have = 0
    done = _transfer(url, part, have, size)
    if done < size:
        raise _Failed(f"the connection ended after {done} of {size} bytes", retry=done > have)
    if not _whole(part, size, md5):
        part.unlink()
        raise _Failed("wrong checksum", retry=have > 0)  # the bytes of an earlier call may be the wrong ones


def _transfer(url: str, part: Path, have: int, size: int) -> int:
    """Append to the part until the connection ends, and return its new size.

    If the server ignores Range and sends everything, the part starts over.
    """
    headers = {"User-Agent": "minigan"} | ({"Range": f"bytes={have}-"} if have else {})
    try:
        response = urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=_TIMEOUT)
    except urllib.error.HTTPError as error:
        error.close()
        raise _Failed(f"{error.code} {error.reason}", retry=False) from None
    except (OSError, http.client.HTTPException, ValueError) as error:  # ValueError: not a URL
        raise _Failed(str(getattr(error, "reason", error)), retry=False) from None

    with response:
        resumed = response.status == 206
        if resumed and not response.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
            raise _Failed("the server sent a wrong range", retry=False)
        done = have if resumed else 0
        bar = Progress(total=size, initial=done, desc=part.stem, unit="B", unit_scale=True)
        with part.open("ab" if resumed else "wb") as file, bar:
            while done <= size and (block := _read(response)):
                file.write(block)
                done += len(block)
                bar.update(len(block))
    return done


def _read(response: http.client.HTTPResponse) -> bytes:
    try:
        return response.read(_BLOCK)
    except (OSError, http.client.HTTPException):  # a reset or a timeout ends this connection
        return b""


def _whole(path: Path, size: int, md5: str) -> bool:
    if not path.is_file() or path.stat().st_size != size:
        return False
    digest = hashlib.md5(usedforsecurity=False)
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest() == md5
