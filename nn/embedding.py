"""Embedding: a table of vectors, one for each word, class or letter."""

from typing import Any

from autograd import Tensor
from autograd.random import RandomStream
from nn import init
from nn.module import Module, Parameter


class Embedding(Module):
    """y = weight[ids]: ids (…) of integers, weight (num_embeddings, embedding_dim) from N(0, 1), y (…, embedding_dim).

    A row's gradient is the sum over the places where it was looked up.
    """

    def __init__(self, num_embeddings: int, embedding_dim: int, *, rng: RandomStream | None = None):
        self.weight = Parameter(init.normal(init.default_rng(rng), (num_embeddings, embedding_dim)))

    def forward(self, ids: Any) -> Tensor:
        return self.weight[ids]

    def extra_repr(self) -> str:
        return f"{self.weight.shape[0]}, {self.weight.shape[1]}"
