"""What passes between the stages: small frozen dataclasses that check themselves.

Shapes: T frames, H x W pixels, n sound samples. Times are seconds on the clock of the container
(edit lists applied, not shifted to zero). `repr` prints shapes, never pixels.

    Plan (times, no pixels) → Clip (decoded) → Example (what a network may see) → Step (loss, sums)
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Number = int | float


def _shape(array: Any) -> str:
    return f"{array.dtype}{list(array.shape)}"


@dataclass(frozen=True, kw_only=True)
class Sound:
    """A stretch of mono sound with an exact number of samples.

    `np.asarray(sound)` gives `samples`.
    """

    samples: NDArray[np.float32]
    """float32 [1, n], full scale is ±1; padding is exact zero."""
    rate_hz: int
    start_s: float
    """Time of the first sample on the container's clock."""
    padded_before: int = 0
    """Samples at the front that the file does not have."""
    padded_after: int = 0
    """Samples at the end that the file does not have."""

    def __post_init__(self) -> None:
        if self.samples.ndim != 2 or self.samples.shape[0] != 1:
            raise ValueError(f"sound must be [1, n], got {_shape(self.samples)}")
        if self.samples.dtype != np.float32:
            raise ValueError(f"sound must be float32, got {_shape(self.samples)}")

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.array(self.samples, dtype=dtype) if copy else np.asarray(self.samples, dtype)

    def __repr__(self) -> str:
        return (
            f"Sound({_shape(self.samples)}, rate_hz={self.rate_hz}, start_s={self.start_s:.6f}, "
            f"padded_before={self.padded_before}, padded_after={self.padded_after})"
        )


@dataclass(frozen=True, kw_only=True)
class FrameSpan:
    """Frames to fetch from one clip: for each time the last frame with time ≤ t."""

    row: int
    """Row of the catalogue."""
    times_s: tuple[float, ...]
    """Times asked for, in the order wanted."""

    def __post_init__(self) -> None:
        if not self.times_s:
            raise ValueError("a FrameSpan needs at least one time")


@dataclass(frozen=True, kw_only=True)
class SoundSpan:
    """A stretch of sound to fetch from one clip."""

    row: int
    """Row of the catalogue."""
    start_s: float
    duration_s: float
    rate_hz: int


@dataclass(frozen=True, kw_only=True)
class MapSpan:
    """A picture of labels that lies beside the pictures of one row, such as surface normals."""

    row: int
    """Row of the catalogue."""
    name: str
    """Its name in the row's labels."""


Span = FrameSpan | SoundSpan | MapSpan


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What one sample consists of: spans to fetch and the target. Made from metadata alone."""

    spans: tuple[Span, ...]
    target: Mapping[str, Number | tuple[Number, ...]] = field(default_factory=dict)
    """Numbers that the transform or the loss needs, for example {"label": 1}."""


@dataclass(frozen=True, kw_only=True)
class Clip:
    """One fetched span: frames or sound (exactly one of them)."""

    frames: NDArray[np.uint8] | None = None
    """uint8 [T, 3, H, W], RGB, upright."""
    times_s: NDArray[np.float64] | None = None
    """float64 [T], presentation times of the frames that were found."""
    sound: Sound | None = None

    def __post_init__(self) -> None:
        if (self.frames is None) == (self.sound is None):
            raise ValueError("a Clip holds either frames or sound")
        if self.frames is not None and (
            self.frames.ndim != 4 or self.frames.shape[1] != 3 or self.frames.dtype != np.uint8
        ):
            raise ValueError(f"frames must be uint8 [T, 3, H, W], got {_shape(self.frames)}")

    def __repr__(self) -> str:
        if self.frames is not None:
            return f"Clip(frames={_shape(self.frames)})"
        return f"Clip(sound={self.sound!r})"


@dataclass(frozen=True, kw_only=True)
class Example:
    """What the network may see of one sample: named arrays of fixed shape, stacked into batches.

    uint8 stays uint8: floats are made on the device.
    """

    arrays: Mapping[str, NDArray[Any]]

    def __repr__(self) -> str:
        inside = ", ".join(f"{name}={_shape(array)}" for name, array in self.arrays.items())
        return f"Example({inside})"


@dataclass(frozen=True, kw_only=True)
class Step:
    """The result of one forward pass: the loss and what is to be reported about it."""

    loss: Any
    """Tensor [], with gradient."""
    sums: Mapping[str, Any]
    """name → tensor float64 [2]: (sum, count) on the device, so means are right for any batch size,
    accumulation and number of processes."""


@dataclass(frozen=True, kw_only=True)
class Shortcut:
    """One way in which a network could solve a task without learning what the task is for."""

    name: str
    kind: str
    """"bookkeeping" (times, grid phase, borders, format) or "content" (what the pixels tell)."""
    leak: str
    """How a network could cheat, in one sentence."""
    guard: str
    """What stops it, in one sentence."""
    probe: Any
    """callable(plan, example) → float [k]: cheap numbers that would show the leak. [m, k] where one
    sample asks m questions at once; `answer` then gives m answers."""
    off: Mapping[str, Any] = field(default_factory=dict)
    """Field values of the task that switch the guard off."""
    closes: Mapping[str, Any] = field(default_factory=dict)
    """Field values that switch it on, where the task's defaults leave it off."""
    answer: Any = None
    """callable(plan, example) → what the probe must not tell: a whole number names a class, a float
    is a size (the audit asks whether it is above its median). None: `plan.target["label"]`. Where a
    sample asks several questions and the probe looks at one, `plan.target["asked"]` says which."""
    cut_share: float = 0.0
    """"content" only: the share of (AUC − ½) that the guard is said to take away; 0 says none."""
    one_clip: bool = False
    """The numbers are of one clip alone, also where a sample is a pair, and answers are drawn anew
    for every sample: probes may then be judged on other samples of the clips they were fitted to,
    so that a leak of one recording counts too. Where samples are of one clip it is found out."""

    def __post_init__(self) -> None:
        if self.kind not in ("bookkeeping", "content"):
            raise ValueError(f"kind must be 'bookkeeping' or 'content', got {self.kind!r}")
        if not 0 <= self.cut_share <= 1:
            raise ValueError(f"cut_share must be from 0 to 1, got {self.cut_share!r}")
