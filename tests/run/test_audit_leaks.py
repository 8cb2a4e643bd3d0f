"""Planted leaks, met by the tasks: with its guard off a task gives its answer away on them, with it
on it does not, or less.

Clips in memory, made in `planted.py`: on clean ones nothing tells anything.
"""

import dataclasses
import importlib.util
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from avssl.catalog import Catalog, ClipRow
from avssl.pretext.arrow_of_time import ArrowOfTime
from avssl.pretext.audio_visual_correspondence import AudioVisualCorrespondence
from avssl.pretext.clip_order import ClipOrder
from avssl.pretext.colorization import Colorization
from avssl.pretext.frame_contrast import FrameContrast
from avssl.pretext.frame_fill_in import FrameFillIn
from avssl.pretext.inpainting import Inpainting
from avssl.pretext.jigsaw import Jigsaw
from avssl.pretext.masked_autoencoding import MaskedAutoencoding
from avssl.pretext.odd_one_out import OddOneOut
from avssl.pretext.reconstruction import Reconstruction
from avssl.pretext.relative_position import RelativePosition
from avssl.pretext.rotation import Rotation
from avssl.pretext.shuffle_and_learn import ShuffleAndLearn
from avssl.pretext.tracking import Tracking
from avssl.pretext.tracking_by_colorization import TrackingByColorization
from avssl.records import Clip, Sound
from avssl.run.audit_probes import classes_of, judge
from avssl.run.audit_samples import draw

_SPEC = importlib.util.spec_from_file_location("planted", Path(__file__).with_name("planted.py"))
assert _SPEC and _SPEC.loader
planted = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(planted)

Plant = Callable[..., Catalog]
PLAIN = planted.PLAIN
STILL = {"brightness": 0.0, "contrast": 0.0, "saturation": 0.0}
WIDE = {"crop_scale": (0.9, 1.0)}
EVERY = np.arange(planted.NUM_FRAMES)
"""Key frames: then a step is as long as it is asked for."""
PLAYED = {**PLAIN, "step_s": 0.3}
NEAR = {**PLAIN, "step_s": 0.1, "match_gop_phase": False}
TRIPLETS = {**PLAIN, "tau_max_s": 1.6, "tau_min_s": 0.4}
NINE = {"size_px": 48, "patch_px": 13, "gap_px": 3, **STILL}
PAIR = {"size_px": 60, "patch_px": 16, "gap_px": 4, **STILL}
TWO = {"size_px": 48, "patch_px": 20, "num_frames": 2}
POINT = {"size_px": 32, "answer_px": 4, **STILL}
MILD = {"size_px": 32, "grey_probability": 0.0, "brightness": 0.1, "contrast": 0.1,
        "saturation": 0.1}  # fmt: skip
HELD_OUT = {"split": "validation"}
BARS = {"borders_px": planted.bars_of}
REPEATS = {"repeated_frames": planted.repeats_of}
CUTS = {"cuts_s": planted.cuts_of}

# leak, task, shortcut, fields of the rows, how it is checked (what is left: share of AUC - 1/2)
CASES: list[tuple[str, Any, str, dict[str, Any], dict[str, Any]]] = [
    ("bars", Rotation(**PLAIN), "letterbox", BARS, {}),
    ("bars", Jigsaw(**NINE), "letterbox", BARS, {}),
    ("bars", RelativePosition(**PAIR), "letterbox", BARS, {}),
    ("bars", Colorization(**PLAIN), "letterbox", BARS, {}),
    ("bars", Inpainting(**PLAIN), "letterbox", BARS, {}),
    ("bars", MaskedAutoencoding(**PLAIN, patch_px=4), "letterbox", BARS, {"num_judged": 800}),
    ("bars", Reconstruction(**PLAIN), "letterbox", BARS, {}),
    ("bars", Tracking(**TWO, grid=3, rate_hz=5.0), "letterbox", BARS, {"num_judged": 800}),
    ("bars", Tracking(**TWO, mode="ranking", rate_hz=5.0), "letterbox", BARS, {}),
    ("bars", FrameContrast(**MILD), "letterbox", {**BARS, **HELD_OUT}, {}),
    ("ramp", ShuffleAndLearn(**TRIPLETS), "brightness ramp", {}, {"brightness": 0.9}),
    ("ramp", ArrowOfTime(**PLAYED), "brightness ramp", {"key_frames": EVERY}, {"brightness": 0.9}),
    ("ramp", OddOneOut(**PLAYED), "brightness ramp", {"key_frames": EVERY}, {"brightness": 0.9}),
    ("ramp", ClipOrder(**PLAYED), "brightness ramp", {"key_frames": EVERY}, {"brightness": 0.9}),
    ("ramp", FrameFillIn(**PLAYED), "brightness ramp", {"key_frames": EVERY}, {"brightness": 0.9}),
    ("counter", ShuffleAndLearn(**TRIPLETS, **WIDE), "overlay", {}, {}),
    ("counter", ArrowOfTime(**PLAYED, **WIDE, num_frames=3), "overlay", {}, {}),
    ("counter", OddOneOut(**PLAYED, **WIDE), "overlay", {}, {}),
    ("counter", ClipOrder(**PLAYED, **WIDE), "overlay", {}, {}),
    ("counter", FrameFillIn(**PLAYED, **WIDE), "overlay", {}, {}),
    ("logo", Rotation(**PLAIN, **WIDE, flip=False), "overlay", {}, {}),
    ("logo", Jigsaw(**NINE, **WIDE, flip=False), "overlay", {}, {}),
    ("logo", FrameContrast(**MILD, **WIDE), "overlay", HELD_OUT, {}),
    ("stills", ShuffleAndLearn(**{**TRIPLETS, "tau_min_s": 0.1}, reach=1.0), "repeated pictures",
     REPEATS, {}),
    ("stills", OddOneOut(**NEAR, disjoint=True), "repeated pictures", REPEATS, {}),
    ("stills", ClipOrder(**NEAR), "repeated pictures", REPEATS, {}),
    ("stills", FrameFillIn(**NEAR), "repeated pictures", REPEATS, {}),
    ("stills", Tracking(**TWO, grid=3, rate_hz=5.0), "repeated pictures",
     {"motion": planted.motion_of}, {"left": 0.5}),
    ("stills", TrackingByColorization(**POINT, num_frames=3, rate_hz=5.0), "repeated pictures",
     {"motion": planted.motion_of}, {}),
    # a cut that comes back after less than a window is no clip to draw from
    ("cuts", ShuffleAndLearn(**{**PLAIN, "tau_max_s": 0.8, "tau_min_s": 1.0}, reach=1.3),
     "shot cut", CUTS, {}),
    ("cuts", OddOneOut(**PLAYED), "shot cut", CUTS, {}),
    ("cuts", ClipOrder(**PLAYED), "shot cut", CUTS, {"num_judged": 800}),
    ("cuts", FrameFillIn(**{**PLAYED, "step_s": 0.2}), "shot cut", {**CUTS, "key_frames": EVERY},
     {}),
    ("cuts", Tracking(**TWO, grid=3, rate_hz=1.0), "shot cut", CUTS, {}),
    # what is left: light that changes tells whether a colour stays, also without a cut
    ("cuts", TrackingByColorization(**POINT, num_frames=2, rate_hz=1.0), "shot cut", CUTS,
     {"left": 0.7}),
    ("chromatic", Jigsaw(**NINE, **WIDE), "colours bent by the lens", {}, {"left": 0.4}),
    ("chromatic", RelativePosition(**PAIR, **WIDE), "colours bent by the lens", {}, {}),
    ("chromatic", Colorization(**PLAIN), "colour fringes", {"read": planted.half_planted},
     {"num_judged": 1500, "left": 0.7}),
    # slopes of light are left inside the patches
    ("vignette", Jigsaw(**NINE, **WIDE), "light that falls off", {}, {"left": 0.8}),
    ("vignette", RelativePosition(**PAIR, **WIDE), "light that falls off", {}, {"left": 0.8}),
    ("blocks", Rotation(**{**PLAIN, "size_px": 48}, flip=False), "block phase", {}, {}),
    ("blocks", Colorization(**{**PLAIN, "size_px": 48}), "block edges",
     {"read": planted.half_planted}, {"num_judged": 800, "left": 0.6}),
    ("loudness", AudioVisualCorrespondence(size_px=32, **STILL), "loudness", {}, {}),
    ("format", FrameContrast(**MILD), "file size",
     {"read": planted.encoded, "fps": 25.0, **HELD_OUT}, {}),
    ("key-frames", ArrowOfTime(**{**PLAIN, "step_s": 0.4}, num_frames=2), "GOP phase",
     {"read": planted.encoded, "fps": 25.0, "key_frames": np.array([0, 50, 100])}, {}),
    # what is left: the first group of pictures is written better than the next
    ("key-frames", ArrowOfTime(**{**PLAIN, "step_s": 0.4}, num_frames=2), "sharpness ramp",
     {"read": planted.encoded, "fps": 25.0, "key_frames": np.array([0, 50, 100])}, {"left": 0.5}),
]  # fmt: skip


@pytest.fixture
def plant(make_row: Callable[..., ClipRow], monkeypatch: pytest.MonkeyPatch) -> Plant:
    """Gives the catalogue of the clips with a leak, as a preparation would have measured them."""
    return planted.planter(make_row, monkeypatch)


@pytest.mark.parametrize(
    ("leak", "task", "name", "fields", "how"),
    CASES,
    ids=[f"{leak}-{task.name}-{name}" for leak, task, name, _, _ in CASES],
)
def test_a_leak_tells_the_answer_and_the_guard_takes_it_away(
    leak: str, task: Any, name: str, fields: dict[str, Any], how: dict[str, Any], plant: Plant
) -> None:
    planted.check(task, name, plant(leak, **fields), **how)


def test_every_leak_is_met_by_a_task() -> None:
    from avssl.world.leaks import LEAKS

    assert {leak for leak, *_ in CASES} == set(LEAKS)


def test_clips_that_fade_in_and_out(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    """Dark and quiet at both ends: the beginning of a picture goes with the swelling of a sound."""
    noise = planted.Memory.sound

    def faded(self: Any, row: ClipRow, start_s: float, duration_s: float, rate_hz: int) -> Clip:
        sound = noise(self, row, start_s, duration_s, rate_hz).sound
        at_s = start_s + np.arange(sound.samples.shape[1]) / rate_hz
        samples = sound.samples * np.sin(np.pi * at_s / row.duration_s).astype(np.float32) ** 2
        return Clip(sound=Sound(samples=samples, rate_hz=rate_hz, start_s=start_s))

    def dark(leak: str, number: int) -> np.ndarray:
        level = np.sin(np.pi * (np.arange(planted.NUM_FRAMES) + 0.5) / planted.NUM_FRAMES)
        return (planted.frames_of("", number) * level[:, None, None, None]).astype(np.uint8)

    monkeypatch.setattr(planted.Memory, "sound", faded)
    task = AudioVisualCorrespondence(size_px=32, **STILL)
    catalog = plant("", read=dark)
    planted.check(task, "beginnings and ends", catalog)
    # what the plans say of the sound alone tells nothing, unless it is drawn from elsewhere
    planted.check(task, "place in the file", catalog, num_judged=1500)


def _clean() -> Iterator[tuple[Any, list[str]]]:
    """What tells nothing where nothing is planted; differences of pictures and the like may."""
    yield Rotation(**PLAIN), ["letterbox", "traces of turning", "overlay"]
    yield Jigsaw(**NINE), ["letterbox", "overlay", "colours bent by the lens"]
    yield RelativePosition(**PAIR), ["letterbox", "colours bent by the lens"]
    names = ["overlay", "brightness ramp", "frame difference"]
    for kind in (ArrowOfTime, ClipOrder, FrameFillIn):
        yield kind(**PLAYED), [*names, "repeated pictures", "shot cut"]
    yield OddOneOut(**PLAYED, disjoint=True), [*names, "repeated pictures", "shared pictures"]
    yield ShuffleAndLearn(**TRIPLETS), [*names, "repeated pictures", "shot cut"]
    yield Tracking(**TWO, grid=3), ["letterbox"]
    yield Tracking(**TWO, mode="ranking"), ["letterbox"]


@pytest.mark.parametrize(("task", "names"), list(_clean()), ids=[one.name for one, _ in _clean()])
def test_clean_clips_give_nothing_away(task: Any, names: list[str], plant: Plant) -> None:
    """Else the tests above would show no more than the noise."""
    shortcuts = [one for one in task.shortcuts if one.name in names]
    assert len(shortcuts) == len(names)
    num_judged, num_fit = 600, 300
    drawn = draw(task, plant(""), shortcuts=shortcuts, num_samples=num_judged + num_fit)
    for one, found in zip(shortcuts, drawn, strict=True):
        judged = judge(classes_of(found.answers), found.numbers, num_fit=num_fit)
        assert judged.best - 0.5 < planted.COUNTS * judged.error + 1e-9, (one.name, judged.best)


@pytest.mark.slow
def test_a_world_with_leaks_from_the_command_line(tmp_path: Path) -> None:
    """Made, prepared, audited: bars are measured and kept out, of a ramp it says what closes it."""
    import json

    from avssl.cli import main
    from avssl.prepare import PrepareSettings, prepare
    from avssl.world import make_world

    world, data = tmp_path / "world", tmp_path / "data"
    make_world(world, num_train=16, num_validation=1, num_test=1, seed=1, short_side_px=64,
               duration_s=1.5, leaks=["ramp", "bars"], workers=1, quiet=True)  # fmt: skip
    prepare(world, data, settings=PrepareSettings(short_side_px=64, gop=1), quiet=True)
    rows: dict[str, dict[str, Any]] = {}
    for task in ("arrow-of-time", "rotation"):
        out = tmp_path / f"{task}.json"
        words = ["--data", str(data), "--samples", "400", "--task.size-px", "32"]
        words += ["--task.crop-scale", "0.9", "1.0", "-o", str(out), "--no-media", "--quiet"]
        # bookkeeping tells nothing; of the planted ramp, far steeper than what `brightness` can do,
        # the guard cuts less than it states
        assert main(["audit", task, *words]) == (task == "arrow-of-time")
        rows[task] = {row["name"]: row for row in json.loads(out.read_text())["rows"]}
    ramp, bars = rows["arrow-of-time"]["brightness ramp"], rows["rotation"]["letterbox"]
    assert ramp["leaks"] and ramp["on"]["linear_auc"] > 0.8
    assert ramp["closed"]["linear_auc"] < ramp["on"]["linear_auc"] - 0.1
    assert ramp["advice"].startswith("set --task.color-per-frame")
    assert ramp["cut"]["short"] and ramp["fails"]
    assert not any(row["fails"] for one in rows.values() for row in one.values() if row is not ramp)
    assert not bars["leaks"] and max(bars["off"]["linear_auc"], bars["off"]["small_auc"]) > 0.6


def test_other_fields_than_the_guards_are_left_as_they_are() -> None:
    """A case that was set so that its guard is on already would show nothing."""
    for _, task, name, _, _ in CASES:
        shortcut = planted.shortcut_of(task, name)
        assert dataclasses.replace(task, **shortcut.off) != dataclasses.replace(
            task, **shortcut.closes
        )
