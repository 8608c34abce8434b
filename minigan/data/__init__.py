"""Images to train on: the embedded pen-stroke digits, MNIST-family files, folders of pictures."""

from minigan.data.strokes import stroke_digits

__all__ = ["stroke_digits"]
