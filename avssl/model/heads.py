"""Heads used by two or more tasks: how the vectors of several pictures are joined.

Shapes: vectors [batch, num_vectors, width] → logits [batch, num_outputs].
"""

import itertools

import torch
from torch import Tensor, nn
from torch.nn import functional

from avssl.errors import InputError

FUSIONS = ("concat", "concat-mlp", "difference", "relative", "ordered", "pairs")
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


class OrderedFusion(nn.Module):
    """Differences of every pair of embeddings, with signs and squared, and where they start from.

    Squared differences are the same forwards and backwards; which of two came first needs a sign,
    and, since a thing that faces left moves left, the mean embedding to turn it by. Differences
    are in proportion to their root mean square, as in `DifferenceFusion`; the mean is normalised.
    With signs alone 150 steps of clip-order left even the order up to reversal at chance.
    """

    def __init__(
        self, *, width: int, num_vectors: int, num_outputs: int, embedding: int, hidden: int
    ) -> None:
        super().__init__()
        self.embed = nn.Linear(width, embedding)
        pairs = torch.tensor(list(itertools.combinations(range(num_vectors), 2)))
        self.register_buffer("pairs", pairs, persistent=False)
        self.pairs: Tensor
        self.net = nn.Sequential(
            nn.Linear(embedding * (2 * len(pairs) + 1), hidden),
            nn.ReLU(),
            nn.Linear(hidden, num_outputs),
        )

    def forward(self, vectors: Tensor) -> Tensor:
        """Gives the logits."""
        embedded = self.embed(vectors)
        difference = embedded[:, self.pairs[:, 1]] - embedded[:, self.pairs[:, 0]]
        size = difference.square().mean(dim=(1, 2), keepdim=True)
        mean = functional.layer_norm(embedded.mean(dim=1), embedded.shape[2:])
        # The root of 0 has no gradient: the small number stands inside.
        signed = (difference / torch.sqrt(size + _TINY**2)).flatten(start_dim=1)
        return self.net(torch.cat([signed, signed.square(), mean], dim=1))


class PairsFusion(nn.Module):
    """One layer, shared, on every pair of vectors side by side; then one on all of its answers.

    Of the networks that sort frames and clips (Lee et al. 2017, OPN; Xu et al. 2019, VCOP).
    """

    def __init__(
        self, *, width: int, num_vectors: int, num_outputs: int, hidden: int, dropout: float
    ) -> None:
        super().__init__()
        pairs = torch.tensor(list(itertools.combinations(range(num_vectors), 2)))
        self.register_buffer("pairs", pairs, persistent=False)
        self.pairs: Tensor
        self.each = nn.Sequential(nn.Linear(2 * width, hidden), nn.ReLU())
        self.dropout = nn.Dropout(dropout)
        self.last = nn.Linear(hidden * len(pairs), num_outputs)

    def forward(self, vectors: Tensor) -> Tensor:
        """Gives the logits."""
        compared = self.each(vectors[:, self.pairs].flatten(start_dim=2))
        return self.last(self.dropout(compared.flatten(start_dim=1)))


def encode_each(encoder: nn.Module, frames: Tensor, *, num_leading: int = 2) -> Tensor:
    """Runs an encoder on every picture or clip by itself.

    Args:
        encoder: takes [n, 3, H, W], or clips [n, 3, T, H, W], to vectors [n, width].
        frames: [batch, …, 3, (T,) H, W].
        num_leading: how many dimensions count pictures, the batch's included.

    Returns:
        [batch, …, width].
    """
    leading = frames.shape[:num_leading]
    return encoder(frames.flatten(end_dim=num_leading - 1)).unflatten(0, leading)


def build_fusion(
    name: str,
    *,
    width: int,
    num_vectors: int,
    num_outputs: int,
    embedding: int = 128,
    hidden: int = 128,
    dropout: float = 0.0,
) -> nn.Module:
    """Builds the join of `num_vectors` vectors by its name.

    Args:
        name: "concat" (one linear layer), "concat-mlp", "difference", "relative", "ordered" (with
            signs), or "pairs".
        width: length of each vector.
        num_vectors: how many are joined.
        num_outputs: number of logits.
        embedding: width of the embedding whose differences are taken ("difference", "relative",
            "ordered").
        hidden: width of the hidden layer (all but "concat").
        dropout: share of "pairs"' hidden layer that is left out in training.

    Raises:
        InputError: no such fusion, or one that compares and has a single vector.
    """
    if num_vectors < 2 and not name.startswith("concat"):
        raise InputError(f"fusion {name!r}: compares vectors, and there is one; use concat-mlp")
    sizes = {"width": width, "num_vectors": num_vectors, "num_outputs": num_outputs}
    if name == "concat":
        return ConcatFusion(**sizes)
    if name == "concat-mlp":
        return ConcatFusion(**sizes, hidden=hidden)
    if name in ("difference", "relative"):
        relative = name == "relative"
        return DifferenceFusion(**sizes, embedding=embedding, hidden=hidden, relative=relative)
    if name == "ordered":
        return OrderedFusion(**sizes, embedding=embedding, hidden=hidden)
    if name == "pairs":
        return PairsFusion(**sizes, hidden=hidden, dropout=dropout)
    raise InputError(f"fusion {name!r}: must be one of {', '.join(FUSIONS)}")
