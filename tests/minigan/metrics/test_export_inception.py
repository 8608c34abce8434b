"""The command that exports Inception's weights, on small files: all tensors of a kind share one number."""

import hashlib
import os
import subprocess
import sys

import numpy as np
import pytest
from torch_files import program, state_dict, storage, tensor, zip_file

from experiments.export_inception import main
from minigan.errors import InputError
from minigan.metrics.inception import ARCHITECTURE, shapes


def weights_file(path, expected, **extra):
    one = storage("FloatStorage", "0", 1)
    entries = {name: tensor(one, 0, shape, (0,) * len(shape)) for name, shape in expected.items()}
    return zip_file(path, state_dict({**entries, **extra}), {"0": np.float32(0.5).tobytes(), "1": bytes(8)})


COUNTER = tensor(storage("LongStorage", "1", 1), 0, (), ())


def refused(argv, capsys):
    with pytest.raises(InputError) as error:
        main([str(a) for a in argv])
    assert "\n" not in str(error.value) and capsys.readouterr().out == ""
    return str(error.value)


@pytest.mark.slow
def test_every_tensor_must_be_there_and_nothing_else(tmp_path, capsys):
    path, out = tmp_path / "w.pth", tmp_path / "out.h5"
    good = shapes()
    for expected, extra, sentence in [
        ({k: v for k, v in good.items() if k != "Mixed_6a.branch3x3.bn.bias"}, {}, "lacks Mixed_6a.branch3x3.bn.bias"),
        ({k: v for k, v in good.items() if "7c" not in k}, {}, "lacks Mixed_7c.branch1x1.bn.bias, .* and 40 more"),
        (good | {"Mixed_8a.conv.weight": (1,)}, {}, "does not know Mixed_8a.conv.weight"),
        (good, {"Mixed_8a.bn.num_batches_tracked": COUNTER}, "does not know Mixed_8a.bn.num_batches_tracked"),
        (good | {"AuxLogits.fc.weight": (1008, 768)}, {}, "does not know AuxLogits.fc.weight"),
        (good | {"Mixed_5b.branch5x5_2.conv.weight": (64, 48, 3, 3)}, {}, "float32 .64, 48, 5, 5.*64, 48, 3, 3"),
        (good | {"fc.weight": (10, 2048), "fc.bias": (10,)}, {}, "fc.weight must be float32 .1008, 2048"),
        (good, {"fc.bias": tensor(storage("DoubleStorage", "1", 1), 0, (1008,), (0,))}, "fc.bias .* is float64"),
    ]:
        with pytest.raises(InputError, match=sentence) as error:
            main([str(weights_file(path, expected, **extra)), str(out)])
        assert str(error.value).startswith(str(path))
        assert [p.name for p in tmp_path.iterdir()] == ["w.pth"]


@pytest.mark.slow
def test_counters_are_skipped_and_the_other_file_is_named(tmp_path, capsys):
    path = weights_file(tmp_path / "w.pth", shapes(), **{"Conv2d_1a_3x3.bn.num_batches_tracked": COUNTER})
    assert main([str(path), str(tmp_path / "x.h5")]) == 0
    line = capsys.readouterr().out
    assert f"{ARCHITECTURE}, 472 tensors, 23,885,392 values" in line and "6726825d" in line and line.count("\n") == 1
    (tmp_path / "x.h5").unlink()


@pytest.mark.slow
def test_torchvisions_weights_are_refused(tmp_path, capsys):
    auxiliary = {"AuxLogits.conv0.conv.weight": (128, 768, 1, 1), "AuxLogits.fc.bias": (1000,)}
    classes = {"fc.weight": (1000, 2048), "fc.bias": (1000,)}
    path = weights_file(tmp_path / "inception_v3.pth", shapes() | classes | auxiliary)
    assert "does not know AuxLogits" in refused([path, tmp_path / "x.h5"], capsys)
    path = weights_file(tmp_path / "inception_v3.pth", shapes() | classes)
    assert "fc.weight must be float32 (1008, 2048)" in refused([path, tmp_path / "x.h5"], capsys)


def test_the_hash_in_the_name_is_checked(tmp_path, capsys):
    path = weights_file(tmp_path / "pt_inception-2015-12-05-6726825d.pth", shapes())
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert f"begins with {digest[:8]}, not with 6726825d" in refused([path, tmp_path / "x.h5"], capsys)
    assert not (tmp_path / "x.h5").exists()


def test_files_and_directories_that_do_not_fit(tmp_path, capsys):
    path = weights_file(tmp_path / "w.pth", shapes())
    before = path.read_bytes()
    assert "no such file" in refused([tmp_path / "none.pth", tmp_path / "x.h5"], capsys)
    assert "no such file" in refused([tmp_path, tmp_path / "x.h5"], capsys)
    os.mkfifo(tmp_path / "pipe")
    for out in (tmp_path, tmp_path / "pipe"):
        assert "must be a file" in refused([path, out], capsys)
    assert "must be a file" in refused([path, tmp_path / "none" / "x.h5"], capsys)
    assert "replace the weights" in refused([path, path], capsys)
    assert path.read_bytes() == before


@pytest.mark.slow
def test_the_command_runs_nothing_and_ends_with_status_2(tmp_path):
    harm = tmp_path / "harm"
    graph = b"cos\nsystem\n(X" + len(f"touch {harm}").to_bytes(4, "little") + f"touch {harm}".encode() + b"tR"
    path = zip_file(tmp_path / "w.pth", graph, {})
    assert program(graph) in path.read_bytes()
    command = [sys.executable, "-m", "experiments.export_inception", path, tmp_path / "x.h5"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith("error: ") and "os.system" in done.stderr and done.stderr.count("\n") == 1
    assert [p.name for p in tmp_path.iterdir()] == ["w.pth"]
