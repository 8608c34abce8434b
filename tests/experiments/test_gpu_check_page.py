"""The page of gpu_check is well formed, names every stage, and says what is wrong above its tables."""

import re

from well_formed import Page

from experiments.gpu_check import page, stages
from experiments.gpu_check.runner import ROOT
from experiments.gpu_check.stages import every_stage


def gpu_record():
    """A record as a call on a GPU leaves it, with a stage of each kind of end. All figures are made up."""
    passed = {"status": "passed", "why": "", "seconds": 12.3, "commit": "abc", "found": {}}
    entries = {stage.name: dict(passed) for stage in every_stage()}

    def leaves(name, **found):
        entries[name] = passed | {"found": found}

    facts = {"compute capability": "90", "multiprocessors": 132, "memory, MiB": 81559, "driver": 13000}
    leaves("environment", missing={}, gpu="NVIDIA H100 <made up>", versions={"cupy-cuda13x": "14.2.0"}, **facts)
    names = ("adam_update", "attention_forward", "attention_backward", "layer_norm_forward")
    kernel = {"num_regs": 40, "local_size_bytes": 0, "shared_size_bytes": 4096, "max_threads_per_block": 1024}
    leaves("kernels", kernels=dict.fromkeys(names, kernel), **{"error of attention": {"100 tokens": 1.9e-6}})
    leaves("tests of kernels", **{"tests passed": 26, "tests skipped": 0, "failed tests": []})
    for i, name in enumerate(stages.STEPS):
        for rounding, speed in (("float32", 1.0), ("TF32", 0.6)):
            ms = speed * (2.61, 14.8, 46.2, 9.3, 1.9)[i]
            times = {"captured": {"ms": ms, "host ms": 0.33}, "eager": {"ms": 10 + 7 * ms, "host ms": 9 + 7 * ms}}
            sizes = {"nodes": 1155 + 80 * i, "memory of the graph, MiB": 59.0 * (1 + 9 * i), "steps": 1000}
            leaves(f"step {name} {rounding}", **times, **sizes, **{"waits": False, "grown by, MiB": 0.0, "wrong": []})
    course = {1000: 49.0, 2000: 27.5, 3000: 21.0, 4000: 16.4, 5000: 14.2, 6000: 12.9, 7000: 12.4, 8000: 12.6}
    evaluations = [{"kind": "eval", "step": s, "digit_fid": x, "floor": 1.18, "classes": 10} for s, x in course.items()]
    trained = {"kind": "train", "step": 8000, "seconds": 31.4, "images_per_second": 11240.0}
    leaves("training", evaluations=evaluations, trained=trained)
    for i, name in enumerate(stages.BESIDE_TORCH):
        ratio = {"plain": [0.15 + 0.2 * i, 0.14, 0.17], "best": [0.6 + 0.1 * i, 0.58, 0.63]}
        row = {"section": "step", "name": f"{name.split()[1]}, batch 32", "unit": "s", "differs": None, "flops": 1.5e9}
        row |= {"processor share": 1.0, "note": "", "ratio": ratio}
        row["median"] = {"ours": 0.0026, "plain": 0.0171, "best": 0.0043}
        rows = [row, row | {"section": "ops", "name": f"{name}: linear, both"}]
        leaves(name, rows=rows, machine={"peak GFLOP/s": 51000.0}, wrong=[])
    for name, rounding in stages.PROFILED:
        rows = [(f"void cutlass::Kernel2<cutlass_80_simt_sgemm_{i}_very_long_name_of_a_kernel>()", 900 / (i + 1), 353)
                for i in range(20)]  # fmt: skip
        leaves(f"profile {name} {rounding}", **{"µs busy": sum(r[1] for r in rows), "µs in all": 3456.0}, kernels=rows)
    leaves("ranks small", ms={"1": 2.61, "2": 1.45}, wrong=[])
    entries["tests of ops"] |= {"status": "failed", "why": "test_cupy_equals_numpy: DeprecationWarning"}
    entries["bench paper"] |= {"status": "timed out", "why": "killed at its limit of 150 s"}
    entries["memcheck"] |= {"found": {"summary": "ERROR SUMMARY: 0 errors"}}
    entries["racecheck"] = {"status": "no time left", "why": ""}
    return {"command": "python -m experiments.gpu_check runs/gpu", "when": "2026-01-01 12:00", "stages": entries}


def test_the_page_is_well_formed_and_names_every_stage(tmp_path):
    table = every_stage()
    for record in (gpu_record(), {"stages": {}}, {"stages": {"kernels": {"status": "failed", "why": "<b>"}}}):
        text = Page(page.page(record, table, tmp_path)).text
        assert all(stage.name in text and stage.shows in text for stage in table)
        assert re.findall("None|nan|inf\\b", text.replace(page.ABOUT_STEPS, "")) == []
    text = Page(page.page(gpu_record(), table, tmp_path)).text
    for words in ("On a GPU", "NVIDIA H100 <made up>", "2.61 ms", "1,155", "no time left", "ERROR SUMMARY", "cutlass"):
        assert words in text
    assert "1.45 ms (1.80 ×)" in text and "All ranks end with equal weights" in text
    assert "33 of 36 stages passed" in text and "What is wrong: bench paper, tests of ops." in text


def test_a_wrong_step_is_said_above_the_table(tmp_path):
    record = gpu_record()
    record["stages"]["step small TF32"]["found"]["wrong"] = ["a captured step waits for the device"]
    text = Page(page.page(record, every_stage(), tmp_path)).text
    assert "small in TF32: a captured step waits for the device." in text and "No captured step waits" not in text
    for name in stages.STEPS:  # killed before they found anything: of these nothing is claimed
        for rounding in ("float32", "TF32"):
            record["stages"][f"step {name} {rounding}"] = {
                "status": "timed out",
                "why": "",
                "seconds": 120.0,
                "found": {},
            }
    text = Page(page.page(record, every_stage(), tmp_path)).text
    assert "waits for the device" not in text and "to PyTorch eager" in text


def test_ranks_with_other_weights_are_said_above_their_table(tmp_path):
    record = gpu_record()
    record["stages"]["ranks small"]["found"]["wrong"] = ["2 GPUs: the weights differ"]
    text = Page(page.page(record, every_stage(), tmp_path)).text
    assert "small: 2 GPUs: the weights differ." in text and "All ranks end" not in text


def test_the_table_for_the_readme(tmp_path):
    lines = page.table(gpu_record()).splitlines()
    assert lines[2] == "| `small` | float32 | 2.61 ms | 28.3 ms | 0.33 ms | 1,155 | 59 MiB | 0.15 | 0.60 |"
    assert lines[3] == "| `small` | TF32 | 1.57 ms | 21 ms | 0.33 ms | 1,155 | 59 MiB | – | – |"
    assert lines[5].startswith("| `poster` | TF32 |") and lines[5].endswith("| 0.35 | 0.70 |")
    assert "took 31.4 s and ended at a digit-FID of 12.6; on one core of a CPU it takes 7 min 28 s" in lines[-1]


def test_the_figures_of_the_cpu_are_those_of_the_docs():
    text = (ROOT / "docs" / "measurements.md").read_text(encoding="utf-8")
    steps = int(re.search(r"([\d,]+) steps of 32 images, seed 0", text)[1].replace(",", ""))
    assert {steps: float(re.search(r"^\| drawn, seed 0 \| ([\d.]+) \|", text, re.M)[1])} == page.CPU
    minutes, seconds = re.search(r"It took (\d+) min (\d+) s", text).groups()
    assert 60 * int(minutes) + int(seconds) == page.CPU_SECONDS
