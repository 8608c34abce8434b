"""What a training run logs of its samples: judged sets of known quality, and which features are chosen when."""

import math
from dataclasses import replace

import numpy as np
import pytest
from slow import slow_but_the_first
from tiny_runs import TINY, start

from minigan import checkpoint
from minigan.data import Dataset, stroke_digits
from minigan.errors import InputError, NoSuchSplit
from minigan.evaluate import Evaluator, are_digits, kullback_leibler, make_evaluator, tone_shares
from minigan.metrics.extractors import make_extractor
from minigan.metrics.frechet import frechet_floor
from minigan.numbers import deviation, number
from minigan.presets import resolve
from minigan.ranks import One
from minigan.sampling import load_generator

SEED = 10**12  # digits that neither the classifier nor any generator was trained on
CONFIG = resolve(eval_samples=1000, eval_reference=2000)


@pytest.fixture(scope="module")
def digits():
    images, labels = stroke_digits(4200, SEED)
    return Dataset(images, labels, "drawn digits", 10)


@pytest.fixture(scope="module")
def judge(digits):
    real = Dataset(digits.images[:3000], digits.labels[:3000], "real", 10)
    return Evaluator.of(make_extractor("digits"), real, "test", 1000, 2000)


@pytest.fixture(scope="module")
def fresh(digits):
    """Other real digits, which a perfect generator would draw."""
    return digits.images[3000:4000], digits.labels[3000:4000]


@pytest.mark.slow
def test_real_digits_are_near_the_floor(judge, fresh):
    figures = judge(fresh[0])
    assert 0.5 * judge.floor < figures["digit_fid"] < 2 * judge.floor and figures["floor"] == judge.floor
    assert figures["samples"] == 1000 and figures["reference"] == 2000 and figures["reference_split"] == "test"
    assert figures["features"] == "digits"
    assert abs(figures["kid"]) < 3 * figures["kid_std"]
    assert figures["precision"] > 0.9 and figures["recall"] > 0.9 and figures["coverage"] > 0.8
    assert figures["classes"] == 10 and figures["confident"] > 0.97 and figures["class_kl"] < 0.01
    np.testing.assert_allclose(figures["class_shares"], 0.1, atol=0.04)
    assert {type(v) for v in figures.values()} == {float, int, list, str}


@pytest.mark.slow
def test_distances_grow_with_damage(judge, fresh):
    images, labels = fresh
    rng = np.random.default_rng(0)

    def figures(x):
        return judge(x.clip(0, 255).astype(np.uint8))

    sets = [images + rng.normal(0, sigma, images.shape) for sigma in (0, 25, 50, 100)]
    sets.append(rng.integers(0, 256, images.shape))
    judged = [figures(x) for x in sets]
    for key in ("digit_fid", "kid"):
        values = [f[key] for f in judged]
        assert values == sorted(values), (key, values)
    assert judged[-1]["digit_fid"] > 30 * judge.floor and judged[-1]["confident"] < 0.02
    assert judged[-1]["precision"] < 0.1
    fewer = [figures(images[labels < classes]) for classes in (9, 7, 4)]
    assert 2 * judged[0]["digit_fid"] < fewer[0]["digit_fid"] < fewer[1]["digit_fid"] < fewer[2]["digit_fid"]
    assert fewer[2]["precision"] > 0.9 and fewer[2]["coverage"] < 0.6  # what is there is good, much is missing
    assert judged[0]["class_kl"] < fewer[0]["class_kl"] < fewer[1]["class_kl"] < fewer[2]["class_kl"]


@pytest.mark.slow
def test_a_collapsed_set_is_detected(judge, fresh):
    images, labels = fresh
    ones = judge(images[labels == 1])
    assert ones["classes"] == 1 and ones["class_shares"][1] > 0.99 and ones["confident"] > 0.9
    assert ones["class_kl"] == pytest.approx(math.log(10), abs=0.2)
    one = judge(np.repeat(images[:1], 50, axis=0))  # a covariance of rank 0
    assert min(ones["digit_fid"], one["digit_fid"]) > 30 * judge.floor and one["recall"] < 0.05


@pytest.mark.slow
def test_the_first_samples_are_compared_and_all_are_counted(judge, digits, fresh):
    collapsed = np.concatenate([fresh[0], np.repeat(fresh[0][:1], 1000, axis=0)])
    figures = judge(collapsed)
    assert figures["samples"] == 1000 and figures["digit_fid"] == judge(fresh[0])["digit_fid"]
    assert max(figures["class_shares"]) > 0.5


def test_the_shares_of_nearly_black_and_nearly_white_pixels():
    images = np.array([[[0, 1, 19, 20], [250, 251, 255, 255]]], np.uint8)  # 2 of 8 are faint, 3 of 8 bright
    assert tone_shares(images) == {"faint": 2 / 8, "bright": 3 / 8}


def test_the_tones_of_samples_stand_beside_those_of_real_images(judge, digits, fresh):
    grey = judge(np.clip(fresh[0] * 0.9, 0, 255).astype(np.uint8))
    assert grey["bright"] == 0 < grey["real_bright"] == (digits.images[:3000] > 250).mean()
    assert 0 < grey["real_faint"] < 0.05


def test_the_real_images_are_seen_once_and_in_no_order_of_files(judge, digits):
    by_class = np.argsort(digits.labels[:3000], kind="stable")
    sorted_set = Dataset(digits.images[:3000][by_class], digits.labels[:3000][by_class], "sorted", 10)
    other = Evaluator.of(make_extractor("digits"), sorted_set, "test", 1000, 2000)
    assert judge.floor / 2 < other.floor < 2 * judge.floor

    seen = []

    class Counting:
        name, key, label, world = "random", "random_fid", "random-FID", One()

        def __call__(self, images):
            seen.append(images)
            return make_extractor("digits")(images)

    numbered = np.zeros((50, 28, 28), np.uint8)
    numbered[:, 0, 0] = np.arange(50)
    evaluator = Evaluator.of(Counting(), Dataset(numbered, None, "numbered", None), "train", 10, 25)
    (images,) = seen  # one pass
    assert len(np.unique(images[:, 0, 0])) == 35 and (evaluator.compared, evaluator.reference.count) == (10, 25)
    values = make_extractor("digits")(images).values
    assert (evaluator.floor, evaluator.floor_std) == frechet_floor(values, 10), "of all real images"
    np.testing.assert_allclose(evaluator.reference.mean, values[10:].astype(float).mean(axis=0), rtol=1e-6)


def test_a_floor_is_logged_and_told_with_how_much_it_varies(judge, fresh):
    figures = judge.figures(fresh[0][:100], judge.extractor(fresh[0][:100]))
    assert (figures["floor"], figures["floor_std"]) == (judge.floor, judge.floor_std)
    assert 0 < judge.floor_std < judge.floor
    told = judge.describe()
    assert f"{number(judge.floor)}{deviation(judge.floor_std)}; with so few images" in told and "e+" not in told
    single = replace(judge, floor=1234.5, floor_std=0.0, compared=5000, reference=replace(judge.reference, count=5000))
    assert single.describe().endswith("real against real with 5,000: 1,234")


def test_few_real_images_are_split_in_halves_and_too_few_refused(digits):
    few = Dataset(digits.images[:9], digits.labels[:9], "few", 10)
    evaluator = Evaluator.of(make_extractor("digits"), few, "test", 1000, 2000)
    assert (evaluator.compared, evaluator.reference.count) == (4, 5)
    with pytest.raises(InputError, match="at least 6 real images, not 5"):
        Evaluator.of(make_extractor("digits"), Dataset(few.images[:5], None, "few", None), "test", 10, 10)


# Which features


def evaluator(data, test=None, **options):
    def load_test():
        if test is None:
            raise NoSuchSplit("no test images")
        return test

    return make_evaluator(CONFIG, data, load_test, "cpu", **options)


@pytest.mark.slow
def test_digits_are_judged_by_the_classifier_and_other_images_by_random_features(digits, monkeypatch):
    test = Dataset(digits.images[3900:], digits.labels[3900:], "test", 10)
    chosen = evaluator(digits, test)
    assert (chosen.extractor.key, chosen.split, chosen.compared) == ("digit_fid", "test", 150)
    assert (
        "digit-FID against 150 test images" in chosen.describe()
        and "with so few images, distances" in chosen.describe()
    )
    monkeypatch.setattr("minigan.log.FEW", 150)
    assert chosen.describe().endswith("; with so few images, precision can be too high")
    monkeypatch.setattr("minigan.log.FEW_NEIGHBOURS", 150)
    assert "few images" not in chosen.describe()
    clothes = Dataset(test.images[:, ::-1].copy(), (test.labels + 3) % 10, "clothes", 10)
    assert are_digits(test) and not are_digits(clothes)
    assert evaluator(clothes, clothes).extractor.key == "random_fid"
    unlabelled = Dataset(test.images, None, "unlabelled", None)
    letters = Dataset(test.images, test.labels + 15, "letters", 26)
    for other in (unlabelled, letters):
        assert "classes" not in evaluator(other, other, features="digits")(test.images[:100])


@pytest.mark.slow
def test_without_test_images_the_training_images_are_the_reference_and_it_is_said(digits):
    few = Dataset(digits.images[:120], None, "folder", None)
    for test, why in (
        (None, "there are no test images"),
        (few, "the data are not split"),  # a folder is its own test set
        (Dataset(digits.images[120:140], None, "a handful", None), "there are only 20 test images"),
        (Dataset(digits.images[:, 2:, 2:], None, "smaller", None), "the test images have another size"),
    ):
        chosen = evaluator(few, test)
        assert chosen.split == "train" and f"training images, as {why}; " in chosen.describe()
        assert chosen(few.images[:20])["reference_split"] == "train"


def test_a_damaged_test_set_is_no_missing_one(digits):
    def damaged():
        raise InputError("t10k-images-idx3-ubyte is truncated")

    with pytest.raises(InputError, match="truncated"):
        make_evaluator(CONFIG, digits, damaged, "cpu")


def test_inception_features_of_the_reference_are_kept_by_content(digits, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    calls = []

    class Slow:
        name, key, label, digest, world = "inception", "fid", "FID", "some weights", One()

        def __call__(self, images):
            calls.append(len(images))
            return make_extractor("digits")(images)

    few = Dataset(digits.images[:40], None, "few", None)
    one = Evaluator.of(Slow(), few, "test", 10, 20)
    again = Evaluator.of(Slow(), few, "test", 10, 20)
    assert calls == [30] and again.floor == one.floor
    Evaluator.of(Slow(), Dataset(digits.images[40:80], None, "others", None), "test", 10, 20)
    assert calls == [30, 30]


def test_a_class_that_the_real_images_lack_leaves_the_divergence_finite(digits, fresh):
    ones = Dataset(digits.images[digits.labels == 1], digits.labels[digits.labels == 1], "ones", 10)
    figures = Evaluator.of(make_extractor("digits"), ones, "test", 100, 100)(fresh[0][:200])
    assert 1 < figures["class_kl"] < math.inf


def test_no_evaluation_when_asked_for_none_or_with_too_few_images(digits):
    assert evaluator(digits, features="none") is None
    assert evaluator(Dataset(digits.images[:5], None, "five", None)) is None


def test_inception_without_weights_is_one_sentence(digits):
    with pytest.raises(InputError, match="--features inception needs --inception FILE"):
        evaluator(digits, features="inception")


def test_kullback_leibler_of_histograms():
    p, q = np.array([0.5, 0.5, 0.0]), np.array([0.25, 0.25, 0.5])
    assert kullback_leibler(p, q) == pytest.approx(math.log(2))
    assert kullback_leibler(p, p) == 0 and kullback_leibler(q, p) == math.inf


# The best checkpoint


def scripted(directory, values, **options):
    """A run whose evaluations give these distances, one after another."""
    run = start(directory, steps=12, eval_every=3, **options)
    left = iter(values)
    figures = {"floor": 1.0, "samples": 2, "kid": 0.0, "kid_std": 0.0, "precision": 1.0, "recall": 1.0}
    run.evaluate = lambda samples: {"digit_fid": next(left), **figures}
    return run


@pytest.mark.parametrize(
    ("values", "best"),
    slow_but_the_first([([5, 3, 4, 3.5], 6), ([5, 6, 7, 8], 3), ([5, 4, 3, 2], 12), ([5, 5, 5, 5], 3)]),
)
def test_the_checkpoint_of_the_least_distance_is_kept_beside_the_last(tmp_path, values, best):
    scripted(tmp_path, values).train()
    arrays, meta = checkpoint.load(tmp_path / "best.h5")
    assert meta["steps_done"] == best and meta["best"] == {"step": best, "digit_fid": min(values)}
    assert checkpoint.load(tmp_path / "checkpoint.h5")[1]["steps_done"] == 12
    generator, config = load_generator(tmp_path / "best.h5")
    assert config.latent == TINY["latent"]
    for name, array in generator.state_dict().items():
        np.testing.assert_array_equal(array, arrays["ema"][name])


@pytest.mark.slow
def test_a_resumed_run_remembers_the_best(tmp_path):
    run = scripted(tmp_path, [2, 5, 4, 3])
    run.train()
    arrays, meta = checkpoint.load(tmp_path / "checkpoint.h5")
    again = scripted(tmp_path, [9])
    again.load(arrays, meta)
    again.train()
    assert again.best == {"step": 3, "digit_fid": 2} and checkpoint.load(tmp_path / "best.h5")[1]["steps_done"] == 3


@pytest.mark.slow
def test_a_run_that_is_lengthened_remembers_that_its_last_evaluation_was_the_best(tmp_path):
    scripted(tmp_path, [5, 4, 3, 2]).train()
    arrays, meta = checkpoint.load(tmp_path / "checkpoint.h5")
    assert meta["best"] == {"step": 12, "digit_fid": 2}
    longer = scripted(tmp_path, [7])
    longer.gan.config.steps = 15
    longer.load(arrays, meta)
    longer.train()
    assert longer.best == meta["best"] and checkpoint.load(tmp_path / "best.h5")[1]["steps_done"] == 12
