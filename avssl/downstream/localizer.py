"""A trained audio-visual network on whole frames: where in them what is heard comes from.

where = avssl.load_localizer(run)
maps, strengths = where(frames, sound)   # float32 [T, h, w], float32 [T]
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from avssl.downstream.localization_metrics import enlarged
from avssl.errors import InputError
from avssl.records import Sound
from avssl.transform import sound as sounds

_BATCH = 32
THOROUGH: dict[str, Any] = {"looks": (5 / 6, 1.0, 4 / 3), "mirrored": True}
"""Arguments of a `Localizer` that looks in three sizes, mirrored too: 7 times the pixels. Chosen on
validation clips of the world (docs/hearing_study.md)."""


SPREAD = 1.0
"""Chosen on validation clips of the world; 0.75 to 1.25 were alike (docs/hearing_study.md)."""
_LEAST_ODDS = 1e-9


class Localizer:
    """Both encoders and their join, with what they were trained for."""

    def __init__(
        self,
        task: Any,
        encoders: Mapping[str, nn.Module],
        head: nn.Module,
        *,
        looks: Sequence[float] = (1.0,),
        mirrored: bool = False,
        spread: float = SPREAD,
    ) -> None:
        """Takes a task with `locate` (see `avssl.transform.audio_visual`) and its networks.

        Args:
            task: what they were trained for.
            encoders: stream → network.
            head: what joins them.
            looks: sizes in which each frame is looked at, as shares of training's; the maps are
                brought to the finest one's places and averaged.
            mirrored: look at the mirrored frame too.
            spread: how far the odds of a place reach over its neighbours, see `spread_odds`: the
                deviation in places of a map as training had them; 0 leaves the maps as they are.

        Raises:
            InputError: trained on clips of several pictures; no look, or one that is not above 0;
                a spread below 0.
        """
        if task.clip_frames > 1:
            raise InputError(
                f"{task.name} was trained on clips of {task.clip_frames} pictures: a localizer "
                "takes one; train with --task.clip-frames 1"
            )
        if not looks or min(looks) <= 0:
            raise InputError(f"looks {tuple(looks)}: must be one or more shares above 0")
        if not 0 <= spread < np.inf:
            raise InputError(f"spread {spread}: must be 0 or more")
        self.task = task
        self.spread = spread
        self.looks = tuple(looks)
        self.mirrored = mirrored
        self.encoders = dict(encoders)
        self.head = head
        for module in (*self.encoders.values(), head):
            module.eval()

    @property
    def rate_hz(self) -> int:
        """Sampling rate of the sound it hears."""
        return self.task.rate_hz

    @property
    def sound_s(self) -> float:
        """Length of the sound around each picture, seconds."""
        return self.task.sound_s

    def __call__(
        self, frames: NDArray[np.uint8], sound: NDArray[np.floating] | Sound
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Gives the log odds that each place belongs to the sound, and how sure the best place is.

        The whole frame is looked at, scaled so that its short side is what training saw; the odds
        of its places are spread over their neighbours (`spread_odds`). Sound
        below the task's `silence_db` has strength 0: where nothing is heard nothing sounds.

        Args:
            frames: uint8 [T, 3, H, W], RGB.
            sound: float [T, n], the stretch around each frame at `rate_hz`; or [n], or a `Sound`:
                the same for all frames.

        Returns:
            maps float32 [T, h, w] (places cover the frame evenly) and strengths float32 [T] in
            0…1, the probability that the best place belongs to the sound.

        Raises:
            InputError: wrong shapes, another rate.
        """
        if frames.ndim != 4 or frames.shape[1] != 3 or frames.dtype != np.uint8:
            raise InputError(f"frames must be uint8 [T, 3, H, W], got {list(frames.shape)}")
        if isinstance(sound, Sound) and sound.rate_hz != self.rate_hz:
            raise InputError(f"sound of {sound.rate_hz} Hz: must be of {self.rate_hz} Hz")
        heard = np.atleast_2d(np.asarray(sound, dtype=np.float32))
        if len(heard) not in (1, len(frames)) or heard.ndim != 2:
            raise InputError(
                f"sound must be [{len(frames)}, n] or [n], got {list(np.shape(sound))}"
            )
        if not np.isfinite(heard).all():
            raise InputError("sound has values that are not finite")
        quiet = np.array([self.is_silent(one) for one in heard])
        alike = np.stack(
            [
                one if silent else self.task.heard(one)
                for one, silent in zip(heard, quiet, strict=True)
            ]
        )
        index = np.zeros(len(frames), int) if len(heard) == 1 else np.arange(len(frames))
        found = []
        for start in range(0, len(frames), _BATCH):
            part = range(start, min(start + _BATCH, len(frames)))
            found.append(self._looked([frames[k] for k in part], alike[index[list(part)]]))
        if not found:
            return np.zeros((0, 1, 1), np.float32), np.zeros(0, np.float32)
        maps = np.concatenate(found)
        strengths = 1 / (1 + np.exp(-maps.max(axis=(1, 2)).astype(np.float64)))
        return maps, np.where(quiet[index], 0.0, strengths).astype(np.float32)

    def is_silent(self, samples: NDArray[np.float32]) -> bool:
        """Whether a stretch is below the level that training used."""
        return sounds.rms(samples - samples.mean()) < 10 ** (self.task.silence_db / 20)

    def _looked(
        self, frames: Sequence[NDArray[np.uint8]], samples: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Gives the mean map of all looks, [T, h, w]."""
        found = []
        for share in self.looks:
            shown = np.stack([scaled(one, round(share * self.task.size_px)) for one in frames])
            maps = self._maps(shown, samples)
            if self.mirrored:
                other = self._maps(np.ascontiguousarray(shown[..., ::-1]), samples)
                maps = (maps + other[..., ::-1]) / 2
            found.append(maps)
        finest = max(found, key=lambda maps: maps.shape[1]).shape[1:]
        mean = np.stack([places(maps, finest) for maps in found]).mean(axis=0)
        return spread_odds(mean, self.spread * max(self.looks))

    @torch.no_grad()
    def _maps(self, frames: NDArray[np.uint8], samples: NDArray[np.float32]) -> NDArray[np.float32]:
        where = next(self.head.parameters()).device
        batch = {
            "frames": torch.from_numpy(frames).to(where),
            "sound": torch.from_numpy(samples).to(where),
        }
        return self.task.locate(self.encoders, self.head, batch).float().cpu().numpy()


def spread_odds(maps: NDArray[np.floating], deviation: float) -> NDArray[np.float32]:
    """Blurs the odds of maps of log odds [T, h, w]; the highest value of each stays what it was.

    What sounds is a spot, and what a network says of places far from it is mostly noise. Blurred as
    odds, e to the power of the value, the noise is next to nothing beside the spot, and places rank
    by how near to it they are; the same blur of the log odds lets the noise in.

    Example: log odds 2, -4, -4, -4, -3.9 along a line, deviation 1. Of the last four -3.9 is
    highest; of the spread ones it is the lowest, being farthest from the 2.

    Args:
        maps: log odds, float [T, h, w].
        deviation: of the Gaussian, in places; 0 changes nothing.
    """
    import cv2

    if not deviation or not maps.size:
        return maps.astype(np.float32)
    spread = []
    for one in maps.astype(np.float64):
        odds = np.exp(one - one.max())
        size = (2 * int(np.ceil(4 * deviation)) + 1,) * 2  # the kernel's
        blurred = cv2.GaussianBlur(odds, size, deviation, borderType=cv2.BORDER_REPLICATE)
        logs = np.log(np.maximum(blurred, _LEAST_ODDS))
        spread.append(logs - logs.max() + one.max())
    return np.stack(spread).astype(np.float32)


def places(maps: NDArray[np.float32], size: tuple[int, ...]) -> NDArray[np.float32]:
    """Brings maps [T, h, w] to so many places, linearly between the middles of their own."""
    import cv2

    if maps.shape[1:] == tuple(size):
        return maps
    height, width = size
    return np.stack(
        [cv2.resize(one, (width, height), interpolation=cv2.INTER_LINEAR) for one in maps]
    )


class ObjectPrior:
    """Where an image network looks, whatever is heard: EZ-VSL's prior.

    The mean over channels of the absolute values of the last maps (Mo and Morgado, ECCV 2022;
    papers.md §3.2). EZ-VSL takes a ResNet-18 that was trained with ImageNet's labels: what is added
    to the network's maps is then no longer learned without labels, so it stands in its own row.
    """

    def __init__(self, encoder: Any, *, size_px: int, weight: float = 0.6) -> None:
        """Takes a vision encoder, the short side that it sees, and the prior's weight (1 − α)."""
        if not 0 <= weight <= 1:
            raise InputError(f"object weight {weight}: must be 0 to 1")
        self.encoder = encoder.eval()
        self.size_px = size_px
        self.weight = weight

    @torch.no_grad()
    def __call__(self, frame: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Gives the prior [h, w] of a frame uint8 [3, H, W]."""
        maps = self.encoder.features(torch.from_numpy(scaled(frame, self.size_px))[None])
        last = maps[list(self.encoder.layers)[-1]]
        return last[0].abs().mean(dim=0).float().numpy()

    def joined(
        self, found: NDArray[np.floating], prior: NDArray[np.floating]
    ) -> NDArray[np.float64]:
        """Gives α · map + (1 − α) · prior, both enlarged and brought to 0…1, [224, 224]."""
        return (1 - self.weight) * _to_one(found) + self.weight * _to_one(prior)


def _to_one(values: NDArray[np.floating]) -> NDArray[np.float64]:
    large = enlarged(values)
    low, high = float(large.min()), float(large.max())
    return (large - low) / (high - low) if high > low else np.zeros_like(large)


def scaled(frame: NDArray[np.uint8], short_side_px: int) -> NDArray[np.uint8]:
    """Scales a frame [3, H, W] so that its short side is so long."""
    import cv2

    height, width = frame.shape[1:]
    share = short_side_px / min(height, width)
    size = (max(1, round(width * share)), max(1, round(height * share)))
    if size == (width, height):
        return np.ascontiguousarray(frame)
    method = cv2.INTER_AREA if share < 1 else cv2.INTER_LINEAR
    picture = cv2.resize(np.ascontiguousarray(frame.transpose(1, 2, 0)), size, interpolation=method)
    return np.ascontiguousarray(np.asarray(picture, dtype=np.uint8).transpose(2, 0, 1))
