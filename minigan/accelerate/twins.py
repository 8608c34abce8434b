"""The routines of this package that have kernels. Tested in an emulator of CUDA; not run on a GPU yet."""

from pathlib import Path

from autograd.accelerate.gpu import launch
from autograd.accelerate.twin import GPU
from autograd.operation import Op
from minigan.accelerate import augment, gather_images

launch.FOLDERS.append(Path(__file__).parent)


@GPU.routine("minigan.step.gather_batch")
def gather_batch(xp, images, rows):
    return gather_images.gather_images(images, rows)


@GPU.routine("minigan.augment.draw_augmentation")
def draw_augmentation(xp, rng, names, p, shape, part):
    numbers = augment.draw(rng.memory, rng.take(len(names) * 3 * shape[0]), names, p, shape)
    return part.of(numbers, axis=2)  # (steps, 2, images)


@GPU.routine("minigan.augment.augment_images")
def augment_images(xp, x, parameters, names, fill):
    return transformed.apply(x, parameters, names=tuple(names), fill=fill)


@Op
class transformed:
    "y = A x + b, A and b those of each image              ∂L/∂x = Aᵀ g       numbers: see `draw_augmentation`"

    def forward(xp, x, numbers, *, names, fill=0.0):
        return augment.augment(xp.ascontiguousarray(x), names, numbers, fill)

    def backward(xp, g, numbers, *, names):
        return transposed.inside(xp, g, numbers, names=names), None


@Op
class transposed:
    "y = Aᵀ x                  ∂L/∂x = A g: without b, which comes from `fill` and from brightness"

    def forward(xp, x, numbers, *, names):
        return augment.augment_backward(xp.ascontiguousarray(x), names, numbers)

    def backward(xp, g, numbers, *, names):
        kept = [t for t, name in enumerate(names) if name != "brightness"]
        if not kept:
            return g, None
        numbers = xp.concatenate([numbers[t : t + 1] for t in kept])
        return transformed.inside(xp, g, numbers, names=tuple(names[t] for t in kept)), None
