"""Samples of a prepared set for probes and neighbours, and networks that turn them into features.

Pictures are read once, for all networks: the middle square of a few evenly spaced frames a clip, at
most `STORED_PX` on a side. Each network then sees them at its own size (`size_px`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from avssl.catalog import Catalog, ClipRow
from avssl.decode.fetch import Fetcher
from avssl.downstream.features import Pool, layer_names, layer_vectors
from avssl.downstream.probe_truth import middle_square, sample_times_s
from avssl.errors import InputError
from avssl.progress import Bar
from avssl.transform.sound import SILENCE_RMS, equal_loudness, rms

STORED_PX = 256
BATCH = 32
_RATE_STEP_S = 1 / 15
"""Between the frames of a clip network, where the run does not say."""


@dataclass(frozen=True, kw_only=True)
class Samples:
    """N samples of a catalogue."""

    rows: list[ClipRow]
    """N rows, one a sample."""
    times_s: list[float]
    """Of the frame, or of the middle of the sound."""
    clips: NDArray[np.int64]
    """int64 [N]: the row's number in the catalogue."""
    shown: list[Any]
    """N squares uint8 [T, 3, S, S] (T = 1 for networks of pictures), or sounds float32 [n]."""

    @property
    def groups(self) -> NDArray[np.object_]:
        """[N]: the group of each sample's clip."""
        return np.array([row.group_id for row in self.rows], dtype=object)

    def pictures(self) -> list[NDArray[np.uint8]]:
        """Gives the one frame of each sample, or the middle one, uint8 [3, S, S]."""
        return [frames[len(frames) // 2] for frames in self.shown]


@dataclass(frozen=True, kw_only=True)
class Network:
    """An encoder and how it is to be shown things."""

    encoder: Any
    size_px: int = 0
    """Side of the pictures; 0: a sound encoder."""

    def batch(self, shown: Sequence[Any]) -> torch.Tensor:
        """Gives squares or sounds as the encoder takes them."""
        if not self.size_px:
            return torch.from_numpy(np.stack(shown))
        scaled = np.stack([[resized(one, self.size_px) for one in frames] for frames in shown])
        frames = torch.from_numpy(scaled)  # [B, T, 3, S, S]
        return frames[:, 0] if self.encoder.num_frames == 1 else frames.transpose(1, 2)

    def vectors(
        self,
        samples: Samples,
        *,
        pool: Pool = "avg",
        layers: list[str] | None = None,
        bar: Bar | None = None,
    ) -> dict[str, NDArray[np.float32]]:
        """Gives every layer's features: name → float32 [N, F]."""
        names = layers or layer_names(self.encoder)
        found: dict[str, Any] = {}
        for start in range(0, len(samples.shown), BATCH):
            batch = self.batch(samples.shown[start : start + BATCH])
            part = layer_vectors(self.encoder, batch, pool=pool, layers=names)
            for name, values in part.items():
                if name not in found:
                    shape = (len(samples.shown), values.shape[1])
                    found[name] = np.empty(shape, dtype=np.float32)
                found[name][start : start + len(values)] = values
            if bar is not None:
                bar.advance(len(batch))
        return found


def resized(picture: NDArray[np.uint8], size_px: int) -> NDArray[np.uint8]:
    """Gives a square at another size, uint8 [3, size, size]."""
    if picture.shape[1] == size_px:
        return picture
    method = cv2.INTER_AREA if size_px < picture.shape[1] else cv2.INTER_LINEAR
    whole = np.ascontiguousarray(picture.transpose(1, 2, 0))
    scaled: Any = cv2.resize(whole, (size_px, size_px), interpolation=method)
    return scaled.transpose(2, 0, 1)


def some_of(catalog: Catalog, max_clips: int) -> list[int]:
    """Gives at most `max_clips` rows of a catalogue (0: all), in order, always the same.

    They are drawn: evenly spaced ones would miss whole classes where those take turns.
    """
    count = min(max_clips or len(catalog), len(catalog))
    return sorted(np.random.default_rng(0).permutation(len(catalog))[:count].tolist())


def read_pictures(
    catalog: Catalog,
    chosen: Sequence[int],
    *,
    per_clip: int,
    num_frames: int = 1,
    step_s: float = _RATE_STEP_S,
    bar: Bar | None = None,
) -> Samples:
    """Reads the middle squares of frames.

    Args:
        catalog: of a prepared set.
        chosen: rows of it.
        per_clip: samples a clip, see `sample_times_s`.
        num_frames: frames of a sample, around its time, for networks of clips.
        step_s: between those.
        bar: advanced by one a clip.
    """
    fetcher = Fetcher(catalog.directory)
    around_s = (np.arange(num_frames) - num_frames // 2) * step_s
    rows, times, clips, shown = [], [], [], []
    for index in chosen:
        row = catalog.row(int(index))
        left, top, side = middle_square(row)
        moments_s = sample_times_s(row, per_clip)
        wanted_s = (moments_s[:, None] + around_s).ravel()
        # a millionth of a second absorbs the rounding of sums
        frames = fetcher.frames(
            row, wanted_s + 1e-6, crop=(left, top, side, side), edge="clamp"
        ).frames
        assert frames is not None
        small = [resized(one, min(side, STORED_PX)) for one in frames]
        for number, moment_s in enumerate(moments_s):
            rows.append(row)
            times.append(float(moment_s))
            clips.append(int(index))
            shown.append(np.stack(small[number * num_frames : (number + 1) * num_frames]))
        if bar is not None:
            bar.advance()
    fetcher.close()
    return Samples(rows=rows, times_s=times, clips=np.array(clips, dtype=np.int64), shown=shown)


def read_sounds(
    catalog: Catalog,
    chosen: Sequence[int],
    *,
    per_clip: int,
    rate_hz: int,
    duration_s: float,
    loudness_db: float | None,
    bar: Bar | None = None,
) -> Samples:
    """Reads evenly spaced stretches of sound; silent ones are left out.

    Args:
        catalog: of a prepared set.
        chosen: rows of it.
        per_clip: stretches a clip.
        rate_hz: of the encoder.
        duration_s: of a stretch.
        loudness_db: every stretch is brought to it; None: as recorded.
        bar: advanced by one a clip.
    """
    fetcher = Fetcher(catalog.directory)
    rows, times, clips, shown = [], [], [], []
    for index in chosen:
        row = catalog.row(int(index))
        spare_s = max(0.0, row.duration_s - duration_s)
        for number in range(per_clip if row.sound_state == "present" else 0):
            start_s = row.start_s + spare_s * (number + 0.5) / per_clip
            sound = fetcher.sound(row, start_s, duration_s, rate_hz).sound
            assert sound is not None
            heard = sound.samples[0]
            if rms(heard - heard.mean()) < SILENCE_RMS:
                continue
            if loudness_db is not None:
                heard = equal_loudness(heard, target_db=loudness_db)
            rows.append(row)
            times.append(start_s + duration_s / 2)
            clips.append(int(index))
            shown.append(np.asarray(heard, dtype=np.float32))
        if bar is not None:
            bar.advance()
    fetcher.close()
    return Samples(rows=rows, times_s=times, clips=np.array(clips, dtype=np.int64), shown=shown)


def own_size_px(ref: str, encoder: Any) -> int:
    """Gives the side that pictures had when the run was trained; else what the network is for."""
    config = _config(ref)
    size = getattr(getattr(config, "task", None), "size_px", 0)
    return size if isinstance(size, int) and size > 0 else encoder.input_size_px


def own_step_s(ref: str) -> float:
    """Gives the time between the frames of the clips that a run was trained on."""
    return getattr(getattr(_config(ref), "task", None), "clip_step_s", _RATE_STEP_S)


def own_seed(ref: str) -> int:
    """Gives the seed of a run's first weights; random:NAME has seed 0 itself, so 1."""
    config = _config(ref)
    return config.seed if config is not None else int(ref.startswith("random:"))


def _config(ref: str) -> Any:
    from avssl.config import FILE_NAME, read_config

    return read_config(ref) if (Path(ref) / FILE_NAME).is_file() else None


NETWORK, UNTRAINED, IMAGENET = "network", "untrained", "imagenet"


def networks(
    ref: str,
    *,
    stream: str = "vision",
    imagenet: str = "",
    num_untrained: int = 1,
    size_px: int = 0,
) -> tuple[dict[str, list[Network]], dict[str, str]]:
    """Gives the rows' networks (one or several seeds each), and rows that cannot be run with why.

    Args:
        ref: see `avssl.model.load_encoder`.
        stream: "vision" or "sound".
        imagenet: REF of a network with published weights; "" leaves the row out.
        num_untrained: seeds of the row with first weights, the run's own seed first.
        size_px: side of the pictures for all; 0: each network's own.

    Raises:
        InputError: an encoder that cannot be loaded, but for published weights that cannot be had.
    """
    from avssl.model import build_encoder, load_encoder

    encoder = load_encoder(ref, stream=stream)

    def network(one: Any, own_px: int) -> Network:
        return Network(encoder=one.eval(), size_px=(size_px or own_px) if own_px else 0)

    own_px = own_size_px(ref, encoder) if stream == "vision" else 0
    found = {NETWORK: [network(encoder, own_px)]}
    first = own_seed(ref)
    found[UNTRAINED] = [
        network(build_encoder(encoder.name, stream=stream, seed=first + number), own_px)
        for number in range(num_untrained)
    ]
    missing = {}
    if imagenet and stream == "vision":
        try:
            other = load_encoder(imagenet)
        except InputError as error:
            if not imagenet.startswith("timm:") or "@" in imagenet:
                raise
            missing[IMAGENET] = str(error)
        else:
            if other.num_frames != encoder.num_frames:
                missing[IMAGENET] = "one of the networks takes clips, the other pictures"
            else:
                found[IMAGENET] = [network(other, other.input_size_px)]
    return {name: each for name, each in found.items() if each}, missing
