"""Multi-head attention: of tokens to each other, or to the tokens of a context."""

from typing import Any

from autograd import Tensor, ops
from autograd.random import RandomStream
from nn.linear import Linear, linears
from nn.module import Module


class MultiHeadAttention(Module):
    """Y = [head₁ … head_H] W_O, head = softmax(S(X W_Q, X W_K)) X W_V, over x (B, N, D).

    `similarity`: "dot" (Vaswani et al., 1706.03762), "l2", "l1" or "l2_printed" (see autograd.ops.attention).
    `causal`: a token looks only at itself and at those before it.
    `tied`: queries and keys share one weight; without it L2 attention is not Lipschitz (Kim et al., 2006.04710).
    ValueError for heads that do not divide the features, TypeError for masks that are no arrays of booleans.
    """

    def __init__(
        self,
        features: int,
        heads: int,
        similarity: str = "dot",
        tied: bool | None = None,
        *,
        causal: bool = False,
        norm: str | None = None,
        rng: RandomStream | None = None,
    ):
        if features % heads:
            raise ValueError(f"{features} features cannot be shared by {heads} heads")
        self.heads, self.similarity, self.causal = heads, similarity, causal
        tied = similarity != "dot" if tied is None else tied
        self.query = Linear(features, features, bias=False, norm=norm, rng=rng)
        self.key = None if tied else Linear(features, features, bias=False, norm=norm, rng=rng)
        self.value = Linear(features, features, bias=False, norm=norm, rng=rng)
        self.out = Linear(features, features, norm=norm, rng=rng)

    def forward(
        self,
        x: Tensor,
        first: int | None = None,
        context: Tensor | None = None,
        mask: Any = None,
        key_padding_mask: Any = None,
    ) -> Tensor:
        """Y of all tokens, or with `first` of the first tokens only: they alone are queries, all tokens are keys.

        context: keys and values come from these tokens (B, M, D), not from x. mask: booleans that broadcast against
        (B, heads, queries, keys), True where a query may look at a key. key_padding_mask: (B, keys), True where a key
        is padding and nobody may look (PyTorch's name and sense).
        """
        q, k, v = self._queries_keys_values(x, first, context)
        if key_padding_mask is not None:
            real = ~_booleans(key_padding_mask, "key_padding_mask", "a key is padding")[:, None, None, :]
            mask = real if mask is None else _booleans(mask, "mask", "a query may look at a key") & real
        y = ops.attention(q, k, v, similarity=self.similarity, mask=mask, causal=self.causal)  # (B, H, first, d)
        return self.out(y.swapaxes(1, 2).reshape(len(x), -1, x.shape[2]))

    def _queries_keys_values(self, x: Tensor, first: int | None, context: Tensor | None) -> tuple[Tensor, ...]:
        """Three (B, H, N, d), with as few products as there are different inputs."""
        key = self.query if self.key is None else self.key
        if context is not None or first is not None and self.key is not None:
            k, v = map(self._split, linears([key, self.value], x if context is None else context))
            return self._split(self.query(x if first is None else x[:, :first])), k, v
        if self.key is None:
            k, v = map(self._split, linears([self.query, self.value], x))
            return k if first is None else k[:, :, :first], k, v
        k, q, v = map(self._split, linears([self.key, self.query, self.value], x))
        return q, k, v

    def _split(self, x: Tensor) -> Tensor:
        batch, tokens, features = x.shape
        return x.reshape(batch, tokens, self.heads, features // self.heads).swapaxes(1, 2)  # (B, H, N, d)

    def extra_repr(self) -> str:
        return f"{self.heads} heads, {self.similarity}{', tied' if self.key is None else ''}"


def _booleans(mask: Any, name: str, when: str) -> Any:
    """The array of a mask; TypeError unless it holds booleans."""
    array = mask.data if isinstance(mask, Tensor) else mask
    if getattr(getattr(array, "dtype", None), "kind", None) != "b":
        raise TypeError(f"{name} is an array of booleans, True where {when}")
    return array
