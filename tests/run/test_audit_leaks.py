"""Planted leaks: with its guard off a task gives its answer away on them, with it on it does not.

Clips in memory: every frame is its own cloud of soft noise, so that on clean clips nothing tells
anything, and whatever is told was planted by `avssl.world.leaks`.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import cv2
import numpy as np
import pytest

from avssl.catalog import Catalog, ClipRow
from avssl.pretext.audio_visual_correspondence import AudioVisualCorrespondence
from avssl.pretext.reconstruction import Reconstruction
from avssl.pretext.shuffle_and_learn import ShuffleAndLearn
from avssl.records import Clip, Example, Plan, Shortcut, Sound
from avssl.run import audit_samples
from avssl.run.audit_probes import Judged, classes_of, judge
from avssl.run.audit_samples import draw
from avssl.transform import patches
from avssl.transform.stills import StillKnobs
from avssl.world.leaks import leak_frames, leak_sound

NUM_CLIPS, NUM_FRAMES, FPS, SIDE_PX = 24, 60, 10.0, 48
NUM_JUDGED = 400
PLAIN: dict[str, Any] = {"size_px": 32, "brightness": 0.0, "contrast": 0.0, "saturation": 0.0}
TRIPLETS: dict[str, Any] = {**PLAIN, "tau_max_s": 1.6, "tau_min_s": 0.4}


def rng_of(number: int) -> Callable[[str], np.random.Generator]:
    return lambda name: np.random.default_rng([number, len(name)])


@functools.cache
def frames_of(leak: str, number: int) -> np.ndarray:
    """All frames of a clip, uint8 [T, H, W, 3]."""
    rng = np.random.default_rng(number)
    size = (NUM_FRAMES, SIDE_PX, SIDE_PX)
    noise = rng.normal(size=(*size, 1)) + 0.4 * rng.normal(size=(*size, 3))
    if leak == "cuts":  # what stays the same within a shot
        noise = rng.normal(size=(1, *size[1:], 3)) + 0.2 * noise
    noise = noise.astype(np.float32)
    soft = np.stack([cv2.GaussianBlur(one, (0, 0), 1.5) for one in noise])
    clean = np.clip(110 + 130 * soft, 0, 255).astype(np.uint8)
    names = (leak,) if leak else ()
    return np.stack(list(leak_frames(names, clean, num_frames=NUM_FRAMES, rng_of=rng_of(number))))


class Memory:
    """Stands for the files of a data set."""

    leak = ""

    def __init__(self, directory: Any) -> None:
        pass

    def frames(self, row: ClipRow, times_s: Any) -> Clip:
        found = np.searchsorted(row.frame_times_s, times_s, side="right") - 1
        frames = frames_of(self.leak, int(row.clip_id[-4:]))[found].transpose(0, 3, 1, 2)
        return Clip(frames=np.ascontiguousarray(frames), times_s=row.frame_times_s[found])

    def sound(self, row: ClipRow, start_s: float, duration_s: float, rate_hz: int) -> Clip:
        number = int(row.clip_id[-4:])
        rng = np.random.default_rng([number, round(1000 * start_s)])
        samples = rng.normal(0, 0.1, (1, round(duration_s * rate_hz))).astype(np.float32)
        names = (self.leak,) if self.leak else ()
        leaked = leak_sound(names, samples, rng_of=rng_of(number))
        return Clip(sound=Sound(samples=leaked, rate_hz=rate_hz, start_s=start_s))

    def close(self) -> None:
        pass


@pytest.fixture
def plant(
    make_row: Callable[..., ClipRow], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Catalog]:
    """Gives the catalogue of the clips with a leak, as a preparation would have measured them."""

    def planted(leak: str, **changes: Any) -> Catalog:
        monkeypatch.setattr(Memory, "leak", leak)
        monkeypatch.setattr(audit_samples, "Fetcher", Memory)
        rows = []
        for number in range(NUM_CLIPS):
            measured = {key: value(frames_of(leak, number)) for key, value in changes.items()}
            size = {"num_frames": NUM_FRAMES, "width_px": SIDE_PX, "height_px": SIDE_PX}
            rows.append(make_row(number=number, fps=FPS, **size, **measured))
        return Catalog.from_rows(rows)

    return planted


def told(task: Any, shortcut: Shortcut, catalog: Catalog) -> Judged:
    num_fit = NUM_JUDGED // 2
    (found,) = draw(task, catalog, shortcuts=[shortcut], num_samples=NUM_JUDGED + num_fit)
    return judge(classes_of(found.answers), found.numbers, num_fit=num_fit)


def check(task: Any, name: str, catalog: Catalog, *, left: float = 0.0, **guarded: Any) -> None:
    """With the guard off the probe beats chance, with it on (`guarded` on top) it does not.

    `left`: of (AUC − ½), where pixels tell something without any leak.
    """
    import dataclasses

    (shortcut,) = (one for one in task.shortcuts if one.name == name)
    off = told(dataclasses.replace(task, **shortcut.off), shortcut, catalog)
    closed = dataclasses.replace(task, **{**shortcut.closes, **guarded})
    on = told(closed, shortcut, catalog)
    assert off.best - 0.5 > 3.5 * off.error, (off.best, off.error)
    assert on.best - 0.5 < 3.5 * on.error + 1e-9 + left * (off.best - 0.5), (on.best, on.error)


def bars_of(frames: np.ndarray) -> tuple[int, int, int, int]:
    """Rows and columns that are black in every frame: left, top, right, bottom."""
    lit = frames.max(axis=(0, 3)) > 0
    columns, rows = np.flatnonzero(lit.any(axis=0)), np.flatnonzero(lit.any(axis=1))
    ends = SIDE_PX - 1
    return int(columns[0]), int(rows[0]), int(ends - columns[-1]), int(ends - rows[-1])


def repeats_of(frames: np.ndarray) -> np.ndarray:
    return 1 + np.flatnonzero((frames[1:] == frames[:-1]).all(axis=(1, 2, 3)))


def cuts_of(frames: np.ndarray) -> np.ndarray:
    """Times at which the mean level jumps to its opposite (110 ↔ 145)."""
    level = frames.mean(axis=(1, 2, 3)) > 127
    return (1 + np.flatnonzero(level[1:] != level[:-1])) / FPS


def test_bars(plant: Callable[..., Catalog]) -> None:
    check(Reconstruction(**PLAIN), "still bars", plant("bars", borders_px=bars_of), left=0.3)


def test_ramp(plant: Callable[..., Catalog]) -> None:
    task = ShuffleAndLearn(**TRIPLETS)
    check(task, "brightness ramp", plant("ramp"), brightness=0.9)


def test_counter(plant: Callable[..., Catalog]) -> None:
    check(ShuffleAndLearn(**TRIPLETS, crop_scale=(0.9, 1.0)), "overlay", plant("counter"))


def test_stills(plant: Callable[..., Catalog]) -> None:
    catalog = plant("stills", repeated_frames=repeats_of)
    near = {**TRIPLETS, "tau_max_s": 1.6, "tau_min_s": 0.1, "reach": 1.0}
    check(ShuffleAndLearn(**near), "repeated pictures", catalog)


def test_cuts(plant: Callable[..., Catalog]) -> None:
    # a cut that comes back after less than a window is no clip to draw from
    catalog = plant("cuts", cuts_s=cuts_of)
    check(
        ShuffleAndLearn(**{**TRIPLETS, "tau_max_s": 0.8, "tau_min_s": 1.0}, reach=1.3),
        "shot cut",
        catalog,
    )


def test_loudness(plant: Callable[..., Catalog]) -> None:
    task = AudioVisualCorrespondence(size_px=32, brightness=0.0, contrast=0.0, saturation=0.0)
    check(task, "loudness", plant("loudness"))


def corner(plan: Plan, example: Example) -> np.ndarray:
    return example.arrays["frames"][:, -3:, -3:].mean(axis=(1, 2))


@dataclass(frozen=True, kw_only=True)
class Which(StillKnobs):
    """Which of the clips is it?"""

    name: ClassVar[str] = "which"
    shortcuts: ClassVar[tuple[Shortcut, ...]] = (
        Shortcut(
            name="logo",
            kind="bookkeeping",
            leak="A mark in the corner names the file.",
            guard="`margin` leaves the edges out.",
            probe=corner,
            off={"margin": 0.0},
            closes={"margin": 0.2},
            answer=lambda plan, example: plan.spans[0].row % 2,
        ),
    )

    def sample(self, catalog: Catalog, index: int, rng: np.random.Generator) -> Plan:
        return self.still(catalog, index, rng)

    def transform(self, clips: Any, plan: Plan, rng: np.random.Generator) -> Example:
        return Example(arrays={"frames": self.picture(clips, plan, rng)})


def test_logo(plant: Callable[..., Catalog]) -> None:
    check(Which(**PLAIN, crop_scale=(1.0, 1.0), flip=False), "logo", plant("logo"))


def shift_of_colors(plan: Plan, example: Example) -> np.ndarray:
    """How much better red fits blue one pixel to the right than to the left, and down than up."""
    red, _, blue = example.arrays["frames"].astype(float)
    return np.array(
        [
            np.mean(np.abs(red - np.roll(blue, 1, axis)) - np.abs(red - np.roll(blue, -1, axis)))
            for axis in (0, 1)
        ]
    )


def level(plan: Plan, example: Example) -> np.ndarray:
    return np.array([example.arrays["frames"].mean(), example.arrays["frames"].std()])


def lattice(plan: Plan, example: Example) -> np.ndarray:
    """Mean step from column to column, by the column's place of eight."""
    steps = np.abs(np.diff(example.arrays["frames"].astype(float), axis=2)).mean(axis=(0, 1))
    return np.array([steps[k::8].mean() for k in range(8)])


def where(plan: Plan, example: Example) -> int:
    return int(plan.target["place"])  # type: ignore[arg-type]


@dataclass(frozen=True, kw_only=True)
class Where(StillKnobs):
    """Where in the picture was this patch?"""

    name: ClassVar[str] = "where"
    shortcuts: ClassVar[tuple[Shortcut, ...]] = (
        Shortcut(name="lens", kind="bookkeeping", leak="Red is shifted against blue.",
                 guard="Color dropping.", probe=shift_of_colors, off={"drop": False},
                 closes={"drop": True}, answer=where),
        Shortcut(name="dark corners", kind="bookkeeping", leak="Corners are darker.",
                 guard="Each patch has mean and deviation of its own.", probe=level,
                 off={"even": False}, closes={"even": True}, answer=where),
        Shortcut(name="lattice", kind="bookkeeping", leak="Blocks lie on a lattice.",
                 guard="Patches are scaled.", probe=lattice, off={"scaled": False},
                 closes={"scaled": True},
                 answer=lambda plan, example: int(plan.target["left"]) % 8 // 4),  # type: ignore[arg-type]
    )  # fmt: skip
    drop: bool = False
    even: bool = False
    scaled: bool = False

    def sample(self, catalog: Catalog, index: int, rng: np.random.Generator) -> Plan:
        place, moved = int(rng.integers(3)), [int(value) for value in rng.integers(0, 8, 2)]
        far = SIDE_PX - 24
        top, left = ((0, 0), (far - 8, far - 8), (far // 2 - 4, far // 2 - 4))[place]
        target = {"place": place, "top": top + moved[0], "left": left + moved[1]}
        return self.still(catalog, index, rng, target=target)

    def transform(self, clips: Any, plan: Plan, rng: np.random.Generator) -> Example:
        picture, target = clips[0].frames[0], plan.target
        corners = np.array([[target["top"], target["left"]]])
        patch = patches.cut(picture, corners, patch_px=24)
        if self.drop:
            patch = patches.keep_one_channel(patch, rng)
        if self.even:
            values = (patch - patch.mean()) / patch.std()
            patch = np.clip(128 + 40 * values, 0, 255).astype(np.uint8)
        if self.scaled:
            part = int(rng.integers(12, 18))
            start = int(rng.integers(0, 25 - part))
            cut = patch[0, :, start : start + part, start : start + part].transpose(1, 2, 0)
            patch = cv2.resize(cut, (24, 24)).transpose(2, 0, 1)[None]
        return Example(arrays={"frames": np.ascontiguousarray(patch[0])})


@pytest.mark.parametrize(
    ("leak", "name"), [("chromatic", "lens"), ("vignette", "dark corners"), ("blocks", "lattice")]
)
def test_where_a_patch_was(leak: str, name: str, plant: Callable[..., Catalog]) -> None:
    check(Where(), name, plant(leak))


def test_clean_clips_give_nothing_away(plant: Callable[..., Catalog]) -> None:
    """Else the tests above would show no more than the noise."""
    catalog = plant("")
    names = ("overlay", "brightness ramp", "repeated pictures", "shot cut")
    probed = {
        Where(): Where.shortcuts,
        ShuffleAndLearn(**TRIPLETS): [o for o in ShuffleAndLearn.shortcuts if o.name in names],
    }
    num_fit = NUM_JUDGED // 2
    for task, shortcuts in probed.items():
        drawn = draw(task, catalog, shortcuts=shortcuts, num_samples=NUM_JUDGED + num_fit)
        for one, found in zip(shortcuts, drawn, strict=True):
            judged = judge(classes_of(found.answers), found.numbers, num_fit=num_fit)
            assert judged.best - 0.5 < 3.5 * judged.error + 1e-9, one.name
