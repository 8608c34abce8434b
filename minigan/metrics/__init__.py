"""How good generated images are, in numbers."""

from minigan.metrics.compare import Features, compare
from minigan.metrics.digits import DigitClassifier, load_classifier
from minigan.metrics.frechet import Moments, frechet_distance

__all__ = ["DigitClassifier", "Features", "Moments", "compare", "frechet_distance", "load_classifier"]
