"""The file of Inception's weights holds what PyTorch's held, and only an undamaged one is loaded."""

import hashlib
from contextlib import contextmanager

import h5py
import numpy as np
import pytest

from autograd.arrays import DeviceError
from experiments.export_inception import main
from minigan.errors import InputError
from minigan.hdf5 import text
from minigan.metrics import inception
from minigan.metrics.inception import ARCHITECTURE, load_inception


@contextmanager
def edited(path, name, value, sealed=True):
    """A file in which an attribute, or the first number of a dataset, is another one for a while.

    sealed=False: without its SHA-256 too, as a file of an older version.
    """
    with h5py.File(path) as f:
        seal = f.attrs["sha256"]

    def exchange(value, sealed):
        with h5py.File(path, "r+") as f:
            if sealed:
                f.attrs["sha256"] = seal
            else:
                del f.attrs["sha256"]
            holder, key = (f[name], 0) if name in f else (f.attrs, name)
            old = holder[key]
            holder[key] = value
            return old

    old = exchange(value, sealed)
    yield
    exchange(old, True)


@pytest.mark.slow
def test_the_file_holds_the_tensors_and_where_they_are_from(exported, tensors):
    with h5py.File(exported) as f:
        assert len(f["params"]) == 472
        for name, a in tensors.items():
            assert f["params"][name].dtype == np.float32
            np.testing.assert_array_equal(f["params"][name], a)
        assert text(f.attrs["architecture"]) == ARCHITECTURE
        assert f.attrs["bn_eps"] == 1e-3 and f.attrs["format_version"] == 1
        assert text(f.attrs["source"]) == "weights.pth" and len(f.attrs["source_sha256"]) == 64
    assert [p.name for p in exported.parent.iterdir()] == ["inception.h5"]


@pytest.mark.slow
def test_the_older_container_gives_the_same_network(torch, tensors, network, tmp_path):
    state = {name: torch.nn.Parameter(torch.tensor(a)) for name, a in tensors.items()}
    torch.save({"state_dict": state}, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    digest = hashlib.sha256((tmp_path / "old.pth").read_bytes()).hexdigest()
    (tmp_path / "old.pth").rename(tmp_path / f"old-{digest[:8]}.pth")
    assert main([str(tmp_path / f"old-{digest[:8]}.pth"), str(tmp_path / "x.h5")]) == 0
    with h5py.File(tmp_path / "x.h5") as f:
        assert text(f.attrs["source_sha256"]) == digest
    assert load_inception(tmp_path / "x.h5").digest == network.digest
    for path in tmp_path.iterdir():
        path.unlink()


def test_the_digest_changes_with_the_weights_and_the_network(tensors, network, monkeypatch):
    name = "Conv2d_1a_3x3.bn.bias"
    others = [inception.digest({**tensors, name: tensors[name] + 1})]
    monkeypatch.setattr(inception, "BN_EPS", 1e-5)
    others.append(inception.digest(tensors))
    assert len({network.digest, *others}) == 3


@pytest.mark.slow
def test_only_an_undamaged_file_of_this_network_is_loaded(exported, tmp_path):
    for name, value, sentence in [
        ("params/Mixed_6d.branch_pool.bn.weight", 0.123, "damaged"),
        ("bn_eps", 1e-5, "damaged"),
        ("architecture", "another", f"another, not {ARCHITECTURE}"),
        ("format_version", 2, "not Inception weights"),
        ("format", "another", "not Inception weights"),
        ("params/fc.bias", np.nan, "fc.bias holds values"),
    ]:
        with edited(exported, name, value), pytest.raises(InputError, match="SHA-256 differs"):
            load_inception(exported)
        with edited(exported, name, value, sealed=False), pytest.raises(InputError, match=sentence) as error:
            load_inception(exported)
        assert str(error.value).startswith(str(exported)) and "\n" not in str(error.value)
    with pytest.raises(InputError, match="there is no such file"):
        load_inception(tmp_path / "none.h5")
    (tmp_path / "text.h5").write_text("hello")
    with pytest.raises(InputError, match="not a readable file"):
        load_inception(tmp_path / "text.h5")
    with h5py.File(tmp_path / "other.h5", "w") as f:
        f["params/x"] = 1
    with pytest.raises(InputError, match="not Inception weights"):
        load_inception(tmp_path / "other.h5")
    with pytest.raises(InputError, match="not Inception weights"):
        load_inception(inception.__file__.replace("inception.py", "digits.h5"))
    with open(exported, "rb") as f:
        (tmp_path / "cut.h5").write_bytes(f.read(300_000))
    with pytest.raises(InputError, match="not a readable file"):
        load_inception(tmp_path / "cut.h5")
    with pytest.raises(DeviceError):
        load_inception(exported, device="tpu")
