"""Layers and optimisers on the engine; each file is one idea, with its formula and its paper."""

from nn import notebook  # noqa: F401 - how a module looks in one
from nn.attention import MultiHeadAttention
from nn.conv import Conv2d, ConvTranspose2d
from nn.init import manual_seed
from nn.linear import Linear
from nn.module import Buffer, Module, Parameter, Sequential
from nn.norm import BatchNorm2d, LayerNorm, SelfModulatedLayerNorm, styles
from nn.optim import EMA, Adam, FlatParameters, learning_rate
from nn.siren import FourierFeatures, SirenLayer, pixel_coordinates
from nn.spectral import SpectralNorm, normalized, power_iteration

__all__ = [
    "EMA",
    "Adam",
    "BatchNorm2d",
    "Buffer",
    "Conv2d",
    "ConvTranspose2d",
    "FlatParameters",
    "FourierFeatures",
    "LayerNorm",
    "Linear",
    "Module",
    "MultiHeadAttention",
    "Parameter",
    "SelfModulatedLayerNorm",
    "Sequential",
    "SirenLayer",
    "SpectralNorm",
    "learning_rate",
    "manual_seed",
    "normalized",
    "pixel_coordinates",
    "power_iteration",
    "styles",
]
