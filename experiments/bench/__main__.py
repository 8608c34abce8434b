"""Our time and memory beside PyTorch's: python -m experiments.bench

The engine's overhead, whole training steps, the ops they spend their time in, Inception features, the figures of merit
and peak memory. Both sides have the same weights, batch and threads; their results are compared before anything is
timed, and they are timed in turns. Without PyTorch (pip install -e '.[torch]') our side is measured alone.
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.cli import command_line, refuse_tf32_on_cpu, run_main

if TYPE_CHECKING:
    from experiments.bench.case import Case

GROUPS = ("overhead", "step", "ops", "inception", "metrics", "memory")
THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")

EPILOG = """groups: overhead, step, ops, inception, metrics, memory

examples:
  python -m experiments.bench                           everything on one thread: about half an hour
  python -m experiments.bench --quick                   a minute: the small models
  python -m experiments.bench --only step,memory --threads 2
  python -m experiments.bench --only 'attention l2' --seconds 20 --json attention.json

plain  PyTorch as a careful user writes the model
best   scaled_dot_product_attention where it is faster, one call for SLN, fused Adam; on a GPU torch.compile with
       mode="reduce-overhead", while plain is eager
A ratio is ours over theirs, round by round: the median, and the quartiles in parentheses. Below 1 we are faster.
"""


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(
        prog="python -m experiments.bench",
        description=__doc__,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    p.add_argument("--only", metavar="LIST", help="groups, or parts of names as they are printed, with commas between")
    p.add_argument("--quick", action="store_true", help="the small models, and few rounds")
    p.add_argument("--seconds", type=float, metavar="S", help="of timing for each line (5; 0.6 with --quick)")
    p.add_argument("--threads", type=int, default=1, metavar="N", help="of both sides (1)")
    p.add_argument("--no-loops", action="store_true", help="on a CPU: NumPy alone, even where numba is installed")
    p.add_argument("--device", default="cpu", choices=["cpu", "cuda"], help="where the networks are (cpu)")
    p.add_argument("--tf32", action="store_true", help="on a GPU: time all sides in TF32 (they are compared without)")
    p.add_argument("--out", type=Path, default=Path("runs/bench"), metavar="DIR", help="of page and chart (runs/bench)")
    p.add_argument("--json", metavar="FILE", help="every sample as JSON too, to a file or - for stdout")
    return p


def main(argv: list[str]) -> int:
    args = parser().parse_args(argv)
    from minigan.errors import InputError

    if args.threads < 1:
        raise InputError(f"--threads must be at least 1, not {args.threads}")
    if args.seconds is not None and args.seconds <= 0:
        raise InputError(f"--seconds must be greater than 0, not {args.seconds:g}")
    if args.json and args.json != "-":
        path = Path(args.json)
        if path.is_dir() or not path.absolute().parent.is_dir():
            raise InputError(f"{path} must be a file in a directory that is there")
    set_threads(args.threads)
    from autograd.arrays import device_module
    from minigan import accelerate

    device_module(args.device)
    accelerate.use(None if args.no_loops and args.device == "cpu" else args.device)
    refuse_tf32_on_cpu(args.tf32, args.device)
    return measure_all(args)


def set_threads(threads: int) -> None:
    """For the libraries under NumPy, which read it when NumPy is imported, and for processes started from here."""
    for name in THREADS:
        os.environ[name] = str(threads)


def chosen(only: str | None, quick: bool) -> tuple[list["Case"], list[str]]:
    """The cases to time, and the names of the steps whose memory to take; InputError for what nothing is called."""
    from experiments.bench import distances, hot_ops, inception, memory, overhead, steps
    from minigan.errors import InputError

    modules: list[Any] = [overhead, steps, hot_ops, inception, distances]
    every = [case for module in modules for case in module.cases()]
    remembered = memory.cases()
    if only:
        words = [word.strip() for word in only.split(",") if word.strip()]
        for word in words:
            if word not in GROUPS and not any(word in case.name for case in every):
                raise InputError(f"--only {word}: nothing is called so; the groups are {', '.join(GROUPS)}")
        every = [c for c in every if any(w == c.group or w not in GROUPS and w in c.name for w in words)]
        remembered = remembered if "memory" in words else []
    if quick:
        every = [case for case in every if case.quick]
        remembered = [name for name in remembered if name in steps.QUICK]
    return every, remembered


def measure_all(args: argparse.Namespace) -> int:
    from tqdm import tqdm

    from experiments.bench import memory, show
    from experiments.bench.case import BUSY, KINDS, MARK, has_torch, measure
    from experiments.bench.flops import peak

    cases, remembered = chosen(args.only, args.quick)
    with_torch = has_torch()
    if with_torch:
        import torch

        torch.set_num_threads(args.threads)
    else:
        print("PyTorch is not installed (pip install -e '.[torch]'): our side alone", file=sys.stderr)
    fastest = peak(args.device, with_torch)
    record: dict[str, Any] = {
        "command": command_line(),
        "when": time.strftime("%Y-%m-%d %H:%M"),
        "machine": {**show.machine(args.device, args.threads, with_torch), "peak GFLOP/s": round(fastest / 1e9, 1)},
        "measured": [],
        "memory": {},
    }
    printed: list[str] = []
    bar = tqdm(total=len(cases) + len(remembered), file=sys.stderr, leave=False)

    def say(line: str) -> None:
        printed.append(line)
        if args.json != "-":
            bar.write(line, file=sys.stdout)
            sys.stdout.flush()

    say(", ".join(f"{k} {v}" for k, v in record["machine"].items() if v is not None))
    seconds, fewest = args.seconds or (0.6 if args.quick else 5.0), 3 if args.quick else 5
    group, status, share = "", 0, 1.0
    try:
        for case in cases:
            bar.set_description_str(f"{case.group}: {case.name}")
            measured = measure(case, args.device, seconds, fewest, with_torch, args.tf32)
            if case.group != group:
                say(show.heading(group := case.group))
            say(show.row(measured, fastest))
            record["measured"].append(measured.record())
            share = min(share, measured.processor_share)
            status = 1 if measured.differs else status
            bar.update()
        for name in remembered:
            bar.set_description_str(f"memory: {name}")
            kinds = KINDS if with_torch else KINDS[:1]
            found = {kind: memory.of_process(name, kind, args.device, args.threads) for kind in kinds}
            if group != "memory":
                say(show.heading(group := "memory"))
            say(show.memory_row(name, found))
            record["memory"][name] = found
            bar.update()
    except KeyboardInterrupt:
        status = 130
    bar.close()
    if share < BUSY:
        say(f"the machine was busy: at worst this process had {share:.0%} of a core; do not trust lines marked {MARK}")
    write(args, record, "\n".join(printed))
    return status


def write(args: argparse.Namespace, record: dict[str, Any], printed: str) -> None:
    from experiments.bench.page import page, picture
    from minigan.figures import write_bytes

    text = json.dumps(record, indent=1, ensure_ascii=False) + "\n"
    if drawn := picture(record):
        write_bytes(args.out / "bench.png", drawn)
    write_bytes(args.out / "bench.html", page(record, printed).encode())
    write_bytes(args.out / "bench.json", text.encode())
    if args.json == "-":
        print(text, end="")
    elif args.json:
        write_bytes(args.json, text.encode())
    print(f"look at {args.out / 'bench.html'}", file=sys.stderr)


if __name__ == "__main__":
    run_main(main)
