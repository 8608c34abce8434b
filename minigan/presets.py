"""What a field of a run is where no flag gives it: the presets, the variants, kinds of image, and older files.

Defaults, what goes with Adam (of a run by Adam), kind of image, preset, variant and flags are applied in this order; a
later one replaces the value of an earlier one.
"""

import dataclasses
import math
from typing import Any

from minigan.config import LARGEST_SIZE, SMALLEST_SIZE, Config, check, fits_shampoo
from minigan.errors import InputError

TOKENS = (2, 16)  # patches along an image, at least and at most, where no flag gives their size

# What goes with Adam: the rates, and how far the average reaches, that were found best with it; and more steps, as each
# takes less time than one by Shampoo.
ADAM: dict[str, Any] = {
    "lookahead": 0,
    "steps": 10_000,
    "g_lr": 3e-3,
    "d_lr": 3e-3,
    "ema": 0.999,
    "ema_ramp": 12.0,
}

# What the fields meant in files written before they existed: G was as the paper describes it, the optimiser was Adam.
BEFORE: dict[str, Any] = {
    "g_tokens": False,
    "g_tokens_alike": False,
    "g_style_rate": 1.0,
    "g_overlap": 0,
    "g_reach": 1.0,
    "g_points": 1,
    "g_level": False,
    "optimizer": "adam",
    "lookahead": 0,
}

PRESETS: dict[str, dict[str, Any]] = {
    "small": {},
    # The poster: 4 blocks of 4 heads, about 30 M parameters, lr 2e-5, 100 epochs of 60,000. Its code trained the
    # non-saturating loss without penalty, consistency or augmentation. The moving average of G is our addition.
    "poster": {
        **BEFORE,
        "d_overlap": 3,
        "batch": 128,
        "steps": 46_900,
        "latent": 1024,
        "g_width": 512,
        "g_depth": 4,
        "g_mlp_ratio": 4.0,
        "g_omega": 15.0,
        "g_head_width": 512,
        "d_width": 512,
        "d_depth": 4,
        "d_mlp_ratio": 4.0,
        "activation": "gelu",
        "loss": "nonsaturating",
        "penalty": "none",
        "g_lr": 2e-5,
        "d_lr": 2e-5,
        "warmup": 1,
        "decay": "constant",
    },
    # The paper, section 4 and its appendix: width 384, MLP 1536, 6 heads, P = 4, o = 2, non-saturating loss with bCR 10
    # and DiffAug at 0.8, Adam (0, 0.99) at 2e-3 with equalised learning rates.
    "paper": {
        **BEFORE,
        "batch": 128,
        "steps": 100_000,
        "latent": 384,
        "g_width": 384,
        "g_depth": 4,
        "g_heads": 6,
        "g_mlp_ratio": 4.0,
        "g_patch": 4,
        "g_position": "sine",
        "g_head": "fourier",
        "g_head_width": 384,
        "d_width": 384,
        "d_depth": 4,
        "d_heads": 6,
        "d_mlp_ratio": 4.0,
        "d_patch": 4,
        "d_overlap": 2,
        "d_position": "sine",
        "activation": "gelu",
        "loss": "nonsaturating",
        "penalty": "none",
        "bcr": 10.0,
        "augment": "translation,cutout,brightness,contrast",
        "augment_p": 0.8,
        "g_lr": 2e-3,
        "d_lr": 2e-3,
        "equalised": True,
        "decay": "constant",
    },
}

# Colour images have no background to start from. A weaker penalty lets D see their details; it must not fade at the
# end, or D runs away. Four points a pixel would make a step at 64 × 64 half as long again, and were not tried; nor were
# Shampoo and levels.
COLOUR: dict[str, Any] = {
    "background": 0.0,
    "r1": 2.0,
    "r2": 2.0,
    "g_points": 1,
    "g_level": False,
    "optimizer": "adam",
}

VARIANTS: dict[str, dict[str, Any]] = {
    "vitgan": {},
    "vanilla": {"g_modulated": False, "d_similarity": "dot", "d_norm": "none"},
    # What ViTGAN (2107.04589, section 3) sets out from: no patches that overlap, one w for all tokens, a linear output.
    "vanilla-paper": {
        "g_modulated": False,
        "g_tokens_alike": True,
        "g_overlap": 0,
        "g_head": "linear",
        "d_overlap": 0,
        "d_similarity": "dot",
        "d_norm": "none",
    },
    "relu": {"activation": "relu"},
    "cnn": {
        "optimizer": "adam",
        "steps": 8000,
        "g_points": 1,
        "g_level": False,
        "d_norm": "none",
        "g_lr": 2e-3,
        "d_lr": 2e-3,
        "r1": 3.0,
        "r2": 3.0,
        "penalty_start": 1 / 3,
        "penalty_end": 0.25,
        "g_final_lr": 0.05,
        "ema_ramp": 16.0,
    },
}


def resolve(**flags: Any) -> Config:
    """The configuration of a run: the flags given (not None), over variant, preset, kind of image and defaults.

    The optimiser is Adam, with what goes with it, for colour, the CNN, the presets `poster` and `paper`, and networks
    that are narrower or wider than Shampoo whitens: of those it would leave most matrices to Adam.
    InputError as from `check`, and where patches have to be given because none fits the image size.
    """
    given = {k: v for k, v in flags.items() if v is not None}
    image: dict[str, Any] = {}
    if patch := usual_patch(given.get("image_size", Config.image_size)):
        image = {"g_patch": patch, "d_patch": patch, "g_overlap": min(2, patch // 3), "d_overlap": min(6, patch - 1)}
    preset = PRESETS.get(given.get("preset", "small"), {})
    variant = dict(VARIANTS.get(given.get("variant", "vitgan"), {}))
    if {**preset, **variant, **given}.get("g_head") == "linear":
        image["g_points"] = 1  # a coordinate network alone draws more points with the same weights
    if given.get("channels") == 3:
        image |= COLOUR
        variant.pop("penalty_end", None)
    chosen = {**image, **preset, **variant, **given}
    fitting = all(fits_shampoo(chosen.get(name, getattr(Config, name))) for name in ("g_width", "d_width"))
    if chosen.get("optimizer", Config.optimizer if fitting else "adam") == "adam":
        chosen = {"optimizer": "adam", **ADAM, **chosen}
    config = Config(**chosen)
    if config.variant == "cnn":
        config.g_patch = config.d_patch = min(config.g_patch, config.image_size)  # it has none
    elif not {"g_patch", "d_patch"} <= {*image, *preset, *given} and SMALLEST_SIZE <= config.image_size <= LARGEST_SIZE:
        raise InputError(
            f"images of {config.image_size} pixels cannot be cut into a few equal patches: use another --size, a "
            "multiple of 4, or give --g-patch and --d-patch"
        )
    return check(config)


def vary(saved: Config, **flags: Any) -> Config:
    """A recorded configuration with the flags given (not None). What goes with an optimiser follows it, but the steps.

    InputError as from `check`.
    """
    given = {k: v for k, v in flags.items() if v is not None}
    follows: dict[str, Any] = {}
    if given.get("optimizer", saved.optimizer) != saved.optimizer:
        others = {name: getattr(Config, name) for name in ADAM}
        follows = {**(ADAM if given["optimizer"] == "adam" else others), "steps": saved.steps}
    return check(dataclasses.replace(saved, **{**follows, **given}))


def usual_patch(image_size: int) -> int | None:
    """The divisor of an image's size nearest to a quarter of it; None if each leaves too few or too many tokens."""
    fewest, most = TOKENS
    divisors = [p for p in range(1, min(image_size, LARGEST_SIZE) + 1) if image_size % p == 0]
    fitting = [p for p in divisors if fewest <= image_size // p <= most]
    return min(fitting, key=lambda p: abs(math.log(4 * p / image_size)), default=None)


def saved_config(meta: dict[str, Any], source: Any) -> Config:
    """The configuration in the meta of a checkpoint; InputError unless it could have been given as flags."""
    saved = meta.get("config")
    if not isinstance(saved, dict):
        raise InputError(f"{source}: a checkpoint, but not of a training run")
    fields = {field.name: field.type for field in dataclasses.fields(Config)}
    if unknown := saved.keys() - fields.keys():
        raise InputError(f"{source}: not of this version (unknown: {', '.join(sorted(map(str, unknown)))[:200]})")
    for name, value in saved.items():
        kinds: tuple[Any, ...] = (float, int) if fields[name] is float else (fields[name],)
        if type(value) not in kinds:
            raise InputError(f"{source}: {name} in it is {type(value).__name__}, not {kinds[0].__name__}")
    try:
        return check(Config(**{**BEFORE, **saved}))
    except InputError as e:
        raise InputError(f"{source}: {e}") from e
