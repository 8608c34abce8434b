"""Layers and optimisers on the engine; each file is one idea, with its formula and its paper."""

from nn import notebook  # noqa: F401 - how a module looks in one
from nn.activation import GELU, Flatten, LeakyReLU, ReLU, Sigmoid, SiLU, Tanh
from nn.attention import MultiHeadAttention
from nn.clip import clip_grad_norm_, clip_grad_value_
from nn.containers import ModuleDict, ModuleList, ParameterList
from nn.conv import Conv1d, Conv2d, ConvTranspose2d
from nn.dropout import Dropout
from nn.embedding import Embedding
from nn.equalised import he_constants
from nn.init import manual_seed
from nn.linear import Linear
from nn.lookahead import Lookahead
from nn.module import Buffer, Module, Parameter, Sequential
from nn.norm import BatchNorm1d, BatchNorm2d, GroupNorm, LayerNorm, RMSNorm, SelfModulatedLayerNorm, styles
from nn.optim import EMA, Adam, AdamW, FlatParameters, Optimizer, learning_rate
from nn.recurrent import GRUCell, LSTMCell, RNNCell
from nn.schedule import CosineAnnealingLR, LambdaLR, StepLR
from nn.sgd import SGD
from nn.shampoo import Shampoo
from nn.siren import FourierFeatures, SirenLayer, pixel_coordinates
from nn.spectral import SpectralBound, SpectralNorm, normalized, power_iteration

__all__ = [
    "EMA",
    "GELU",
    "SGD",
    "Adam",
    "AdamW",
    "BatchNorm1d",
    "BatchNorm2d",
    "Buffer",
    "Conv1d",
    "Conv2d",
    "ConvTranspose2d",
    "CosineAnnealingLR",
    "Dropout",
    "Embedding",
    "FlatParameters",
    "Flatten",
    "FourierFeatures",
    "GRUCell",
    "GroupNorm",
    "LSTMCell",
    "LambdaLR",
    "LayerNorm",
    "LeakyReLU",
    "Linear",
    "Lookahead",
    "Module",
    "ModuleDict",
    "ModuleList",
    "MultiHeadAttention",
    "Optimizer",
    "Parameter",
    "ParameterList",
    "RMSNorm",
    "RNNCell",
    "ReLU",
    "SelfModulatedLayerNorm",
    "Sequential",
    "Shampoo",
    "SiLU",
    "Sigmoid",
    "SirenLayer",
    "SpectralBound",
    "SpectralNorm",
    "StepLR",
    "Tanh",
    "clip_grad_norm_",
    "clip_grad_value_",
    "he_constants",
    "learning_rate",
    "manual_seed",
    "normalized",
    "pixel_coordinates",
    "power_iteration",
    "styles",
]
