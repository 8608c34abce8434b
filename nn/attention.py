"""Multi-head self-attention."""

from autograd import Tensor, ops
from autograd.random import RandomStream
from nn.linear import Linear, linears
from nn.module import Module


class MultiHeadAttention(Module):
    """Y = [head₁ … head_H] W_O, head = softmax(S(X W_Q, X W_K)) X W_V, over x (B, N, D).

    `similarity`: "dot" (Vaswani et al., 1706.03762), "l2", "l1" or "l2_printed" (see autograd.ops.attention).
    `tied`: queries and keys share one weight; without it L2 attention is not Lipschitz (Kim et al., 2006.04710).
    """

    def __init__(
        self,
        features: int,
        heads: int,
        similarity: str = "dot",
        tied: bool | None = None,
        *,
        norm: str | None = None,
        rng: RandomStream | None = None,
    ):
        if features % heads:
            raise ValueError(f"{features} features cannot be shared by {heads} heads")
        self.heads, self.similarity = heads, similarity
        tied = similarity != "dot" if tied is None else tied
        self.query = Linear(features, features, bias=False, norm=norm, rng=rng)
        self.key = None if tied else Linear(features, features, bias=False, norm=norm, rng=rng)
        self.value = Linear(features, features, bias=False, norm=norm, rng=rng)
        self.out = Linear(features, features, norm=norm, rng=rng)

    def forward(self, x: Tensor, first: int | None = None) -> Tensor:
        """Y of all tokens, or with `first` of the first tokens only: they alone are queries, all tokens are keys."""
        if self.key is None:
            k, v = map(self._split, linears([self.query, self.value], x))
            q = k if first is None else k[:, :, :first]
        elif first is None:
            k, q, v = map(self._split, linears([self.key, self.query, self.value], x))
        else:
            k, v = map(self._split, linears([self.key, self.value], x))
            q = self._split(self.query(x[:, :first]))
        y = ops.attention(q, k, v, similarity=self.similarity)  # (B, H, first, d)
        return self.out(y.swapaxes(1, 2).reshape(len(x), -1, x.shape[2]))

    def _split(self, x: Tensor) -> Tensor:
        batch, tokens, features = x.shape
        return x.reshape(batch, tokens, self.heads, features // self.heads).swapaxes(1, 2)  # (B, H, N, d)

    def extra_repr(self) -> str:
        return f"{self.heads} heads, {self.similarity}{', tied' if self.key is None else ''}"
