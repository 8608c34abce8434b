"""Features kept between runs, under a key made from the images and the extractor, not from file names."""

import hashlib
import os
from pathlib import Path

from minigan.errors import InputError
from minigan.files import sweep
from minigan.hdf5 import reading_hdf5, text, writing_hdf5
from minigan.metrics.features import Features

DAY = 86_400.0  # seconds


class FeatureCache:
    """A directory of feature files. The key of a file combines the digest of the images and of the extractor.

    So other images under an old name, other weights or another resize mode never get old features. A file is written
    whole or not at all. A file that is damaged or lies under a wrong key is ignored. InputError if the directory cannot
    be made.
    """

    def __init__(self, directory: str | os.PathLike):
        self.directory = Path(directory)
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
        except OSError as e:
            raise InputError(f"{directory} cannot be a cache directory: {e.strerror or e}") from e
        sweep(self.directory, older=DAY)

    def path(self, content: str, extractor: str) -> Path:
        """The file for these two digests."""
        return self.directory / f"{hashlib.sha256(f'{content} {extractor}'.encode()).hexdigest()}.h5"

    def load(self, content: str, extractor: str) -> Features | None:
        """The features saved for these two digests, or None."""
        path = self.path(content, extractor)
        if not path.is_file():
            return None
        try:
            with reading_hdf5(path, "is damaged", ours=True) as f:
                named = tuple(text(f.attrs[name]) for name in ("content", "extractor"))
                return Features.read(f) if named == (content, extractor) else None
        except InputError:
            return None

    def save(self, content: str, extractor: str, features: Features) -> None:
        """Keep features under these two digests; InputError if the disk is full."""
        with writing_hdf5(self.path(content, extractor), content=content, extractor=extractor) as file:
            features.write(file)
