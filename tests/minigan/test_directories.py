"""The directory of a run: its name is new, it is made once, and what cannot be made is an error."""

import pytest

from minigan.directories import free_directory, new_directory
from minigan.errors import InputError


def test_free_directory_never_reuses(tmp_path):
    assert free_directory(tmp_path / "a") == tmp_path / "a"
    (tmp_path / "a").mkdir()
    (tmp_path / "a-2").mkdir()
    assert free_directory(tmp_path / "a") == tmp_path / "a-3"


def test_new_directories_are_never_shared(tmp_path, monkeypatch):
    taken = iter([tmp_path / "a", tmp_path / "a-2"])  # the first one is another process's by the time it is made
    (tmp_path / "a").mkdir()
    monkeypatch.setattr("minigan.directories.free_directory", lambda directory: next(taken))
    assert new_directory(tmp_path / "a") == tmp_path / "a-2" and (tmp_path / "a-2").is_dir()


@pytest.mark.parametrize("link", ["runs", "runs/a"])
def test_a_link_that_leads_nowhere_is_an_error(tmp_path, link):
    """As to a disk that is not mounted: the search for a free name must not go on for ever."""
    (tmp_path / link).parent.mkdir(exist_ok=True)
    (tmp_path / link).symlink_to(tmp_path / "missing" / "disk")
    with pytest.raises(InputError, match=f"{link} is a link to .*missing/disk, which does not exist"):
        new_directory(tmp_path / "runs" / "a")
