"""The configuration: which option wins, which values are refused, what an older file means."""

import argparse
import dataclasses

import pytest
from tiny_models import TINY

from experiments.parts.flags import add_config_flags, given_options
from minigan.config import Config
from minigan.errors import InputError
from minigan.presets import ADAM, BEFORE, PRESETS, resolve, saved_config, vary


def test_flags_win_over_the_variant_which_wins_over_the_preset():
    assert Config() == resolve()
    poster = resolve(preset="poster")
    assert poster.activation == PRESETS["poster"]["activation"] == "gelu" and poster.g_width == 512
    assert resolve(preset="poster", variant="relu").activation == "relu"
    assert resolve(preset="poster", variant="relu", activation="silu").activation == "silu"
    assert resolve(preset="poster", variant="vanilla").d_similarity == "dot"
    assert resolve(variant="vanilla", d_similarity="l1").d_similarity == "l1"
    assert resolve(preset="poster", g_width=64).g_width == 64
    assert resolve(preset="poster", g_width=None).g_width == 512  # None: not given
    colour = resolve(channels=3, image_size=64)
    assert (colour.background, colour.r1, colour.r2, colour.penalty_end, colour.g_patch) == (0, 2, 2, 1, 16)
    assert resolve(channels=3, variant="cnn").r1 == resolve(variant="cnn").r1 == 3  # variant and preset come after
    assert resolve(channels=3, r1=5.0).r1 == 5 and resolve(channels=1).background == -1
    assert resolve(channels=3, variant="vanilla").d_norm == "none"
    c = resolve(g_modulated=False, r1=0.0, augment="")  # given, though false
    assert (c.g_modulated, c.r1, c.augment) == (False, 0.0, "")
    assert (c.variant, c.preset) == ("vitgan", "small")
    with pytest.raises(TypeError, match="g_widht"):
        resolve(g_widht=64)


def test_every_field_is_a_flag_with_help_but_what_the_data_decide():
    parser = argparse.ArgumentParser()
    add_config_flags(parser)
    flags = {a.dest: a for a in parser._actions if a.dest != "help"}
    fields = [f for f in dataclasses.fields(Config) if f.name not in ("image_size", "channels", "classes")]
    assert list(flags) == [f.name for f in fields]
    assert given_options(parser.parse_args([])) == {}
    for f in fields:
        assert f.metadata["help"] and flags[f.name].default is None
        if f.type is bool:
            words, value = [f"--no-{f.name.replace('_', '-')}"], False
        else:
            value = (f.metadata["choices"] or [f.type(3)])[-1]
            words = [f"--{f.name.replace('_', '-')}", str(value)]
        assert given_options(parser.parse_args(words)) == {f.name: value}
        assert type(value) is f.type


@pytest.mark.parametrize(
    "options, message",
    [
        ({"d_mlp_ratio": 0.0}, "--d-mlp-ratio must be greater than 0, not 0.0"),
        ({"beta2": 1.0}, "--beta2 must be less than 1, not 1.0"),
        ({"g_width": 18, "g_heads": 4}, "--g-width 18 must be a multiple of --g-heads 4"),
        ({"d_width": 18, "d_heads": 4}, "--d-width 18 must be a multiple of --d-heads 4"),
        ({"g_patch": 5}, "--g-patch 5 does not divide the image size 28"),
        ({"image_size": 30, "g_patch": 5, "d_patch": 7}, "--d-patch 7 does not divide the image size 30"),
    ],
)
def test_configurations_that_cannot_be_trained_are_refused(options, message):
    with pytest.raises(InputError, match=message) as e:
        resolve(**{**TINY, **options})
    assert "\n" not in str(e.value)


@pytest.mark.parametrize(
    "field, name, bound",
    [
        (f.name, n, b)
        for f in dataclasses.fields(Config)
        for n, b in f.metadata["bounds"].items()
        if f.name != "image_size"
    ],
)
def test_a_value_beyond_its_bound_is_refused(field, name, bound):
    beyond = {"least": bound - 1, "above": bound, "most": bound + 1, "below": bound}[name]
    says = f"--{field.replace('_', '-')} must be .* {bound}, not {beyond}"
    with pytest.raises(InputError, match=says):
        resolve(**{field: beyond})


@pytest.mark.parametrize("size", [0, 3, 4097])
def test_a_size_that_no_network_takes_is_refused_without_a_flag_nobody_gave(size):
    with pytest.raises(InputError, match=f"images of {size}.* pixels") as e:
        resolve(image_size=size)
    assert "--image-size" not in str(e.value)


@pytest.mark.parametrize("field", ["penalty_start", "penalty_end"])
def test_a_penalty_whose_weight_moves_geometrically_never_has_the_weight_0(field):
    with pytest.raises(InputError, match=f"--{field.replace('_', '-')} must be greater than 0, not 0.0"):
        resolve(**{field: 0.0})


@pytest.mark.parametrize("background", [-1.1, 1.5, 100.0])
def test_a_background_that_no_pixel_has_is_refused(background):
    with pytest.raises(InputError, match="--background must be at"):
        resolve(background=background)


def test_every_number_has_bounds_or_choices():
    numbers = [f for f in dataclasses.fields(Config) if f.type in (int, float)]
    free = [f.name for f in numbers if not f.metadata["bounds"] and not f.metadata["choices"]]
    assert free == ["augment_p"]  # Augment checks its probability


def test_fields_that_a_file_lacks_mean_what_they_did_when_it_was_written():
    old = dataclasses.asdict(resolve(seed=3, d_overlap=3, optimizer="adam"))
    for name in BEFORE:
        del old[name]
    found = saved_config({"config": old}, "old.h5")
    assert found == resolve(seed=3, d_overlap=3, **BEFORE)
    assert (found.g_tokens, found.g_style_rate, found.g_overlap, found.g_reach) == (False, 1.0, 0, 1.0)
    assert found.g_points == 1


def test_overlaps_follow_the_patch_unless_they_are_given():
    sizes = {size: (c.g_overlap, c.d_overlap) for size in (8, 28, 64) for c in [resolve(image_size=size)]}
    assert sizes == {8: (0, 1), 28: (2, 6), 64: (2, 6)}
    assert [resolve(variant="cnn", channels=n).penalty_end for n in (1, 3)] == [0.25, 1.0]
    assert resolve(image_size=8, d_overlap=3, g_overlap=1).d_overlap == 3
    assert (resolve(preset="paper").d_overlap, resolve(preset="poster").g_overlap) == (2, 0)


def test_a_pixel_is_the_mean_of_four_points_where_they_pay():
    """Not in colour, nor by a head that needs more weights for them, nor where the paper is followed."""
    ones = [{"channels": 3}, {"g_head": "linear"}, {"variant": "cnn"}, {"variant": "vanilla-paper"}]
    ones += [{"preset": "poster"}, {"preset": "paper"}]
    assert [resolve(**options).g_points for options in ones] == [1] * len(ones)
    assert [resolve(**options, g_points=3).g_points for options in ones] == [3] * len(ones)
    assert resolve().g_points == resolve(variant="vanilla").g_points == 2


def test_what_goes_with_adam_follows_it():
    """Where Shampoo was not tried, or has few matrices to whiten, a run is by Adam with its own rates and average."""
    by_adam = [{"optimizer": "adam"}, {"channels": 3}, {"g_width": 16}, {"d_width": 28}, {"g_width": 512}]
    for options in by_adam:
        c = resolve(**options)
        assert {name: getattr(c, name) for name in ADAM} == ADAM and c.optimizer == "adam"
        assert resolve(**options, ema=0.5).ema == 0.5
    for options in ({"variant": "cnn"}, {"preset": "poster"}, {"preset": "paper"}):
        c = resolve(**options)
        assert (c.optimizer, c.lookahead, c.ema) == ("adam", 0, ADAM["ema"])
    assert resolve(preset="paper").g_lr == 2e-3 and resolve(variant="cnn").ema_ramp == 16  # what they say comes after
    by_shampoo = [{}, {"variant": "vanilla"}, {"g_width": 32, "d_width": 256}, {"channels": 3, "optimizer": "shampoo"}]
    for options in by_shampoo:
        c = resolve(**options)
        assert (c.optimizer, c.lookahead, c.g_lr, c.steps) == ("shampoo", 10, 4.5e-3, 9000)


def test_what_goes_with_an_optimiser_follows_it_in_a_recorded_configuration():
    recorded = {"shampoo": resolve(steps=77, batch=8), "adam": resolve(steps=77, batch=8, optimizer="adam")}
    for saved, other in (("shampoo", "adam"), ("adam", "shampoo")):
        assert vary(recorded[saved], optimizer=other) == recorded[other]
        assert vary(recorded[saved], optimizer=other, ema=0.5).ema == 0.5
        assert vary(recorded[saved], optimizer=saved, g_lr=None) == recorded[saved]
    tuned = dataclasses.replace(recorded["adam"], g_lr=0.1)
    assert vary(tuned, optimizer="adam", batch=4) == dataclasses.replace(tuned, batch=4)


def test_shampoo_is_not_for_the_cnn():
    with pytest.raises(InputError, match="--optimizer shampoo is for the transformers, not for the CNN"):
        resolve(variant="cnn", optimizer="shampoo")


@pytest.mark.parametrize("name", ["variant", "preset", "loss", "penalty", "activation", "d_similarity", "decay"])
def test_unknown_choices_are_one_sentence(name):
    with pytest.raises(InputError, match=f"--{name.replace('_', '-')} nonsense: use one of"):
        resolve(**{name: "nonsense"})
