"""Images to train on: the embedded pen-stroke digits, MNIST-family files, folders of pictures."""

from minigan.data.dataset import Dataset
from minigan.data.download import download
from minigan.data.folder import load_images
from minigan.data.idx import read_idx
from minigan.data.load import load_data
from minigan.data.mnist import load_dataset
from minigan.data.strokes import stroke_digits

__all__ = ["Dataset", "download", "load_data", "load_dataset", "load_images", "read_idx", "stroke_digits"]
