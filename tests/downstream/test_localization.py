"""Judging a localizer that knows the answer, one that looks only, and one that knows nothing."""

import dataclasses
import importlib.util
import json
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from avssl.catalog import Catalog
from avssl.downstream.localization import judge, table
from avssl.downstream.localizer import Localizer, ObjectPrior, spread_odds
from avssl.errors import InputError
from avssl.labels.sounding import moments_of
from avssl.prepare import PrepareSettings, prepare
from avssl.transform.audio_visual import AudioVisualPairs

TONES_HZ = {"lamp": 1000.0, "siren": 3000.0}
PLACES = {"lamp": (66, 16, 90, 40), "siren": (6, 16, 30, 40)}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Knows(AudioVisualPairs):
    """Red plays 1 kHz, blue 3 kHz."""

    name: ClassVar[str] = "knows"
    size_px: int = 64
    listens: bool = True
    """Off: it looks for red, whatever it hears."""

    def locate(self, encoders: Any, head: Any, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        frames = batch["frames"].float() / 255
        frames = torch.nn.functional.avg_pool2d(frames, 8)
        red, blue = frames[:, 0] - frames[:, 2], frames[:, 2] - frames[:, 0]
        if not self.listens:
            return 12 * red - 3

        def tone(hz: float) -> torch.Tensor:
            at_s = torch.arange(batch["sound"].shape[1]) / self.rate_hz
            turned = batch["sound"] * torch.exp(-2j * torch.pi * hz * at_s)
            return (turned.mean(1).abs() / (batch["sound"].abs().mean(1) + 1e-9))[:, None, None]

        return 12 * (tone(1000.0) * red + tone(3000.0) * blue) - 3


@pytest.fixture(scope="module")
def catalog(tmp_path_factory) -> Catalog:
    """Four clips: the red lamp beeps in two, the blue siren in two; both are always in view."""
    spec = importlib.util.spec_from_file_location(
        "prepare_tools", Path(__file__).parent.parent / "prepare" / "conftest.py"
    )
    assert spec and spec.loader
    tools = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tools)
    root = tmp_path_factory.mktemp("lamps")
    at_s = np.arange(2 * 48_000) / 48_000
    for number, kind in enumerate(("lamp", "lamp", "siren", "siren")):
        rng = np.random.default_rng(number)
        picture = rng.integers(40, 80, (64, 96, 1)).repeat(3, axis=2).astype(np.uint8)
        for name, color in (("lamp", (250, 30, 30)), ("siren", (30, 30, 250))):
            x0, y0, x1, y1 = PLACES[name]
            picture[y0:y1, x0:x1] = color
        sound = 0.3 * np.sin(2 * np.pi * TONES_HZ[kind] * at_s)
        tools.write_video(
            root / "src" / f"{number}_{kind}.mkv",
            [np.roll(picture, k % 2, axis=0) for k in range(50)],
            sound=sound.astype(np.float32),
        )
    settings = PrepareSettings(short_side_px=64, gop=1)
    prepare(root / "src", root / "set", settings=settings, quiet=True)
    rows = []
    for row in Catalog.read(root / "set").rows():
        kind = row.source.split("_")[1].removesuffix(".mkv")
        other = "siren" if kind == "lamp" else "lamp"
        # the world's form of truth
        things = [
            {"kind": name, "sounding": name == kind, "boxes_px": [list(PLACES[name])] * 50}
            for name in (kind, other)
        ]
        labels = {"world_version": 1, "width_px": 96, "height_px": 64, "things": things,
                  "people": [], "sound_kind": kind}  # fmt: skip
        rows.append(dataclasses.replace(row, labels=labels, split="test"))
    return Catalog.from_rows(rows, directory=root / "set")


def judged(catalog: Catalog, task: Knows) -> dict[str, Any]:
    where = Localizer(task, {}, torch.nn.Linear(1, 1))
    return judge(where, catalog, rng=np.random.default_rng(0), per_clip=2).summary()


def test_who_knows_is_right_and_follows_the_sound(catalog: Catalog) -> None:
    found = judged(catalog, Knows(sound_s=0.5))
    rows = found["rows"]
    assert found["num_moments"] == 8 and next(iter(rows)) == "network"
    assert rows["network"]["hit_rate"] == rows["oracle"]["hit_rate"] == 1.0
    assert rows["network"]["mean_adaptive_ciou"] > 0.6 > rows["centred disc"]["mean_adaptive_ciou"]
    assert found["swapped"] == {"num": 8, "onto_the_other": 1.0, "on_the_source_before": 1.0}
    assert found["silent_strength"] < 0.1 < 0.9 < found["strength"]
    assert found["two or more candidates"]["num_moments"] == 8
    assert found["off_centre_share"] == 1.0
    json.dumps(found, allow_nan=False)
    shown = table(found)
    assert "| image prior |" in shown and "on that thing in 100.0%" in shown


def test_who_only_looks_is_right_by_half_and_does_not_follow(catalog: Catalog) -> None:
    found = judged(catalog, Knows(sound_s=0.5, listens=False))
    assert found["rows"]["network"]["hit_rate"] == 0.5
    for figure, value in found["rows"]["network"].items():  # it is its own image prior
        assert found["rows"]["image prior"][figure] == pytest.approx(value, abs=1e-6)
    assert found["swapped"]["onto_the_other"] == 0.5  # red is the other in half of the clips


class Brightness(torch.nn.Module):
    """Maps that are plus and minus the brightness: their mean is 0, that of their sizes is not."""

    layers: ClassVar[dict[str, tuple[int, int]]] = {"res2": (1, 1), "res5": (2, 1)}

    def features(self, frames: torch.Tensor) -> dict[str, torch.Tensor]:
        light = frames.float().mean(dim=1, keepdim=True)
        return {"res2": 0 * light, "res5": torch.cat([light, -light], dim=1)}


def test_the_object_prior_is_the_mean_size_of_the_last_maps() -> None:
    prior = ObjectPrior(Brightness(), size_px=2, weight=0.6)
    frame = np.arange(12, dtype=np.uint8).reshape(3, 2, 2)
    np.testing.assert_allclose(prior(frame), [[4, 5], [6, 7]])
    # maps of one value each: enlarging changes nothing
    found, seen = np.zeros((224, 224)), np.zeros((224, 224))
    found[0, 0], found[0, 1], seen[0, 1] = 8.0, -8.0, 5.0
    joined = prior.joined(found, seen)
    assert joined[0, 0] == pytest.approx(0.4)
    assert joined[0, 1] == pytest.approx(0.6)
    assert joined[5, 5] == pytest.approx(0.2)  # half-way from -8 to 8
    assert np.all(prior.joined(np.ones((2, 2)), np.ones((2, 2))) == 0)  # constant maps say nothing
    with pytest.raises(InputError, match="object weight"):
        ObjectPrior(Brightness(), size_px=2, weight=1.5)


def test_the_object_prior_has_rows_of_its_own(catalog: Catalog) -> None:
    where = Localizer(Knows(sound_s=0.5), {}, torch.nn.Linear(1, 1))
    found = judge(
        where,
        catalog,
        rng=np.random.default_rng(0),
        per_clip=1,
        objects=ObjectPrior(Brightness(), size_px=64, weight=0.0),
    ).summary()["rows"]
    assert found["with object prior"]["hit_rate"] == found["network"]["hit_rate"] == 1.0
    assert found["object prior"]["hit_rate"] < 1.0


def test_annotated_moments_and_rows_without_truth(catalog: Catalog, make_row) -> None:
    told = {"time_s": 1.5, "class": "dog", "boxes": [[0, 0, 0.5, 0.5]],
            "annotators": [[[0, 0, 0.5, 0.5]], [[0.2, 0, 0.5, 0.5]]]}  # fmt: skip
    row = make_row(labels={"sounding": told})
    (moment,) = moments_of(4, row, times_s=[0.1, 0.2])
    assert (moment.row, moment.time_s, moment.name) == (4, 1.5, "dog")
    assert moment.boxes == ((0, 0, 0.5, 0.5),) and len(moment.annotators) == 2
    assert not moments_of(0, make_row(), times_s=[0.1])
    plain = Catalog.from_rows([make_row()])
    where = Localizer(Knows(), {}, torch.nn.Linear(1, 1))
    with pytest.raises(InputError, match="no clip says what sounds"):
        judge(where, plain, rng=np.random.default_rng(0))


class _Leans(Knows):
    """The same, but for a slope to the right that is not in the picture."""

    def locate(self, encoders: Any, head: Any, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        maps = super().locate(encoders, head, batch)
        return maps + 4 * torch.linspace(-1, 1, maps.shape[2])


def test_several_looks_are_the_mean_of_each_one() -> None:
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, size=(2, 3, 64, 96)).astype(np.uint8)
    task, head = Knows(), torch.nn.Linear(1, 1)
    at_s = np.arange(task.rate_hz) / task.rate_hz
    sound = (0.3 * np.sin(2 * np.pi * 1000 * at_s)).astype(np.float32)
    once, _ = Localizer(task, {}, head, spread=0)(frames, sound)
    double, _ = Localizer(task, {}, head, looks=(2.0,), spread=0)(frames, sound)
    both, sure = Localizer(task, {}, head, looks=(1.0, 2.0), spread=0)(frames, sound)
    larger = torch.nn.functional.interpolate(
        torch.from_numpy(once)[:, None], size=double.shape[1:], mode="bilinear"
    )[:, 0]
    assert both.shape == (2, 16, 24)
    assert np.allclose(both, (larger.numpy() + double) / 2, atol=1e-4)
    assert np.allclose(sure, 1 / (1 + np.exp(-both.max(axis=(1, 2)))), atol=1e-6)
    with pytest.raises(InputError, match="looks"):
        Localizer(task, {}, head, looks=(1.0, 0.0))
    with pytest.raises(InputError, match="spread"):
        Localizer(task, {}, head, spread=-1.0)
    # spread afterwards, by the finer look's places
    wide, as_sure = Localizer(task, {}, head, looks=(1.0, 2.0), spread=0.7)(frames, sound)
    assert np.allclose(wide, spread_odds(both, 1.4), atol=1e-4)
    assert np.allclose(as_sure, sure, atol=1e-6)


@pytest.mark.parametrize("deviation", [0.5, 1.0, 2.3])
def test_spread_odds_are_another_librarys_blur_of_the_odds(deviation: float) -> None:
    maps = np.random.default_rng(3).normal(-4, 2, size=(3, 6, 8))
    found = spread_odds(maps, deviation)
    assert found.dtype == np.float32 and found.shape == maps.shape
    for one, own in zip(maps, found, strict=True):
        blurred = gaussian_filter(
            np.exp(one), deviation, mode="nearest", radius=int(np.ceil(4 * deviation))
        )
        wanted = np.log(blurred) - np.log(blurred.max()) + one.max()
        assert np.allclose(own, wanted, atol=1e-4)
    assert np.array_equal(spread_odds(maps, 0), maps.astype(np.float32))


def test_far_noise_does_not_outrank_a_neighbour() -> None:
    (line,) = spread_odds(np.array([[[2.0, -4, -4, -4, -3.9]]]), 1.0)[0]
    assert np.all(np.diff(line) < 0) and line[0] == pytest.approx(2.0)
    # nothing but equal places stays so, however low
    assert np.allclose(spread_odds(np.full((1, 3, 4), -900.0), 1.0), -900.0)


def test_a_mirrored_look_takes_out_what_leans_to_one_side() -> None:
    rng = np.random.default_rng(1)
    frames = rng.integers(0, 256, size=(1, 3, 64, 64)).astype(np.uint8)
    at_s = np.arange(Knows().rate_hz) / Knows().rate_hz
    sound = (0.3 * np.sin(2 * np.pi * 3000 * at_s)).astype(np.float32)
    head = torch.nn.Linear(1, 1)
    straight, _ = Localizer(Knows(), {}, head)(frames, sound)
    leaning, _ = Localizer(_Leans(), {}, head)(frames, sound)
    mended, _ = Localizer(_Leans(), {}, head, mirrored=True)(frames, sound)
    assert np.abs(leaning - straight).max() > 3
    assert np.allclose(mended, straight, atol=1e-4)
