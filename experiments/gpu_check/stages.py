"""The table of stages, in the order of their worth: a borrowed GPU may be gone before the last one."""

import sys
from typing import Any, NamedTuple

FOLDER = "{folder}"  # in a command: the folder of its stage, where it leaves what it found
# Configurations whose training step is measured, as keywords of minigan.presets.resolve.
STEPS: dict[str, dict[str, Any]] = {
    "small": {},
    "poster": {"preset": "poster"},
    "paper": {"preset": "paper", "image_size": 32, "channels": 3},
    "exact": {"penalty": "exact", "optimizer": "adam"},
    "cnn": {"variant": "cnn"},
}
SHARED = ("small", "poster", "paper")  # steps that all GPUs share
PROFILED = (("small", "float32"), ("poster", "TF32"), ("paper", "TF32"))
BESIDE_TORCH = {  # names of stages, and the flags of the benchmark: one step each, for torch.compile takes its time
    "bench small": ["--only", "step+small+batch 32"],
    "bench poster TF32": ["--only", "step+poster", "--tf32"],
    "bench paper TF32": ["--only", "step+paper", "--tf32"],
    "bench cnn": ["--only", "step+CNN 28"],
    "bench cnn 64": ["--only", "step+CNN 64"],
    "bench poster": ["--only", "step+poster"],
    "bench paper": ["--only", "step+paper"],
    "bench small by Adam": ["--only", "step+small by Adam"],
}
OPS_BESIDE_TORCH = "bench ops"  # the stage of the hot ops
PYTEST = ["-p", "no:cacheprovider", "-m", "", "-o", "filterwarnings=default", "--tb=short"]
PYTEST += [f"--junitxml={FOLDER}/junit.xml"]
KERNELS = ("tests/minigan/test_kernels.py", "tests/minigan/test_kernel_launch.py")
BLAS, GPU = "tests/autograd/test_blas.py", "tests/test_gpu.py"
PLAIN = "import cupy, pytest, sys; cupy.cuda.set_allocator(None); sys.exit(pytest.main(sys.argv[1:]))"


class Stage(NamedTuple):
    name: str
    shows: str  # what it shows, as the end of a sentence
    command: list[str]
    limit: float  # seconds, after which the stage and all its children are killed
    needs: tuple[str, ...] = ("gpu",)  # what `measure.missing` may name
    resume: tuple[str, ...] = ()  # the command that goes on, once the stage was cut short and has left a checkpoint


def measure(*args: str) -> list[str]:
    return [sys.executable, "-m", "experiments.gpu_check.measure", FOLDER, *args]


def tests(name: str, shows: str, limit: float, *args: str, needs: tuple[str, ...] = ()) -> Stage:
    return Stage(name, shows, [sys.executable, "-m", "pytest", *PYTEST, *args], limit, ("gpu", "tests", *needs))


def sanitizer(tool: str, shows: str, limit: float, *files: str) -> Stage:
    """Tests under compute-sanitizer. In CuPy's pool all arrays share one allocation; without it each has its own."""
    program = ["compute-sanitizer", "--tool", tool, "--error-exitcode", "9", "--log-file", f"{FOLDER}/sanitizer.txt"]
    command = [*program, sys.executable, "-c", PLAIN, *PYTEST, *files, "-k", "cuda"]
    return Stage(tool, shows, command, limit, ("gpu", "tests", "compute-sanitizer"))


def every_stage() -> list[Stage]:
    bench = [sys.executable, "-m", "experiments.bench", "--device", "cuda", "--seconds", "1", "--out", FOLDER]
    train = [sys.executable, "-m", "experiments.mnist", "--device", "cuda"]
    step = "time, nodes and memory of a step, eager and captured; that nothing waits or grows"
    return [
        Stage("environment", "the GPU, the driver and the libraries found", measure("environment"), 60, ()),
        Stage(
            "kernels",
            "that every kernel loads, with its registers, and that attention above 48 KiB of shared memory is right",
            measure("kernels"),
            90,
        ),
        tests("tests of kernels", "every kernel against its readable twin", 120, *KERNELS, "-k", "cuda"),
        tests("tests of cuBLAS", "products of every layout against NumPy", 60, BLAS, "-k", "cuda"),
        tests("tests of graphs", "replays against eager steps, bit for bit", 180, GPU, "-k", "not tf32 and not torch"),
        *(
            Stage(f"step {name} {rounding}", step, measure("step", name, rounding), 120)
            for rounding in ("float32", "TF32")
            for name in STEPS
        ),
        Stage(
            "training",
            "the default run to its end, and its digit-FID beside the CPU’s",
            [*train, "--out", FOLDER],
            300,
            resume=(*train, "--resume", FOLDER),
        ),
        *(
            Stage(
                f"ranks {name}",
                "a captured step that several GPUs share by NCCL, one rank each; that their weights stay equal",
                measure("ranks", name),
                240,
                ("gpu", "GPUs", "MPI"),
            )
            for name in SHARED
        ),
        tests("tests of TF32", "that TF32 rounds when it is asked for, and only then", 60, GPU, "-k", "tf32"),
        tests(
            "tests beside PyTorch",
            "values and two orders of gradients against PyTorch on the same GPU",
            180,
            *(GPU, "-k", "torch and not tf32"),
            needs=("torch",),
        ),
        *(
            Stage(name, "our step beside PyTorch’s, eager and compiled", [*bench, *flags], 240, ("gpu", "torch"))
            for name, flags in BESIDE_TORCH.items()
        ),
        *(
            Stage(
                f"profile {name} {rounding}",
                "where the time of a replay goes, kernel by kernel",
                measure("profile", name, rounding),
                60,
                ("gpu", "torch"),
            )
            for name, rounding in PROFILED
        ),
        Stage(OPS_BESIDE_TORCH, "the hot ops beside PyTorch’s", [*bench, "--only", "ops"], 300, ("gpu", "torch")),
        tests("tests of ops", "every op in float64 against NumPy", 150, "tests/autograd/test_ops.py", "-k", "cupy"),
        sanitizer("memcheck", "that kernels and products stay inside their arrays", 180, *KERNELS, BLAS),
        sanitizer("racecheck", "that no kernel has a race in shared memory", 180, *KERNELS),
    ]
