"""How good generated images are, in numbers."""

from minigan.metrics.digits import DigitClassifier, DigitReference, digit_reference, evaluate_digits, load_classifier
from minigan.metrics.frechet import Moments, frechet_distance

__all__ = [
    "DigitClassifier",
    "DigitReference",
    "Moments",
    "digit_reference",
    "evaluate_digits",
    "frechet_distance",
    "load_classifier",
]
