"""Damage files of every kind, and read them: python tests/fuzz_readers.py --mutations 20000

Each damaged file must give one sentence (InputError) or the right result, in bounded time and memory. A failure is
printed with its case, seed and number, and `--case NAME --seed S --only I` repeats it. tests/minigan/test_fuzz.py is a
short form of this.
"""

import argparse
import faulthandler
import resource
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent / "support"), str(Path(__file__).parents[1])]
MEMORY = 6 << 30  # bytes


def main() -> int:
    from fuzzing import CASES, SECONDS, fuzz, mutate

    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--mutations", type=int, default=20_000)
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--case", choices=CASES, help="this case alone")
    p.add_argument("--only", type=int, metavar="I", help="write the I-th mutation to a file, and print its name")
    args = p.parse_args()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, resource.getrlimit(resource.RLIMIT_AS)[1]))
    cases = {name: case for name, case in CASES.items() if args.case in (None, name)}
    cases = dict(sorted(cases.items(), key=lambda item: -item[1].weight))  # the slow ones last
    directory = Path(tempfile.mkdtemp())
    if args.only is not None:
        import numpy as np

        path = CASES[args.case].make(directory)
        path.write_bytes(mutate(path.read_bytes(), np.random.default_rng([args.seed, args.only])))
        print(path)
        print(CASES[args.case].read(path))
        return 0
    total, failures, started = Counter(), [], time.monotonic()
    weights = sum(case.weight for case in cases.values())
    for name, case in cases.items():
        faulthandler.dump_traceback_later(3600, exit=True)
        count, begun = -(-args.mutations * case.weight // weights), time.monotonic()
        ended, failed = fuzz(name, count, args.seed, directory / "case")
        total += ended
        failures += failed
        print(f"{name}: {count:,} mutations in {time.monotonic() - begun:.0f} s: {dict(ended)}", flush=True)
        for failure in failed[:20]:
            print(f"  {failure}", flush=True)
    faulthandler.cancel_dump_traceback_later()
    print(f"{total.total():,} mutations in {time.monotonic() - started:.0f} s, seed {args.seed}: {dict(total)}")
    print(f"{len(failures)} failures; a file that takes more than {SECONDS} s counts as one")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
