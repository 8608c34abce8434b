"""Our time and memory beside PyTorch's: python -m experiments.bench

It measures the engine's overhead, whole training steps, the ops they spend their time in, Inception features, the
figures of merit, peak memory, and steps that several processes share. Without PyTorch (pip install -e '.[torch]') our
side is measured alone.
"""

import argparse
import json
import os
import platform
import re
import sys
import time
import traceback
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from experiments.bench import METHOD
from experiments.cli import command_line, run_main
from experiments.parts.device import choose_device, refuse_tf32_on_cpu

THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
EXAMPLES = """\
sections: overhead, step, ops, inception, metrics, memory, ranks

examples:
  python -m experiments.bench                           everything on one thread: about half an hour
  python -m experiments.bench --quick                   a minute or two: the small models
  python -m experiments.bench --only step,memory --threads 2
  python -m experiments.bench --only 'attention l2' --seconds 20
  python -m experiments.bench --only step+poster --device cuda --tf32

"""


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(
        prog="python -m experiments.bench",
        description=__doc__,
        epilog=EXAMPLES + METHOD,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    p.add_argument("--only", default="", metavar="LIST", help="sections, or parts of names; a+b: both of them")
    p.add_argument("--quick", action="store_true", help="the small models, and few rounds")
    p.add_argument("--seconds", type=float, metavar="S", help="how long each line is timed (5; 0.6 with --quick)")
    p.add_argument("--threads", type=int, default=1, metavar="N", help="threads of each side (1)")
    p.add_argument("--no-loops", action="store_true", help="on a CPU: NumPy alone, even where numba is installed")
    p.add_argument("--device", default="cpu", choices=["cpu", "cuda"], help="where the networks are (cpu)")
    p.add_argument("--tf32", action="store_true", help="on a GPU: time in TF32; results are compared in float32")
    p.add_argument("--out", type=Path, default=Path("runs/bench"), metavar="DIR", help="for page and JSON (runs/bench)")
    return p


def main(argv: list[str]) -> int:
    args = parser().parse_args(argv)
    from minigan.errors import InputError

    if args.threads < 1:
        raise InputError(f"--threads must be at least 1, not {args.threads}")
    if args.seconds is not None and args.seconds <= 0:
        raise InputError(f"--seconds must be greater than 0, not {args.seconds:g}")
    place = next(path for path in (args.out, *args.out.absolute().parents) if path.exists())
    if not place.is_dir():
        raise InputError(f"--out {args.out}: {place} is not a directory")
    refuse_tf32_on_cpu(args.tf32, args.device)
    args.seconds, args.rounds = args.seconds or (0.6 if args.quick else 5.0), 3 if args.quick else 5
    for name in THREADS:  # the libraries under NumPy read them when NumPy is imported
        os.environ[name] = str(args.threads)
    choose_device(args.device, not args.no_loops)
    return measure_all(chosen(args.only, args.quick), args)


def chosen(only: str, quick: bool) -> list:
    """The cases to measure; InputError for a word that is neither a section nor a part of a name.

    Of words that are joined by +, a case must fit all.
    """
    from experiments.bench.cases import every_case
    from experiments.bench.show import SECTIONS
    from minigan.errors import InputError

    def fits(case: Any, words: str) -> bool:
        return all(w == case.section or w not in SECTIONS and w in case.name for w in words.split("+"))

    cases, wanted = every_case(), [words.strip() for words in only.split(",") if words.strip()]
    for words in wanted:
        if not any(fits(case, words) for case in cases):
            raise InputError(f"--only {words}: no name contains it, and the sections are {', '.join(SECTIONS)}")
    if wanted:
        cases = [case for case in cases if any(fits(case, words) for words in wanted)]
    return [case for case in cases if case.quick or not quick]


def measure_all(cases: list, how: argparse.Namespace) -> int:
    """Measure and print the cases, and write the page and the JSON; returns the exit status."""
    from experiments.bench import show
    from experiments.bench.case import KINDS
    from minigan.progress import Progress

    def say(line: str) -> None:
        bar.write(line, file=sys.stdout)
        sys.stdout.flush()

    how.kinds = KINDS if find_spec("torch") else KINDS[:1]
    if len(how.kinds) == 1:
        print("PyTorch is not installed (pip install -e '.[torch]'): our side alone", file=sys.stderr)
    facts, status = machine(how), 0
    rows: list[dict[str, Any]] = []
    record = {"command": command_line(), "when": time.strftime("%Y-%m-%d %H:%M"), "machine": facts, "rows": rows}
    bar = Progress(cases, leave=False)
    say(", ".join(f"{name} {value}" for name, value in facts.items() if value is not None))
    lines = "1 line" if len(cases) == 1 else f"{len(cases)} lines"
    say(f"{lines}, each timed for about {how.seconds:g} s, {how.rounds} rounds at least")
    try:
        for case in bar:
            bar.set_description_str(f"{case.section}: {case.name}")
            rows.append(row := attempt(case, how))
            if len(rows) == 1 or rows[-2]["section"] != row["section"]:
                say(show.heading(row))
            say(show.line(row, 1e9 * facts["peak GFLOP/s"]))
            status = 1 if row["differs"] else status
            keep(record, how.out)
    except KeyboardInterrupt:
        status = 130
    share = min((row["processor share"] for row in rows), default=1.0)
    if share < show.BUSY:
        say(f"the machine was busy: at worst this process had {share:.0%} of a core; do not trust the marked lines")
    keep(record, how.out)
    print(f"look at {how.out / 'bench.html'}", file=sys.stderr)
    return status


def attempt(case: Any, how: argparse.Namespace) -> dict[str, Any]:
    """The row of a case; of one that fails, why, and where on stderr. The other cases are measured all the same."""
    try:
        return case.measure(how)
    except Exception as e:
        traceback.print_exc()
        first_line = str(e).strip().split("\n")[0]
        return case.row({}, differs=f"{type(e).__name__}: {first_line}", failed=True)


def keep(record: dict[str, Any], out: Path) -> None:
    """Write the page and the JSON of what has been measured so far."""
    from experiments.bench import show
    from minigan.files import write_bytes

    write_bytes(out / "bench.html", show.page(record).encode())
    write_bytes(out / "bench.json", json.dumps(record, indent=1, ensure_ascii=False).encode())


def machine(how: argparse.Namespace) -> dict[str, Any]:
    """What a time depends on."""
    import numpy as np

    from autograd.arrays import device_module
    from experiments.bench.flops import peak

    cpuinfo = Path("/proc/cpuinfo")
    models = re.findall("model name\\s*: (.*)", cpuinfo.read_text()) if cpuinfo.exists() else [platform.processor()]
    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]  # type: ignore[call-overload,index]
    facts = {"processor": [*models, platform.machine()][0], "cores": os.cpu_count(), "threads": how.threads}
    facts |= {"device": how.device, "system": platform.system(), "python": platform.python_version()}
    facts |= {"numpy": np.__version__, "blas": f"{blas.get('name')} {blas.get('version')}", "torch": None}
    if len(how.kinds) > 1:
        import torch

        torch.set_num_threads(how.threads)
        facts["torch"] = torch.__version__
    if how.device == "cuda":
        facts["gpu"] = device_module("cuda").cuda.runtime.getDeviceProperties(0)["name"].decode()
    return facts | {"peak GFLOP/s": round(peak(how.device, len(how.kinds) > 1) / 1e9, 1)}


def run() -> None:
    """The console script."""
    run_main(main)


if __name__ == "__main__":
    run()
