"""How what is seen and what is heard are joined: L3-Net, AVE-Net, AVOL-Net, and similarity maps.

papers.md §2.1 gives the layers. Shapes: maps [B, C, h, w] of the vision encoder, sound [B, D] its
vector, E = 128. All heads also say how well each place goes with the sound, [B, h, w]: that is how
they localise. AVOL-Net is made for it; for the others the place's own features take the place of
the pooled ones, as in class activation maps.
"""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from avssl.errors import InputError
from avssl.model.spectrogram import Masks

FUSIONS = ("l3", "ave", "avol")
EMBEDDING = 128
"""E, the length of the papers' embeddings."""
_QUICK = 20.0
"""The two numbers of `calibrated` move so many times as fast as weights: at Adam's steps they would
still be on their way when a short run ends, and "together" would be said too rarely."""


def _mlp(width: int, embedding: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width, embedding), nn.ReLU(), nn.Linear(embedding, embedding))


def pooled(maps: Tensor) -> Tensor:
    """Gives the highest value over all places, [B, C] (the papers' pool4)."""
    return maps.amax(dim=(2, 3))


def places(maps: Tensor) -> Tensor:
    """Gives the features place by place, [B, h, w, C]."""
    return maps.permute(0, 2, 3, 1)


def balanced_pair_loss(odds: Tensor, group: Tensor) -> Tensor:
    """Gives the logistic loss of all pictures with all sounds, own and others' weighing as much.

    Every sound of another group is a mismatched pair; another sample of one's own group is none.

    Args:
        odds: log odds of "together", float [B, B] of picture i with sound j.
        group: int64 [B].

    Example: four pairs, the last two of one group. 4 pairs count as together (weight 1/4 each),
    10 as mismatched (weight 1/10 each), and the 2 of picture 3 with sound 4 and of 4 with 3 not.
    """
    own = functional.softplus(-odds.diagonal()).mean()
    other = (group[:, None] != group[None]).to(odds.dtype)
    return own / 2 + (functional.softplus(odds) * other).sum() / other.sum().clamp_min(1) / 2


class Standardised(nn.Module):
    """Brings features to mean 0 and deviation 1 over the batch, then joins them.

    What leaves an encoder is mostly what all pictures, or all sounds, have in common: at the start
    every pair looks alike and the first hundreds of steps are lost. The mean goes here, by running
    statistics when not training. Not in the papers; measured in docs/audio_visual.md.
    """

    def __init__(self, join: nn.Module, *, vision: int, sound: int) -> None:
        super().__init__()
        self.join = join
        self.vision_norm = nn.BatchNorm2d(vision, affine=False)
        self.sound_norm = nn.BatchNorm1d(sound, affine=False)

    def forward(self, maps: Tensor, sound: Tensor) -> Any:
        """See the join's."""
        return self.join(self.vision_norm(maps), self.sound_norm(sound))

    def pairs(self, maps: Tensor, sound: Tensor) -> Tensor:
        """See the join's."""
        return self.join.pairs(self.vision_norm(maps), self.sound_norm(sound))  # type: ignore[operator]

    def at(self, maps: Tensor, sound: Tensor) -> Tensor:
        """See the join's."""
        return self.join.at(self.vision_norm(maps), self.sound_norm(sound))  # type: ignore[operator]

    def embed(self, maps: Tensor, sound: Tensor) -> tuple[Tensor, Tensor]:
        """See the join's."""
        return self.join.embed(self.vision_norm(maps), self.sound_norm(sound))  # type: ignore[operator]


def maps_and_sound(
    encoders: Mapping[str, nn.Module],
    batch: Mapping[str, Tensor],
    *,
    layer: str,
    masks: Masks | None = None,
) -> tuple[Tensor, Tensor]:
    """Runs both encoders: maps [B, C, h, w] of `layer` ("" is the last), the sound's vector [B, D].

    Maps of clips are means over time. `masks` blanks parts of the spectrogram in training.
    """
    vision: Any = encoders["vision"]
    found = vision.features(batch["frames"])
    maps = found[layer or list(vision.layers)[-1]]
    return (maps.mean(dim=2) if maps.ndim == 5 else maps), encoders["sound"](batch["sound"], masks)


class L3Fusion(nn.Module):
    """Both vectors side by side → 128 → 2 (L3-Net)."""

    def __init__(self, *, vision: int, sound: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(vision + sound, EMBEDDING)
        self.fc2 = nn.Linear(EMBEDDING, 2)

    def forward(self, maps: Tensor, sound: Tensor) -> Tensor:
        """Gives logits [B, 2]: 0 mismatched, 1 together."""
        joined = torch.cat([pooled(maps), sound], dim=1)
        return self.fc2(functional.relu(self.fc1(joined)))

    def pairs(self, maps: Tensor, sound: Tensor) -> Tensor:
        """Gives the log odds of "together" of every picture with every sound, [B, B']."""
        weight = self.fc1.weight.split([maps.shape[1], sound.shape[1]], dim=1)
        seen = functional.linear(pooled(maps), weight[0], self.fc1.bias)
        heard = functional.linear(sound, weight[1])
        logits = self.fc2(functional.relu(seen[:, None] + heard[None]))
        return logits[..., 1] - logits[..., 0]

    def at(self, maps: Tensor, sound: Tensor) -> Tensor:
        """Gives the log odds of "together" place by place, [B, h, w]."""
        seen = places(maps)
        heard = sound[:, None, None].expand(*seen.shape[:3], -1)
        logits = self.fc2(functional.relu(self.fc1(torch.cat([seen, heard], dim=3))))
        return logits[..., 1] - logits[..., 0]

    def embed(self, maps: Tensor, sound: Tensor) -> tuple[Tensor, Tensor]:
        """Gives both vectors [B, C] and [B, D]: L3-Net has no embeddings in one space."""
        return pooled(maps), sound


class AveFusion(nn.Module):
    """Two embeddings of length 1; their distance alone decides, 1 → 2 (AVE-Net).

    The last layer begins with the sign by which near means together: with the other one training
    can end with embeddings that point away from each other (papers.md §2.1).
    """

    def __init__(self, *, vision: int, sound: int) -> None:
        super().__init__()
        self.vision = _mlp(vision, EMBEDDING)
        self.sound = _mlp(sound, EMBEDDING)
        self.fc3 = nn.Linear(1, 2)
        with torch.no_grad():
            self.fc3.weight.copy_(torch.tensor([[3.0], [-3.0]]))
            self.fc3.bias.copy_(torch.tensor([-3.0, 3.0]))

    def embed(self, maps: Tensor, sound: Tensor) -> tuple[Tensor, Tensor]:
        """Gives the embeddings of pictures and sounds, each [B, 128] of length 1."""
        seen = functional.normalize(self.vision(pooled(maps)), dim=1)
        return seen, functional.normalize(self.sound(sound), dim=1)

    def forward(self, maps: Tensor, sound: Tensor) -> Tensor:
        """Gives logits [B, 2]."""
        seen, heard = self.embed(maps, sound)
        return self.fc3(_distance(seen, heard)[:, None])

    def pairs(self, maps: Tensor, sound: Tensor) -> Tensor:
        """Gives the log odds of "together" of every picture with every sound, [B, B']."""
        seen, heard = self.embed(maps, sound)
        logits = self.fc3(_distance(seen[:, None], heard[None])[..., None])
        return logits[..., 1] - logits[..., 0]

    def at(self, maps: Tensor, sound: Tensor) -> Tensor:
        """Gives the log odds of "together" place by place, [B, h, w]."""
        seen = functional.normalize(self.vision(places(maps)), dim=3)
        heard = functional.normalize(self.sound(sound), dim=1)[:, None, None]
        logits = self.fc3(_distance(seen, heard)[..., None])
        return logits[..., 1] - logits[..., 0]


def _distance(one: Tensor, other: Tensor) -> Tensor:
    # a root has no gradient at 0: equal embeddings must not make NaN
    return ((one - other).square().sum(dim=-1) + 1e-8).sqrt()


class AvolFusion(nn.Module):
    """Every place times the sound; the best place decides (AVOL-Net, multiple instances)."""

    def __init__(self, *, vision: int, sound: int) -> None:
        super().__init__()
        self.vision = _mlp(vision, EMBEDDING)  # on each place: the paper's two 1 x 1 convolutions
        self.sound = _mlp(sound, EMBEDDING)
        self.scale = nn.Parameter(torch.tensor(1.0))
        self.bias = nn.Parameter(torch.tensor(0.0))

    def at(self, maps: Tensor, sound: Tensor) -> Tensor:
        """Gives the log odds of "together" place by place, [B, h, w]."""
        product = (self.vision(places(maps)) * self.sound(sound)[:, None, None]).sum(dim=3)
        return product * self.scale + self.bias

    def pairs(self, maps: Tensor, sound: Tensor) -> Tensor:
        """Gives the log odds of "together" of every picture with every sound, [B, B']."""
        seen = self.vision(places(maps)).flatten(1, 2)
        product = torch.einsum("ipe,je->ijp", seen, self.sound(sound))
        return (product * self.scale + self.bias).amax(dim=2)

    def forward(self, maps: Tensor, sound: Tensor) -> Tensor:
        """Gives logits [B, 2]; the first is 0, so their softmax is the logistic function."""
        best = self.at(maps, sound).amax(dim=(1, 2))
        return torch.stack([torch.zeros_like(best), best], dim=1)

    def embed(self, maps: Tensor, sound: Tensor) -> tuple[Tensor, Tensor]:
        """Gives the picture's best place for its own sound [B, 128], and the sound's embedding."""
        seen, heard = self.vision(places(maps)).flatten(1, 2), self.sound(sound)
        best = (seen * heard[:, None]).sum(dim=2).argmax(dim=1)
        return seen[torch.arange(len(seen), device=seen.device), best], heard


class SimilarityMaps(nn.Module):
    """Cosine of every place with every sound of the batch: contrast across the two senses.

    Pictures are P places each, or one, their mean (`pooling` "mean").
    `calibrated` turns a cosine into log odds by two numbers that are trained beside, on detached
    cosines: they change no encoder.
    """

    def __init__(self, *, vision: int, sound: int, temperature: float, pooling: str) -> None:
        super().__init__()
        if pooling not in ("max", "mean"):
            raise InputError(f"pooling {pooling!r}: must be max or mean")
        self.vision = _mlp(vision, EMBEDDING)
        self.sound = _mlp(sound, EMBEDDING)
        self.pooling = pooling
        self.log_temperature = nn.Parameter(torch.tensor(math.log(temperature)))
        self.slope = nn.Parameter(torch.tensor(5.0 / _QUICK))
        self.offset = nn.Parameter(torch.tensor(-1.0 / _QUICK))

    def forward(self, maps: Tensor, sound: Tensor) -> tuple[Tensor, Tensor]:
        """Gives the embeddings [B, P, 128] of the pictures' places and [B, 128] of the sounds."""
        return self.seen(maps), self.heard(sound)

    def seen(self, maps: Tensor) -> Tensor:
        """Gives the pictures' embeddings [B, P, 128]: of P places, or of one, the mean."""
        features = places(maps).flatten(1, 2)
        if self.pooling == "mean":
            features = features.mean(dim=1, keepdim=True)
        return functional.normalize(self.vision(features), dim=2)

    def heard(self, sound: Tensor) -> Tensor:
        """Gives the sounds' embeddings [B, 128]."""
        return functional.normalize(self.sound(sound), dim=1)

    def at(self, maps: Tensor, sound: Tensor) -> Tensor:
        """Gives the log odds of "together" place by place, [B, h, w]."""
        seen = functional.normalize(self.vision(places(maps)), dim=3)
        return self.calibrated((seen * self.heard(sound)[:, None, None]).sum(dim=3))

    def calibrated(self, cosine: Tensor) -> Tensor:
        """Gives the log odds of "together" from a cosine."""
        return _QUICK * (self.slope * cosine + self.offset)

    def embed(self, maps: Tensor, sound: Tensor) -> tuple[Tensor, Tensor]:
        """Gives the embeddings [B, 128]: the picture's best place for its sound, and the sound."""
        seen, heard = self.seen(maps), self.heard(sound)
        best = (seen * heard[:, None]).sum(dim=2).argmax(dim=1)
        return seen[torch.arange(len(seen), device=seen.device), best], heard


def build_correspondence(
    name: str, *, vision: int, sound: int, standardise: bool = False
) -> nn.Module:
    """Builds L3-Net's, AVE-Net's or AVOL-Net's join by its name.

    Args:
        name: "l3", "ave" or "avol".
        vision: channels C of the maps.
        sound: length D of the sound's vector.
        standardise: see `Standardised`.

    Raises:
        InputError: no such fusion.
    """
    kinds = {"l3": L3Fusion, "ave": AveFusion, "avol": AvolFusion}
    if name not in kinds:
        raise InputError(f"fusion {name!r}: must be one of {', '.join(FUSIONS)}")
    join = kinds[name](vision=vision, sound=sound)
    return Standardised(join, vision=vision, sound=sound) if standardise else join
