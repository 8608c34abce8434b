"""The training loop: it runs steps, fills the directory of the run, and can stop and go on at any moment.

runs/<name>/  config.json · log.jsonl · samples/step-*.png · samples.png · samples.gif · samples.h5 · real.png ·
              curves.png · checkpoint.h5 · best.h5 · report.html
"""

import contextlib
import dataclasses
import json
import math
import os
import platform
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from autograd import use_tf32
from autograd.arrays import to_host
from minigan import checkpoint
from minigan.accelerate import in_use
from minigan.curves import curves_png
from minigan.data import Dataset, content_hash
from minigan.directories import hold_run
from minigan.errors import InputError
from minigan.figures import image_grid, save_animation, save_image
from minigan.files import cannot_write, reading, remove, why, write_bytes
from minigan.hdf5 import writing_hdf5
from minigan.labels import one_hot
from minigan.log import describe, distance, read_log
from minigan.non_finite import NonFinite, explain
from minigan.pace import TimeLimit
from minigan.progress import Progress
from minigan.report import write_report
from minigan.showing import COLUMNS, GRID, Showing
from minigan.spectra import spectra
from minigan.step import GAN, STATS, gather_batch
from minigan.track import TensorBoard

# (uint8 samples, their labels or None), on all ranks -> the figures of an "eval" record
Evaluate = Callable[..., dict[str, Any]]


class Run:
    """A training run and its directory.

    evaluate: gives the figures of samples; None for a run without evaluations. data_options: kept in the checkpoint, so
    that the same data can be loaded again. tf32: the steps multiply matrices in TF32; samples and evaluations do not.
    limit: of a run by the clock. It decides the number of steps. track: whether TensorBoard gets the log too.
    """

    def __init__(
        self,
        gan: GAN,
        directory: Path,
        data: Dataset,
        command: str,
        evaluate: Evaluate | None = None,
        data_options: dict[str, Any] | None = None,
        tf32: bool = False,
        limit: TimeLimit | None = None,
        track: bool = False,
    ):
        self.gan, self.directory, self.data, self.command = gan, Path(directory), data, command
        self.world = gan.world  # of its ranks, the first alone writes files and shows anything
        self.evaluate, self.data_options, self.tf32, self.limit = evaluate, data_options or {}, tf32, limit
        self.showing = Showing(gan, data)
        self.track = track
        self.board: TensorBoard | None = None
        self.data_hash = data.digest or content_hash(np.asarray(data.images))
        if gan.config.classes:
            self.data_hash += " " + content_hash(np.asarray(data.labels))
        self.seconds = 0.0  # of training so far, before a resume too
        self.best: dict[str, Any] | None = None  # the evaluation with the least Fréchet distance; best.h5 is its state
        self.last: dict[str, Any] = {}  # the last evaluation
        self.asked: int | None = None  # the first signal that this process got, at any moment
        self.stop_signal: int | None = None  # the one on which all ranks agreed, after a step
        self.signals = 0
        self.saved = False  # after the last step: nothing is lost if a second signal ends what follows

    # Files ---------------------------------------------------------------------------------------

    def save(self, name: str = "checkpoint.h5") -> None:
        """Write a checkpoint. NonFinite, and no new file, if a step since the last line of the log went wrong."""
        self._read_stats()
        arrays, counters = self.gan.state()
        self.world.check_equal([a for group in arrays.values() for a in group.values()], "the states of the run")
        if not self.world.first:
            return
        checkpoint.save(self.directory / name, arrays, {**counters, **self.description()})

    def description(self) -> dict[str, Any]:
        """What a checkpoint holds beside the arrays: enough to build the same run again."""
        return {
            "config": dataclasses.asdict(self.gan.config),
            "data": self.data_options,
            "data_hash": self.data_hash,
            "class_names": self.data.class_names,
            "seconds": self.seconds,
            "command": self.command,
            "best": self.best,
            "device": self.gan.device,
            "ranks": self.world.size,
            "loops": in_use("cpu"),
        }

    def load(self, arrays: checkpoint.Arrays, meta: dict[str, Any]) -> None:
        """Go on from a checkpoint; InputError if it is of other images or other networks."""
        if meta.get("data_hash") != self.data_hash:
            raise InputError(f"{self.directory}: the run was trained on other images than these ({self.data.name})")
        name = "checkpoint.h5" if (self.directory / "checkpoint.h5").is_file() else "best.h5"
        with reading(self.directory / name, "does not fit this run"):
            checkpoint.check_counters(meta)
            self.gan.load_state(arrays, meta)
        self.seconds, self.best = meta["seconds"], meta.get("best")

    def write_config(self) -> None:
        """Write config.json: the options, the data and the machine."""
        gan = self.gan
        if not self.world.first:
            return
        skipped = {"unreadable": self.data.skipped} if self.data.skipped else {}
        config = {
            "command": self.command,
            "variant": gan.config.variant,
            "preset": gan.config.preset,
            "parameters": {"generator": gan.generator.count(), "discriminator": gan.discriminator.count()},
            "data": {"name": self.data.name, "images": len(self.data), **skipped, **self.data_options},
            **({"rows": names} if (names := self.showing.row_names) else {}),
            "options": dataclasses.asdict(gan.config),
            "machine": {
                "device": gan.device,
                "ranks": self.world.size,
                "tf32": self.tf32,
                "loops": in_use("cpu"),
                "cores": os.cpu_count(),
                "python": platform.python_version(),
                "numpy": np.__version__,
                "processor": platform.machine(),
            },
        }
        write_bytes(self.directory / "config.json", json.dumps(config, indent=2).encode())

    def append(self, record: dict[str, Any]) -> None:
        """Append a record to the log, on a new line even after a line that a kill cut short.

        InputError if the disk is full.
        """
        if not self.world.first:
            return
        path = self.directory / "log.jsonl"
        try:
            with open(path, "ab+") as f:
                end = f.seek(0, os.SEEK_END)
                if end:
                    f.seek(end - 1)
                cut = end > 0 and f.read(1) != b"\n"
                f.write((b"\n" if cut else b"") + json.dumps(record).encode() + b"\n")
        except OSError as e:
            raise cannot_write(path, e) from e
        if self.board:
            self.board.record(record)

    def note_schedule(self) -> None:
        """Write down that the schedules are laid over another number of steps from here on."""
        self.write_config()
        self.append({"kind": "schedule", "step": self.gan.steps_done, "steps": self.gan.config.steps})

    # Samples and evaluations ---------------------------------------------------------------------

    def save_samples(self) -> None:
        """Write the sample grid of this step as PNG."""
        if not self.world.first:
            return
        grid = image_grid(self.showing.grid(), COLUMNS)
        save_image(grid, self.directory / "samples" / f"step-{self.gan.steps_done:06d}.png")
        if self.board:
            self.board.grid(grid, self.gan.steps_done)

    def log_evaluation(self, samples: np.ndarray, labels: np.ndarray | None = None) -> dict[str, Any]:
        """Append the figures of samples to the log. If their distance is the least so far, write best.h5.

        samples: uint8 (n, H, W[, 3]). labels (n,): the classes that they were asked to be of.
        """
        if self.evaluate is None:
            return {}
        self.last = {"kind": "eval", "step": self.gan.steps_done, "seconds": round(self.seconds, 2)}
        self.last |= self.evaluate(samples) if labels is None else self.evaluate(samples, labels)
        self.append(self.last)
        if named := distance(self.last):
            key = named[0]
            if self.best is None or self.last[key] < self.best.get(key, math.inf):
                self.best = {"step": self.last["step"], key: self.last[key]}
                self.save("best.h5")
        return self.last

    def log_spectra(self) -> None:
        """Append what D is like inside, at real images and at those of a sample grid; training is not touched."""
        if not self.world.first:
            return
        rows, xp, k = self.showing.rows(), self.gan.xp, self.gan.config.classes
        real = np.asarray(self.data.images[rows])
        fake, labels = self.showing.samples(GRID)
        classes: tuple[Any, Any] = (None, None)
        if labels is not None:
            assert self.data.labels is not None
            classes = tuple(xp.asarray(one_hot(kinds, k)) for kinds in (self.data.labels[rows], labels))
        reals, fakes = (gather_batch(xp, xp.asarray(x), xp.arange(len(x))) for x in (real, fake))
        with np.errstate(all="ignore"):
            figures = spectra(self.gan.discriminator, reals, fakes, classes)
        self.append({"kind": "spectra", "step": self.gan.steps_done, **figures})

    def summarise(self) -> None:
        """Write everything a person looks at, from what the run has so far.

        Nothing here is needed to go on. So what cannot be made, from a damaged file for example, is left out.
        """
        if not self.world.first:
            return
        for write in (self._animation, self._curves, self._last_samples, lambda: write_report(self.directory)):
            try:
                write()
            except Exception as e:
                Progress.write(f"left out in {self.directory}: {why(e)}", file=sys.stderr)

    def _animation(self) -> None:
        if grids := sorted((self.directory / "samples").glob("step-*.png")):
            save_animation(grids, self.directory / "samples.gif")

    def _curves(self) -> None:
        if (self.directory / "log.jsonl").is_file():
            drawn = curves_png(read_log(self.directory / "log.jsonl"), self.gan.config.variant)
            write_bytes(self.directory / "curves.png", drawn)

    def _last_samples(self) -> None:
        save_image(image_grid(self.showing.grid(), COLUMNS, scale=3), self.directory / "samples.png")

    def finish(self) -> dict[str, Any]:
        """The last evaluation, the report, and `eval_samples` images in samples.h5.

        That file comes last because it marks the run as finished: a run that is killed before repeats all of this.
        """
        samples, labels = self.showing.samples(self.gan.config.eval_samples, shared=True)
        before = self.best
        figures = self.log_evaluation(samples, labels)
        if self.best is not before:
            self.save()  # so that a run that is lengthened knows what best.h5 holds
        self.summarise()
        if not self.world.first:
            return figures
        with writing_hdf5(self.directory / "samples.h5") as file:
            file.array("images", samples, compression="gzip")
            if labels is not None:
                file.array("labels", labels)
        return figures

    # The loop ------------------------------------------------------------------------------------

    def train(self) -> dict[str, Any]:
        """Run to the last step; returns the figures of the last evaluation.

        On SIGINT, SIGTERM or SIGHUP the current step is finished, the run is saved, and `stop_signal` is the signal's
        number. A second signal leaves out the pictures that follow. InputError if another process trains this run or
        the disk is full, NonFinite if a loss or a gradient norm is no longer a finite number.
        """
        with contextlib.ExitStack() as held:
            if self.world.first:
                self.directory.mkdir(parents=True, exist_ok=True)
                held.enter_context(hold_run(self.directory))
            return self.train_alone()

    def train_alone(self) -> dict[str, Any]:
        """`train`, with its NonFinite, for a caller that holds the run (`hold_run`)."""
        gan, c = self.gan, self.gan.config
        if self.track and self.world.first:
            self.board = TensorBoard(self.directory, gan.steps_done)
        self.write_config()
        if self.world.first and gan.steps_done < c.steps:
            remove(self.directory / "samples.h5")  # of a run that was finished, and is lengthened
        if not self.world.same((self.directory / "checkpoint.h5").exists()):
            self.save()  # before the first line of the log, so that a run that is killed at any moment can go on
        if self.world.first:
            save_image(image_grid(self.data.images[self.showing.rows()], COLUMNS), self.directory / "real.png")
        if gan.steps_done == 0:
            self.save_samples()
            if c.spectra_every:
                self.log_spectra()
        figures: dict[str, Any] = {}
        options: dict[str, Any] = {"unit": "step", "dynamic_ncols": True, "smoothing": 0.05}
        bar = Progress(total=c.steps, initial=gan.steps_done, disable=not self.world.first, **options)
        previous = {s: signal.signal(s, self._stop) for s in stop_signals()}
        started, before = time.perf_counter(), self.seconds
        if self.limit:
            self.limit.begin(gan)
        try:
            while gan.steps_done < c.steps and self.stop_signal is None:
                with np.errstate(all="ignore"), use_tf32(self.tf32):
                    gan.step()
                bar.update()
                if self.limit and self.limit.lay_anew(gan):
                    bar.set_total(c.steps)
                    self.note_schedule()
                k, ended = gan.steps_done, gan.steps_done == c.steps
                self.seconds = before + time.perf_counter() - started
                if k % c.log_every == 0 or ended:
                    bar.set_postfix_str(self._log())
                evaluated = bool(c.eval_every) and k % c.eval_every == 0
                if evaluated or ended:
                    gan.set_level()
                if k % c.sample_every == 0 or ended:
                    self.save_samples()
                if c.spectra_every and (k % c.spectra_every == 0 or ended):
                    self.log_spectra()
                if evaluated and not ended:
                    if figures := self.log_evaluation(*self.showing.samples(c.eval_samples, shared=True)):
                        Progress.write(f"step {k:,}: {describe(figures)}", file=sys.stderr)
                if k % c.save_every == 0 and not ended:
                    self.save()
                self.stop_signal = self.world.most(self.stop_signal or self.asked or 0) or None
            bar.close()
            if gan.steps_done < c.steps:
                gan.set_level(lasting=False)  # it goes on as if it had not been stopped
            self.save()
            self.saved = True
            if self.stop_signal is None:
                figures = self.finish()
            elif self.signals == 1:
                self.save_samples()  # so that the report ends with what the run has reached
                self.summarise()
        except KeyboardInterrupt:
            if self.asked is None or self.world.size > 1:  # other ranks may wait for this one: all are to end
                raise
        finally:
            self.stop_signal = self.stop_signal or self.asked  # one that came when all steps were done
            for s, handler in previous.items():
                signal.signal(s, handler)
            bar.close()
            if self.board:
                self.board.close()
        return figures

    def _stop(self, number: int, frame: Any) -> None:
        """The first signal ends the loop; a second one ends what follows the last checkpoint."""
        self.signals += 1
        self.asked = self.asked or number
        if self.signals > 1 and self.saved:
            raise KeyboardInterrupt

    def _log(self) -> str:
        """Append the means since the last line to the log; returns the text of the progress bar."""
        gan, c, k = self.gan, self.gan.config, self.gan.steps_done
        means = dict(zip(STATS, (float(x) for x in self._read_stats().mean(axis=0)), strict=True))
        speed = k * c.batch / self.seconds
        record = {
            "kind": "train",
            "step": k,
            "images": k * c.batch,
            "seconds": round(self.seconds, 2),
            **{name: round(value, 6) for name, value in means.items()},
            "lr_g": gan.adam_g.lr,
            "lr_d": gan.adam_d.lr,
            "images_per_second": round(speed, 1),
        }
        self.append(record)
        text = f"D {means['loss_d']:.3f} G {means['loss_g']:.3f} D(real) {means['d_real']:.2f} "
        text += f"D(fake) {means['d_fake']:.2f} {speed:.0f} img/s"
        if named := distance(self.last):
            text += f" {named[1]} {self.last[named[0]]:.1f}"
        return text

    def _read_stats(self) -> np.ndarray:
        """The rows of `STATS` since the last line of the log, read from the device; NonFinite if one is not finite."""
        k, every = self.gan.steps_done, self.gan.config.log_every
        count = k % every
        if count == 0 and k > 0:  # a whole round of the buffer
            count = every
        rows = to_host(self.gan.stats)[:count]
        if not np.isfinite(rows).all():
            raise NonFinite(self.world.first_alone(lambda: self._explain(rows, k - count)))
        return rows

    def _explain(self, rows: np.ndarray, first: int) -> str:
        """What went wrong in the steps after `first`; a signal ends the search."""
        return explain(self.gan, self.data, self.directory, rows, first, self.tf32, lambda: self.asked is not None)


def stop_signals() -> list[int]:
    """Ctrl-C, the signal of a system that shuts down, and that of a closed terminal unless `nohup` ignores it."""
    hangup = getattr(signal, "SIGHUP", None)
    ignored = hangup is None or signal.getsignal(hangup) == signal.SIG_IGN
    return [signal.SIGINT, signal.SIGTERM] + ([] if hangup is None or ignored else [hangup])
