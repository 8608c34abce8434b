"""How a job is configured, and in what the run that lies in its place was configured otherwise."""

import dataclasses
import importlib
import shlex
from collections.abc import Sequence
from pathlib import Path

from experiments.parts.flags import given_options
from experiments.parts.jobs import Job, Result, look
from minigan.config import Config, flag_of
from minigan.errors import InputError
from minigan.presets import BEFORE, resolve

# By command: pixels along a side, and channels, of its images where nothing says otherwise.
COMMANDS = {"mnist": (28, 1), "celeba": (64, 3), "cifar10": (32, 3), "images": (64, 3)}


def configuration(
    job: Job, image_size: int | None = None, channels: int | None = None, classes: int | None = None
) -> Config:
    """The configuration that the flags of a job give today, on images of this size or of its command's usual size.

    classes: of the labels, if the job has --labels.
    """
    module = importlib.import_module(f"experiments.{job.command}")
    args = module.parser().parse_args(job.flags)
    size, colours = COMMANDS[job.command]
    image = {"image_size": image_size or getattr(args, "size", None) or size, "channels": channels or colours}
    told = {"classes": classes} if classes and args.labels else {}
    return resolve(**{**given_options(args), **image, **told})


def differences(result: Result) -> list[str]:
    """What the run in the directory was configured otherwise than its job says: flags, or defaults changed since."""
    command = shlex.split(result.config.get("command", ""))
    if len(command) < 3:  # not written yet
        return []
    if command[2] != f"experiments.{result.job.command}":
        return [f"{command[2]}, now experiments.{result.job.command}"]
    then, now = _by_name(command[3:]), _by_name(result.job.flags)
    flags = {
        name: f"{_flag(name, then)}, now {_flag(name, now)}"
        for name in {**then, **now}
        if then.get(name) != now.get(name)
    }
    recorded = result.config.get("options", {})
    if not recorded or {"--config", "--init"} & now.keys():  # of another run, settings come that the flags do not say
        return [*flags.values()]
    recorded = {**dataclasses.asdict(Config()), **BEFORE, **recorded}  # a field that it lacks is what it was before
    of_data = (recorded.get(name) for name in ("image_size", "channels", "classes"))
    today = dataclasses.asdict(configuration(result.job, *of_data))
    options = [f"{k} {recorded.get(k)}, now {v}" for k, v in today.items() if recorded.get(k) != v]
    if not options:  # a flag may say what is the default anyway
        fields = set(map(flag_of, today))
        return [words for name, words in flags.items() if name.replace("--no-", "--", 1) not in fields]
    return [*flags.values()] or options


def _by_name(words: Sequence[str]) -> dict[str, list[str]]:
    """{flag: values} of a command line, without the flags that do not change the result."""
    named: dict[str, list[str]] = {}
    for word in words:
        if word.startswith("--"):
            values = named.setdefault(word, [])
        else:
            values.append(word)
    return {name: values for name, values in named.items() if name not in ("--out", "--device")}


def _flag(name: str, flags: dict[str, list[str]]) -> str:
    return " ".join([name, *flags[name]]) if name in flags else f"no {name}"


def refuse_changed(job: Job, out: Path) -> None:
    """InputError if the run in `out` has other settings than its job."""
    if changed := differences(look(job, out)):
        raise InputError(
            f"{out / job.name} was trained with other settings ({'; '.join(changed[:3])}): choose another --out"
        )
