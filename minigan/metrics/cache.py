"""Features kept between runs, under a key made from the images and the extractor, not from file names."""

import hashlib
import io
import os
from pathlib import Path

import h5py

from minigan.errors import InputError
from minigan.figures import write_bytes
from minigan.metrics.features import Features


class FeatureCache:
    """A directory of feature files. The key of a file combines the digest of the images and of the extractor.

    So other images under an old name, other weights or another resize mode never get old features. A file is written
    whole or not at all. A file that is damaged or lies under a wrong key is ignored.
    """

    def __init__(self, directory: str | os.PathLike):
        self.directory = Path(directory)
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
        except OSError as e:
            raise InputError(f"{directory} cannot be a cache directory: {e.strerror or e}") from e

    def path(self, content: str, extractor: str) -> Path:
        return self.directory / f"{hashlib.sha256(f'{content} {extractor}'.encode()).hexdigest()}.h5"

    def load(self, content: str, extractor: str) -> Features | None:
        """The features saved for these two digests, or None."""
        try:
            with h5py.File(self.path(content, extractor), "r") as f:
                if (f.attrs["content"], f.attrs["extractor"]) != (content, extractor):
                    return None
                return Features(f["features"][()], f["probabilities"][()] if "probabilities" in f else None)
        except (OSError, KeyError, ValueError, RuntimeError, InputError):
            return None

    def save(self, content: str, extractor: str, features: Features) -> None:
        buffer = io.BytesIO()
        with h5py.File(buffer, "w") as f:
            f.attrs.update(content=content, extractor=extractor)
            f.create_dataset("features", data=features.values, fletcher32=True)
            if features.probabilities is not None:
                f.create_dataset("probabilities", data=features.probabilities, fletcher32=True)
        write_bytes(self.path(content, extractor), buffer.getvalue())
