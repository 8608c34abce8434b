"""Metrics of generated images."""

from minigan.metrics.comparison import compare_images
from minigan.metrics.compute import compute_metrics
from minigan.metrics.digits import DigitClassifier, load_classifier
from minigan.metrics.features import Features
from minigan.metrics.frechet import Moments, frechet_distance

__all__ = [
    "DigitClassifier",
    "Features",
    "Moments",
    "compare_images",
    "compute_metrics",
    "frechet_distance",
    "load_classifier",
]
