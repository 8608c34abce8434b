"""Faces in colour drawn by a program: a substitute for CelebA that needs no download.

This is **not** CelebA: these are no photographs, none of these people exist, and no picture was copied. Each face is an
egg-shaped head, turned in three dimensions, with features painted on it, under a light. This file draws the traits of
the people at random; `minigan.data.portrait` paints them. Numbers measured on them say nothing about CelebA.
"""

from types import SimpleNamespace
from typing import Any

import numpy as np

from minigan.data.portrait import draw
from minigan.progress import Progress

_CHUNK = 240  # people from one child seed; always a whole chunk, so that face i does not depend on n
_TILE = 4  # faces painted together: few, so that their arrays stay in the processor's cache
_FINEST = 64  # smaller pictures are averages of pictures of at least this size, so a face is the same at every size

# sRGB, dark to light; a person's colour lies between two neighbours of a list
_SKIN = ["5a3825", "75492f", "94603f", "b57d58", "cf9b77", "e3b697", "eac4a8", "efd0ba"]
_HAIR = ["17130f", "2b1d14", "46301f", "6b4a2c", "94693b", "c39a58", "e0c283"]
_IRIS = ["3a2414", "55351c", "6f5127", "6f7440", "57806f", "5f8fb0", "8fa9b8"]


def faces(n: int, seed: int = 0, size: int = 64) -> np.ndarray:
    """Draw n faces: uint8 (n, size, size, 3), RGB.

    A seed gives one sequence of people, at every size and for every n. A progress bar appears when drawing takes longer
    than a second.
    """
    factor = -(-_FINEST // size)
    images = np.empty((n, size, size, 3), np.uint8)
    with Progress(total=n, desc="drawing faces", unit="face", delay=1) as bar:
        for chunk, at in enumerate(range(0, n, _CHUNK)):
            people = _people(np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(chunk,))))
            for first in range(0, min(_CHUNK, n - at), _TILE):
                some = SimpleNamespace(**{name: trait[first : first + _TILE] for name, trait in people.items()})
                drawn = draw(some, factor * size).reshape(-1, 3, size, factor, size, factor).mean((3, 5))
                target = images[at + first : at + first + _TILE]
                target[...] = np.rint(255 * drawn[: len(target)]).transpose(0, 2, 3, 1)
                bar.update(len(target))
    return images


class _Dice:
    """Random traits of n = _CHUNK people: numbers (n, 1, 1) and colours (n, 3, 1, 1)."""

    def __init__(self, rng: np.random.Generator):
        self.rng = rng

    def even(self, low: float, high: float) -> np.ndarray:
        return self.rng.uniform(low, high, (_CHUNK, 1, 1))

    def about(self, mean: Any, deviation: float) -> np.ndarray:
        return mean + deviation * np.clip(self.rng.normal(size=(_CHUNK, 1, 1)), -2.2, 2.2)

    def beta(self, a: float, b: float) -> np.ndarray:
        return self.rng.beta(a, b, (_CHUNK, 1, 1))

    def chance(self, probability: Any) -> np.ndarray:
        return (self.rng.random((_CHUNK, 1, 1)) < probability).astype(float)

    def along(self, names: list[str], place: np.ndarray) -> np.ndarray:
        """The colours at `place`, 0 … 1 along a list, with a little noise."""
        colours = np.array([[int(name[i : i + 2], 16) / 255 for i in (0, 2, 4)] for name in names])
        at = np.clip(place, 0, 1).reshape(-1) * (len(colours) - 1)
        mixed = np.stack([np.interp(at, range(len(colours)), channel) for channel in colours.T], 1)
        return np.clip(mixed + self.rng.normal(0, 0.012, mixed.shape), 0, 1)[:, :, None, None]

    def paint(self, saturation: tuple[float, float], value: tuple[float, float]) -> np.ndarray:
        """Colours of random hue, with saturation and value (as in HSV) from these ranges."""
        hue, s, v = self.rng.random((_CHUNK, 1)), self.even(*saturation)[:, 0], self.even(*value)[:, 0]
        wheel = np.clip(np.abs((hue * 6 + [0, 4, 2]) % 6 - 3) - 1, 0, 1)
        return (v * (1 - s * (1 - wheel)))[:, :, None, None]


def _mix(a: np.ndarray, b: np.ndarray, share: np.ndarray) -> np.ndarray:
    return a + (b - a) * share[:, None]


def _rgb(r: float, g: float, b: float) -> np.ndarray:
    return np.reshape([r, g, b], (3, 1, 1))


def _people(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """The traits that `draw` needs, float32. Lengths are in half heights of the head, angles in radians.

    Three hidden traits correlate the others: how male, how old, and the tone of skin and hair. The order of the lines
    decides which random number becomes which trait.
    """
    dice, p = _Dice(rng), SimpleNamespace()
    even, about, chance = dice.even, dice.about, dice.chance
    male, old, tone = dice.beta(0.35, 0.35), dice.beta(1.2, 2.0), even(0, 1)
    man = male > 0.55

    # Pose, shape of the head, light
    p.scale, p.left, p.top = about(0.745, 0.025), about(0, 0.03), about(0.05, 0.02)
    p.roll, p.yaw, p.pitch = about(0, 0.085), about(0, 0.24), about(0, 0.07)
    p.width, p.jaw = about(0.735, 0.036) + 0.02 * male, about(2.0, 0.22) + 0.35 * male
    side, height = about(0, 0.75), even(0.15, 0.85)  # angles of the light, which comes from above and from one side
    p.light_x, p.light_y, p.light_z = np.sin(side) * np.cos(height), -np.sin(height), np.cos(side) * np.cos(height)
    p.ambient = even(0.5, 0.72)
    p.tint = 1 + _rgb(1, 0.1, -1) * about(0.005, 0.03)[:, None]
    p.exposure, p.contrast = about(1.0, 0.06), about(1.0, 0.06)

    # Colours
    p.skin, p.old = dice.along(_SKIN, tone), old
    p.blush = even(0.05, 0.3) * (1.2 - 0.6 * male)
    p.hair = dice.along(_HAIR, dice.beta(1.1, 1.9) * (0.1 + tone))
    p.hair = _mix(p.hair, _rgb(0.66, 0.29, 0.12) * even(0.6, 1.1)[:, None], chance(0.12) * (tone > 0.45) * even(0.4, 1))
    grey = np.clip((old - 0.5) * 3, 0, 1) * chance(0.75) * even(0.3, 1)
    p.hair = _mix(p.hair, _rgb(0.72, 0.72, 0.73) * even(0.7, 1.15)[:, None], grey)
    p.hair = _mix(p.hair, dice.paint((0.35, 0.75), (0.4, 0.9)), chance(0.035) * even(0.6, 1))
    p.brow = _mix(p.hair * 0.75, p.skin * 0.45, even(0.1, 0.5))
    p.iris = dice.along(_IRIS, even(0, 0.35) + 0.75 * (tone > 0.4) * dice.beta(0.6, 0.9))
    make_up = (1 - male) * chance(0.65) * even(0.2, 1)
    p.lash, p.shadow = 0.55 + 0.45 * make_up, make_up * even(0, 0.4)
    lipstick = _rgb(0.66, 0.02, 0.08) + _rgb(0, 0.35, 0.45) * dice.paint((0.65, 0.8), (0.6, 0.85))
    p.lips = _mix(p.skin * _rgb(0.95, 0.66, 0.67), lipstick, make_up * 0.75)

    # Eyes, brows, nose, mouth
    p.eye_x, p.eye_y, p.slant = about(0.315, 0.016), about(0, 0.02), about(0.06, 0.07)
    p.eye_w, p.eye_h = about(0.163, 0.01), about(0.082, 0.009) - 0.01 * male
    p.gaze_x, p.gaze_y, p.crease = about(0, 0.02) + 0.05 * p.yaw, about(0, 0.01), even(0.022, 0.042)
    p.brow_y, p.brow_arch = about(0.165, 0.018) - 0.015 * male, about(0.04, 0.018) * (1.3 - 0.6 * male)
    p.brow_tilt, p.brow_w = about(-0.06, 0.12), about(0.022, 0.006) + 0.014 * male
    p.nose_y, p.nose_w, p.nose_h = about(0.37, 0.022), about(0.105, 0.014) + 0.012 * male, even(0.6, 1.2)
    p.smile = np.clip(about(0.6, 0.42), -0.15, 1.15)
    p.squint = np.clip(p.smile, 0, 1) * even(0, 0.35)
    p.mouth_y = p.nose_y + about(0.255, 0.018)
    p.mouth_w = about(0.225, 0.018) + 0.075 * np.clip(p.smile, 0, 1)
    p.open = chance(0.5) * np.clip(p.smile, 0.15, 1) * even(0.05, 0.135)
    p.upper, p.lower = about(0.046, 0.012) - 0.01 * male, about(0.062, 0.013)

    # Hair
    long = chance(np.where(man, 0.08, 0.9))
    bald = chance(0.13 * male * (0.3 + old))
    afro = chance(np.where(tone < 0.45, 0.3, 0.04)) * (1 - bald)
    bun = chance(0.14) * long * (1 - afro)
    fringe = chance(0.28 - 0.14 * male) * (1 - afro) * (1 - bun)
    cases = [bald > 0, bun > 0, afro > 0, long > 0]  # the first that applies decides; short hair if none does
    p.length = np.select(cases, [even(0, 0.1), even(-0.05, 0.15), even(-0.1, 0.5), even(0.35, 1.9)], even(-0.12, 0.22))
    p.thick = np.select(cases, [0 * old, even(0.04, 0.09), even(0.16, 0.4), even(0.09, 0.24)], even(0.03, 0.17))
    p.lift = chance(0.6) * even(0, 0.2) * (1 - afro) * (1 - bald) * (1 - 0.6 * long)  # hair piled up over the forehead
    p.cover = np.where(bald > 0, chance(0.5) * 0.22, 1.0)  # how visible the hair is: a bald head is shaved or bare
    p.curl = np.maximum(afro, chance(0.3) * even(0.2, 0.8))
    p.wave = chance(0.6) * even(0.02, 0.09) * long
    p.part, p.sweep = about(0, 0.4), about(0, 0.28) * (1 - 0.5 * fringe) * (1 - afro)
    receding = 0.12 * male * np.clip(old - 0.4, 0, 1)
    p.hairline = np.where(fringe > 0, even(-0.42, -0.16), about(-0.56, 0.04) - receding + 0.04 * afro)
    p.temple, p.ragged = about(0.1, 0.5), np.where(fringe > 0, even(0.03, 0.07), 0.025)
    p.bun_x, p.bun_y, p.bun_r = about(0, 0.2), even(-1.18, -0.98), np.where(bun > 0, even(0.2, 0.33), -9)
    p.gloss, p.strand = even(0.1, 0.5), rng.uniform(0, 2 * np.pi, (_CHUNK, 6, 1, 1))

    # Beard and glasses
    beard = chance(0.5) * man
    p.beard, p.beard_y = beard * np.where(chance(0.5), even(0.1, 0.35), even(0.6, 0.95)), even(0.16, 0.5)
    p.moustache = np.where(p.beard > 0, p.beard * chance(0.85), chance(0.08) * man * 0.85)
    p.glasses, p.dark = chance(0.12 + 0.12 * old), chance(0.12)
    p.rim, p.rim_w, p.rim_h, p.square = even(0.014, 0.034), even(0.205, 0.245), even(0.14, 0.2), even(0, 1)
    p.frame = _mix(dice.paint((0.2, 0.8), (0.08, 0.5)), _rgb(0.07, 0.07, 0.07), chance(0.6))
    p.lens = _mix(_rgb(0.95, 0.95, 0.95), dice.paint((0.1, 0.5), (0.05, 0.25)), p.dark)

    # Clothes and wall
    p.shoulder, p.slope, p.neck = even(1.1, 1.22), even(0, 0.09), about(0.34, 0.02) + 0.07 * male
    p.collar, p.vee = even(0, 0.35), chance(0.5)
    p.cloth, p.cloth2 = dice.paint((0.1, 0.75), (0.12, 0.9)), dice.paint((0, 0.5), (0.2, 0.95))
    p.stripes, p.stripe_f = chance(0.15) * 0.6, even(14, 30)
    p.wall, p.wall_angle = dice.paint((0.05, 0.45), (0.25, 0.95)), even(0, 2 * np.pi)
    p.wall2 = _mix(dice.paint((0.05, 0.45), (0.2, 0.9)), p.wall, even(0, 0.7))
    p.spot, p.spot_x, p.spot_y = dice.paint((0, 0.5), (0.3, 1)), *rng.uniform(-1.1, 1.1, (2, _CHUNK, 4, 1, 1))
    p.spot_r, p.spot_cover = rng.uniform(0.12, 0.6, (_CHUNK, 4, 1, 1)), rng.uniform(0, 0.75, (_CHUNK, 4, 1, 1))
    return {name: np.asarray(trait, np.float32) for name, trait in vars(p).items()}
