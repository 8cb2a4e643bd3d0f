"""Heads used by two or more tasks: how the vectors of several pictures are joined.

Shapes: vectors [batch, num_vectors, width] → logits [batch, num_outputs].
"""

import itertools

import torch
from torch import Tensor, nn

from avssl.errors import InputError

FUSIONS = ("concat", "concat-mlp", "difference", "relative")
# Far below any difference of two embeddings; only keeps equal pictures from dividing by 0.
_TINY = 1e-6


class ConcatFusion(nn.Module):
    """All vectors side by side, then one linear layer (the papers') or a small network."""

    def __init__(
        self, *, width: int, num_vectors: int, num_outputs: int, hidden: int | None = None
    ) -> None:
        super().__init__()
        joined = width * num_vectors
        self.net = (
            nn.Linear(joined, num_outputs)
            if hidden is None
            else nn.Sequential(nn.Linear(joined, hidden), nn.ReLU(), nn.Linear(hidden, num_outputs))
        )

    def forward(self, vectors: Tensor) -> Tensor:
        """Gives the logits."""
        return self.net(vectors.flatten(start_dim=1))


class DifferenceFusion(nn.Module):
    """Squared differences of every pair of embeddings, then a small network.

    Order in time shows in distances: the middle of three frames in order is near both ends. A
    concatenation has to discover the product of two vectors for that.

    `relative` divides a sample's squared differences by their mean. Frames of one shot are far more
    alike than shots are, so plain differences start close to zero and carry next to no gradient;
    their ratios do not. Measured: docs/shuffle_and_learn.md.
    """

    def __init__(
        self,
        *,
        width: int,
        num_vectors: int,
        num_outputs: int,
        embedding: int,
        hidden: int,
        relative: bool,
    ) -> None:
        super().__init__()
        self.embed = nn.Linear(width, embedding)
        self.relative = relative
        pairs = torch.tensor(list(itertools.combinations(range(num_vectors), 2)))
        self.register_buffer("pairs", pairs, persistent=False)
        self.pairs: Tensor
        self.net = nn.Sequential(
            nn.Linear(embedding * len(pairs), hidden), nn.ReLU(), nn.Linear(hidden, num_outputs)
        )

    def forward(self, vectors: Tensor) -> Tensor:
        """Gives the logits."""
        embedded = self.embed(vectors)
        difference = embedded[:, self.pairs[:, 0]] - embedded[:, self.pairs[:, 1]]
        squared = difference.square()
        if self.relative:
            squared = squared / (squared.mean(dim=(1, 2), keepdim=True) + _TINY)
        return self.net(squared.flatten(start_dim=1))


def build_fusion(
    name: str,
    *,
    width: int,
    num_vectors: int,
    num_outputs: int,
    embedding: int = 128,
    hidden: int = 128,
) -> nn.Module:
    """Builds the join of `num_vectors` vectors by its name.

    Args:
        name: "concat" (one linear layer), "concat-mlp", "difference", or "relative".
        width: length of each vector.
        num_vectors: how many are joined.
        num_outputs: number of logits.
        embedding: width of the embedding whose differences are taken ("difference", "relative").
        hidden: width of the hidden layer (all but "concat").

    Raises:
        InputError: no such fusion.
    """
    sizes = {"width": width, "num_vectors": num_vectors, "num_outputs": num_outputs}
    if name == "concat":
        return ConcatFusion(**sizes)
    if name == "concat-mlp":
        return ConcatFusion(**sizes, hidden=hidden)
    if name in ("difference", "relative"):
        relative = name == "relative"
        return DifferenceFusion(**sizes, embedding=embedding, hidden=hidden, relative=relative)
    raise InputError(f"fusion {name!r}: must be one of {', '.join(FUSIONS)}")
