"""What the two networks minimise: adversarial losses, and penalties on the slope of the discriminator.

Every function returns a scalar Tensor to be minimised. `real` and `fake` are the logits D(x) and D(G(z)) of a batch,
Tensors (B,). They never pass through a sigmoid: log σ(a) = −softplus(−a) and log(1 − σ(a)) = −softplus(a), and softplus
does not overflow for large |a|.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from autograd import Tensor, grad, ops


@dataclass(frozen=True)
class Loss:
    """The losses of both networks, as functions of the logits (real, fake), Tensors (B,) each."""

    discriminator: Callable[[Tensor, Tensor], Tensor]
    generator: Callable[[Tensor, Tensor], Tensor]


def logistic_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """L_D = −E log σ(D(x)) − E log(1 − σ(D(G(z)))): −V, V the game's value (Goodfellow et al., 1406.2661, eq. 1)."""
    return ops.softplus(-real).mean() + ops.softplus(fake).mean()


def minimax_generator(real: Tensor, fake: Tensor) -> Tensor:
    """L_G = E log(1 − σ(D(G(z)))), the game's value (1406.2661, eq. 1). It has no slope where D rejects the fakes."""
    return -ops.softplus(fake).mean()


def nonsaturating_generator(real: Tensor, fake: Tensor) -> Tensor:
    """L_G = −E log σ(D(G(z))): the same fixed point, but steepest where D rejects the fakes (1406.2661, section 3)."""
    return ops.softplus(-fake).mean()


def hinge_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """L_D = E max(0, 1 − D(x)) + E max(0, 1 + D(G(z)))   (Lim & Ye, 1705.02894; Miyato et al., 1802.05957, eq. 16)."""
    return ops.relu(1 - real).mean() + ops.relu(1 + fake).mean()


def hinge_generator(real: Tensor, fake: Tensor) -> Tensor:
    """L_G = −E D(G(z))   (Lim & Ye, 1705.02894; Miyato et al., 1802.05957, eq. 17)."""
    return -fake.mean()


def relativistic_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """L_D = E softplus(D(G(z)) − D(x)): each fake image is compared with one real image.

    RpGAN (Jolicoeur-Martineau, 1807.00734; Huang et al., 2501.05441, eq. 2). ValueError unless both have one shape.
    """
    return ops.softplus(_difference(fake, real)).mean()


def relativistic_generator(real: Tensor, fake: Tensor) -> Tensor:
    """L_G = E softplus(D(x) − D(G(z))): the discriminator's loss with the roles exchanged (2501.05441, eq. 2).

    ValueError unless both have one shape.
    """
    return ops.softplus(_difference(real, fake)).mean()


LOSSES = {
    "minimax": Loss(logistic_discriminator, minimax_generator),
    "nonsaturating": Loss(logistic_discriminator, nonsaturating_generator),
    "hinge": Loss(hinge_discriminator, hinge_generator),
    "relativistic": Loss(relativistic_discriminator, relativistic_generator),
}


def gradient_penalty(discriminator: Callable[[Tensor], Tensor], x: Any) -> Tensor:
    """E ‖∇ₓ D(x)‖²: R1 on real x, R2 on fake x, without the factor γ/2 (Mescheder et al., 1801.04406, eq. 9).

    x: array or Tensor (B, …), detached here. A single gradient, that of Σ D(x), holds the gradients of all images as
    long as the logit of an image depends on that image alone: no batch norm, no batch statistics.
    """
    x = Tensor(x, requires_grad=True)
    (slope,) = grad(discriminator(x).sum(), [x], create_graph=True)  # (B, …)
    return (slope * slope).sum() * (1 / x.shape[0])


def finite_difference_penalty(logits: Tensor, perturbed: Tensor, sigma: float) -> Tensor:
    """E ((D(x + σε) − D(x)) / σ)² for ε ~ N(0, 1), which tends to E ‖∇D‖² as σ → 0 (Hyun et al., 2509.24935).

    It gives R1 and R2 by one more forward pass in place of a second derivative. Augment x and x + σε by the same
    parameters. In float32 the difference of two logits has an error of about 1e-7 |D|/σ: keep σ at 0.01 or above.
    ValueError unless both logits have one shape, (B,).
    """
    slope = _difference(perturbed, logits) * (1 / sigma)  # (B,)
    return (slope * slope).mean()


def balanced_consistency(logits: Tensor, augmented: Tensor) -> Tensor:
    """E (D(x) − D(T(x)))², for x both real and fake (bCR: Zhao et al., 2002.04724).

    ValueError unless both logits have one shape, (B,).
    """
    change = _difference(logits, augmented)
    return (change * change).mean()


def _difference(a: Tensor, b: Tensor) -> Tensor:
    """a − b, logit by logit. ValueError for shapes that would broadcast, which compares all pairs."""
    if a.shape != b.shape:
        raise ValueError(f"the logits to compare have shapes {a.shape} and {b.shape}: they must be equal")
    return a - b
