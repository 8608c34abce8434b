"""Images to train on: drawn digits and faces, MNIST-family files, CelebA, CIFAR-10, and any other pictures."""

from minigan.data.batches import loader
from minigan.data.celeba import describe_celeba, draw_faces, load_celeba
from minigan.data.cifar import load_cifar10
from minigan.data.dataset import Dataset, content_hash
from minigan.data.download import download
from minigan.data.folder import load_images
from minigan.data.idx import read_idx
from minigan.data.load import load_data, load_pictures
from minigan.data.mnist import load_dataset
from minigan.data.strokes import stroke_digits
from minigan.data.text import letters
from minigan.data.toys import spirals, two_moons

__all__ = [
    "content_hash",
    "Dataset",
    "describe_celeba",
    "download",
    "draw_faces",
    "letters",
    "load_celeba",
    "load_cifar10",
    "load_data",
    "load_dataset",
    "load_images",
    "load_pictures",
    "loader",
    "read_idx",
    "spirals",
    "stroke_digits",
    "two_moons",
]
