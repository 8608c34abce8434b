"""Grade a folder of answers, in the form that Gradescope reads."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from experiments.learn.course import Exercise, write_text
from experiments.learn.runner import run


def grade(course: list[Exercise], directory: Path, limit: float) -> Iterator[dict[str, Any]]:
    """For each exercise a test as in Gradescope's results.json: 1 if DIRECTORY/NAME.py passes, else 0, with words.

    No hint but the diagnosis is given. A missing file, a crash and a loop are failures like others.
    """
    for exercise in course:
        verdict = run(exercise, directory / f"{exercise.name}.py", limit)
        printed = f"\n\nIt prints:\n{verdict.printed}" if verdict.printed and not verdict.passed else ""
        yield {
            "name": f"{exercise.name}: {exercise.title}",
            "score": float(verdict.passed),
            "max_score": 1.0,
            "status": "passed" if verdict.passed else "failed",
            "output": "right" if verdict.passed else verdict.text + printed,
            "output_format": "text",
        }


def grade_main(course: list[Exercise], directory: Path, limit: float, out: str | None) -> int:
    """Grade, print or write the result; the exit status is 0 if every answer is right, else 1."""
    tests = []
    for test in grade(course, directory, limit):
        tests.append(test)
        if out != "-":
            print(f"{test['score']:.0f}/1  {test['name']}", flush=True)
            if not test["score"]:
                print("     " + test["output"].replace("\n", "\n     "), flush=True)
    score = sum(test["score"] for test in tests)
    report = {"score": score, "output": f"{score:.0f} of {len(tests)} exercises are right", "tests": tests}
    text = json.dumps(report, indent=2, ensure_ascii=False)
    if out == "-":
        print(text)
    else:
        print(report["output"])
        if out:
            write_text(Path(out), text + "\n")
    return 0 if score == len(tests) else 1
