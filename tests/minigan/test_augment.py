import math

import numpy as np
import pytest

from autograd import Tensor, grad
from autograd.random import RandomStream
from minigan.augment import GROUPS, TRANSFORMS, Augment
from minigan.errors import InputError
from minigan.losses import finite_difference_penalty, gradient_penalty
from nn import Linear

EVERYTHING = "color,flip,translation,cutout"


def images(batch=6, channels=3, height=16, width=12, seed=0, dtype="float64"):
    return np.random.default_rng(seed).uniform(-1, 1, (batch, channels, height, width)).astype(dtype)


def one_each(*values):
    return tuple(np.array(v).reshape(-1, 1, 1, 1) for v in values)


def apply(policy, x, parameters, **options):
    return Augment(policy, **options).apply(Tensor(x), parameters).data


# ---- each transformation against its formula


def shifted(image, a, b, fill):
    out = np.full_like(image, fill)
    height, width = image.shape[1:]
    for i in range(height):
        for j in range(width):
            if 0 <= i - a < height and 0 <= j - b < width:
                out[:, i, j] = image[:, i - a, j - b]
    return out


@pytest.mark.parametrize("fill", [0.0, -1.0])
def test_translation_is_an_exact_shift(fill):
    x = images(dtype="float32")
    a, b = [0, 2, -2, 1, -1, 16], [0, 0, 1, -1, -2, 3]  # the last leaves nothing
    y = apply("translation", x, {"translation": one_each(a, b)}, fill=fill)
    for n in range(6):
        np.testing.assert_array_equal(y[n], shifted(x[n], a[n], b[n], fill))
    np.testing.assert_array_equal(y[0], x[0])
    assert (y[5] == fill).all() and y.dtype == "float32"


@pytest.mark.parametrize("fill", [0.0, -1.0])
@pytest.mark.parametrize("height, width", [(16, 12), (7, 5), (28, 28)])
def test_cutout_leaves_exactly_the_square_at_the_fill(fill, height, width):
    x = images(4, 3, height, width, dtype="float32")
    h, w = math.ceil(height / 2), math.ceil(width / 2)
    a, b = [1, -2, height - 2, 3 * height], [2, width - 1, -3, 3 * width]  # inside, over the border, nowhere
    y = apply("cutout", x, {"cutout": one_each(a, b)}, fill=fill)
    for n in range(4):
        expected = x[n].copy()
        expected[:, max(a[n], 0) : max(a[n] + h, 0), max(b[n], 0) : max(b[n] + w, 0)] = fill
        np.testing.assert_array_equal(y[n], expected)
    assert (y[0] == fill).sum() == 3 * h * min(w, width - 2)
    np.testing.assert_array_equal(y[3], x[3])


def test_brightness_contrast_saturation_and_flip_against_their_formulas():
    x = images()
    b, c, s = ([0.5, -0.5, 0.1, 0, 0.3, -0.2], [0.5, 1.5, 1, 0.9, 1.1, 1.3], [0, 2, 1, 0.5, 1.7, 0.2])
    mirrored = [True, False, True, True, False, False]
    bright = apply("brightness", x, {"brightness": one_each(b)})
    contrast = apply("contrast", x, {"contrast": one_each(c)})
    saturated = apply("saturation", x, {"saturation": one_each(s)})
    flipped = apply("flip", x, {"flip": one_each(mirrored)})
    for n in range(6):
        grey = x[n].mean(axis=0)
        np.testing.assert_allclose(bright[n], x[n] + b[n], rtol=1e-14)
        np.testing.assert_allclose(contrast[n], x[n].mean() + c[n] * (x[n] - x[n].mean()), atol=1e-14)
        np.testing.assert_allclose(saturated[n], grey + s[n] * (x[n] - grey), atol=1e-14)
        np.testing.assert_array_equal(flipped[n], x[n][:, :, ::-1] if mirrored[n] else x[n])


def test_the_transformations_run_in_the_order_of_the_policy():
    x, parameters = images(2), {"brightness": one_each([0.25, 0.25]), "cutout": one_each([0, 0], [0, 0])}
    hole = (slice(None), slice(None), slice(0, 8), slice(0, 6))
    assert (apply("brightness,cutout", x, parameters)[hole] == 0).all()
    assert (apply("cutout,brightness", x, parameters)[hole] == 0.25).all()


def test_the_formulas_are_those_of_diffaug():
    """The transformations of 2006.10738, written with torch, given the same parameters."""
    torch = pytest.importorskip("torch")
    x = images(8, 3, 12, 12, seed=1)
    augment = Augment("color,translation,cutout")
    parameters = augment.draw(RandomStream(2), x.shape)
    b, s, c = (torch.tensor(parameters[name][0], dtype=torch.float64) for name in GROUPS["color"])
    leaf = torch.tensor(x, requires_grad=True)
    y = leaf + b
    mean = y.mean(dim=1, keepdim=True)
    y = (y - mean) * s + mean
    mean = y.mean(dim=[1, 2, 3], keepdim=True)
    y = (y - mean) * c + mean
    padded = torch.nn.functional.pad(y, [3, 3, 3, 3])
    shifts = [p.ravel().tolist() for p in parameters["translation"]]
    y = torch.stack([p[:, 3 - i : 15 - i, 3 - j : 15 - j] for p, i, j in zip(padded, *shifts, strict=True)])
    mask = torch.ones_like(y)
    for m, i, j in zip(mask, *(p.ravel().tolist() for p in parameters["cutout"]), strict=True):
        m[:, max(i, 0) : i + 6, max(j, 0) : j + 6] = 0
    y = y * mask
    g = np.random.default_rng(3).normal(size=x.shape)
    y.backward(torch.tensor(g))
    ours = Tensor(x, requires_grad=True)
    found = augment.apply(ours, parameters)
    np.testing.assert_allclose(found.data, y.detach().numpy(), atol=1e-14)
    np.testing.assert_allclose(grad(found, [ours], g)[0], leaf.grad.numpy(), atol=1e-13)


# ---- what is drawn


def drawn(policy, shape=(20000, 3, 32, 24), p=1.0, seed=4):
    return {k: [a.ravel() for a in v] for k, v in Augment(policy, p).draw(RandomStream(seed), shape).items()}


def check_uniform(counts):
    """Pearson's χ² within five standard deviations of its mean."""
    expected = counts.sum() / len(counts)
    chi2, freedom = ((counts - expected) ** 2 / expected).sum(), len(counts) - 1
    assert abs(chi2 - freedom) < 5 * math.sqrt(2 * freedom)


def test_shifts_are_uniform_up_to_an_eighth_of_each_side_and_independent():
    a, b = drawn("translation")["translation"]
    assert (a.min(), a.max()) == (-4, 4) and (b.min(), b.max()) == (-3, 3)
    check_uniform(np.bincount((a + 4) * 7 + b + 3, minlength=63))


@pytest.mark.parametrize("height, width, tops, lefts", [(32, 24, (-8, 24), (-6, 18)), (7, 5, (-2, 5), (-1, 3))])
def test_the_squares_are_uniform_and_centred(height, width, tops, lefts):
    a, b = drawn("cutout", (20000, 1, height, width))["cutout"]
    assert (a.min(), a.max()) == tops and (b.min(), b.max()) == lefts
    check_uniform(np.bincount(a - tops[0]))
    check_uniform(np.bincount(b - lefts[0]))
    assert abs(np.corrcoef(a, b)[0, 1]) < 5 / math.sqrt(20000)


def test_continuous_parameters_are_uniform_on_their_intervals_and_float32():
    parameters = drawn("color")
    intervals = {"brightness": (-0.5, 0.5), "saturation": (0, 2), "contrast": (0.5, 1.5)}
    assert list(parameters) == list(intervals)
    for name, (low, high) in intervals.items():
        (value,) = parameters[name]
        assert value.dtype == "float32" and low <= value.min() and value.max() <= high
        check_uniform(np.histogram(value, bins=20, range=(low, high))[0])


def test_half_of_the_images_are_mirrored():
    (mirrored,) = drawn("flip")["flip"]
    assert abs(mirrored.mean() - 0.5) < 5 * 0.5 / math.sqrt(20000)


@pytest.mark.parametrize("p", [0.25, 0.8])
def test_each_image_meets_each_transformation_with_probability_p_independently(p):
    n = 20000
    parameters = drawn("brightness,contrast,cutout", p=p)
    touched = [parameters["brightness"][0] != 0, parameters["contrast"][0] != 1, parameters["cutout"][0] < 32]
    for t in touched:
        assert abs(t.mean() - p) < 5 * math.sqrt(p * (1 - p) / n)
    correlation = np.corrcoef(touched)
    assert np.abs(correlation - np.eye(3)).max() < 5 / math.sqrt(n)
    a, b = drawn("translation", p=p)["translation"]
    still = 1 - p + p / 63  # a drawn shift may be (0, 0)
    assert abs(((a == 0) & (b == 0)).mean() - still) < 5 * math.sqrt(still * (1 - still) / n)
    assert abs(drawn("flip", p=p)["flip"][0].mean() - p / 2) < 5 * math.sqrt(p / 2 * (1 - p / 2) / n)


def test_images_are_transformed_whole_or_not_at_all():
    x = images(64, dtype="float32")
    y = apply("cutout", x, Augment("cutout", 0.5).draw(RandomStream(5), x.shape), fill=3.0)
    changed = (y != x).reshape(64, -1).sum(axis=1)
    assert 10 < (changed == 0).sum() < 54
    assert changed[changed > 0].min() >= 3 * 4 * 3  # at least a quarter of the square is inside


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_with_probability_0_every_transformation_is_the_identity_to_the_bit(dtype):
    x = images(dtype=dtype)
    augment = Augment(EVERYTHING, p=0)
    y = augment.apply(Tensor(x), augment.draw(RandomStream(6), x.shape))
    np.testing.assert_array_equal(y.data, x)
    assert y.dtype == dtype


@pytest.mark.parametrize("policy", ["", " "])
def test_an_empty_policy_is_the_identity(policy):
    x, rng = Tensor(images()), RandomStream(7)
    augment = Augment(policy)
    assert augment.apply(x, augment.draw(rng, x.shape)) is x and rng.used == 0


def test_draws_follow_the_generator():
    augment, rng, shape = Augment(EVERYTHING), RandomStream(8), (16, 3, 32, 32)
    state = rng.state
    first, second = augment.draw(rng, shape), augment.draw(rng, shape)
    rng.state = state
    again = augment.draw(rng, shape)
    for name, arrays in first.items():
        assert all((a == b).all() and a.shape == (16, 1, 1, 1) for a, b in zip(arrays, again[name], strict=True))
        assert not all((a == b).all() for a, b in zip(arrays, second[name], strict=True))


# ---- as a function of the images


def test_the_same_parameters_do_the_same_to_two_batches():
    x, y = images(seed=9), images(seed=10)
    augment = Augment(EVERYTHING, fill=-1.0)
    parameters = augment.draw(RandomStream(11), x.shape)

    def t(x):
        return augment.apply(Tensor(x), parameters).data

    before = x.copy()
    np.testing.assert_array_equal(t(x), t(x))
    np.testing.assert_array_equal(x, before)
    np.testing.assert_allclose(t(0.3 * x + 0.7 * y), 0.3 * t(x) + 0.7 * t(y), atol=1e-13)  # affine
    both = np.where(np.arange(6).reshape(6, 1, 1, 1) < 3, x, y)
    np.testing.assert_array_equal(t(both)[:3], t(x)[:3])  # an image is transformed by its own parameters alone
    np.testing.assert_array_equal(t(both)[3:], t(y)[3:])


@pytest.mark.parametrize("policy", [*TRANSFORMS, EVERYTHING])
def test_the_gradient_is_that_of_differences(policy):
    rng = np.random.default_rng(12)
    x = Tensor(images(seed=13), requires_grad=True)
    augment = Augment(policy, p=0.8)
    parameters = augment.draw(RandomStream(14), x.shape)
    g, v = rng.normal(size=x.shape), rng.normal(size=x.shape)
    (gx,) = grad(augment.apply(x, parameters), [x], g)
    moved = augment.apply(Tensor(x.data + v), parameters).data - augment.apply(x, parameters).data
    assert abs((g * moved).sum()) > 1e-3
    np.testing.assert_allclose((gx * v).sum(), (g * moved).sum(), rtol=1e-10)  # exact: it is affine


@pytest.mark.parametrize("policy", [*TRANSFORMS, EVERYTHING])
def test_the_second_order_goes_through(policy):
    rng = np.random.default_rng(15)
    x = images(3, 3, 8, 8, seed=16)
    augment = Augment(policy, p=0.8)
    parameters = augment.draw(RandomStream(17), x.shape)
    weight = Tensor(rng.normal(size=(192, 1)) * 0.1, requires_grad=True)

    def d(x):
        y = augment.apply(x, parameters).reshape(3, 192)
        return ((y @ weight) ** 3).reshape(-1)  # (B,)

    def penalty():
        return gradient_penalty(d, x)

    direction, step = rng.normal(size=weight.shape), 1e-4
    found = (grad(penalty(), [weight])[0] * direction).sum()
    values = []
    for k in (-1, 1):
        weight.data += k * step * direction
        values.append(penalty().item())
        weight.data -= k * step * direction
    numeric = (values[1] - values[0]) / (2 * step)
    assert abs(numeric) > 1e-3
    np.testing.assert_allclose(found, numeric, rtol=1e-5)


@pytest.mark.slow
def test_finite_differences_through_an_augmentation_are_its_exact_penalty():
    rng = np.random.default_rng(18)
    x = images(2, 3, 8, 8, seed=19)
    weight = rng.normal(size=(192, 1)) * 0.1
    augment = Augment(EVERYTHING)
    parameters = augment.draw(RandomStream(20), x.shape)

    def d(x):
        return (augment.apply(x, parameters).reshape(2, 192) @ weight).reshape(-1)

    exact = gradient_penalty(d, x).item()
    found = [
        finite_difference_penalty(d(Tensor(x)), d(Tensor(x + 0.01 * rng.normal(size=x.shape))), 0.01).item()
        for _ in range(1000)
    ]
    assert abs(np.mean(found) - exact) < 5 * np.std(found) / math.sqrt(1000)
    assert np.std(found) / math.sqrt(1000) < 0.05 * exact


@pytest.mark.parametrize("channels, policy", [(3, EVERYTHING), (1, "translation,cutout,brightness,contrast,flip")])
def test_float32_stays_float32_in_both_directions(channels, policy):
    augment = Augment(policy, p=0.8, fill=-1.0)
    x = Tensor(images(4, channels, 28, 28, dtype="float32"), requires_grad=True)
    y = augment.apply(x, augment.draw(RandomStream(21), x.shape))
    (g,) = grad((y * y).sum(), [x])
    assert y.dtype == g.dtype == "float32" and y.shape == g.shape == x.shape
    assert np.isfinite(g).all() and (g != 0).any()


def test_the_generator_gets_its_gradient_through_the_augmentation():
    generator = Linear(4, 64, rng=RandomStream(22))
    augment = Augment()
    z = Tensor(RandomStream(23).normal((5, 4)))
    fake = generator(z).reshape(5, 1, 8, 8)
    y = augment.apply(fake, augment.draw(RandomStream(24), fake.shape))
    for g in grad((y * y).sum(), generator.parameters()):
        assert g.dtype == "float32" and (g != 0).mean() > 0.5


# ---- bad input


@pytest.mark.parametrize(
    "policy, p, words",
    [
        ("translation,zoom", 1, "'zoom' is unknown: use any of brightness, .*color"),
        ("translation,,cutout", 1, "'' is unknown"),
        ("Translation", 1, "'Translation' is unknown"),
        ("color,contrast", 1, "'contrast' is asked for twice"),
        ("cutout", 1.5, "between 0 and 1, not at 1.5"),
        ("cutout", -0.1, "between 0 and 1"),
        ("cutout", math.nan, "between 0 and 1, not at nan"),
    ],
)
def test_a_bad_policy_is_one_sentence(policy, p, words):
    with pytest.raises(InputError, match=words) as e:
        Augment(policy, p)
    assert "\n" not in str(e.value) and str(e.value).endswith(".")


@pytest.mark.parametrize("policy", ["color", "translation,saturation"])
def test_saturation_of_grey_images_is_refused(policy):
    with pytest.raises(InputError, match="'saturation' .* needs colour images, and these have 1 channel."):
        Augment(policy).draw(RandomStream(0), (4, 1, 28, 28))


def test_spaces_between_names_do_not_matter():
    assert Augment(" translation , color").names == ["translation", *GROUPS["color"]]
