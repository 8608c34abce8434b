"""How good generated images are, in numbers."""

from minigan.metrics.compare import Features, compare
from minigan.metrics.digits import DigitClassifier, load_classifier
from minigan.metrics.frechet import Moments, frechet_distance
from minigan.metrics.pair import evaluate_pair

__all__ = ["DigitClassifier", "Features", "Moments", "compare", "evaluate_pair", "frechet_distance", "load_classifier"]
