"""Labels carried along: against a slow program, on features that know, from the command line."""

import json
import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from avssl.cli import main
from avssl.downstream.propagation import (
    Protocol,
    mask_labels,
    mask_of,
    point_labels,
    points_of,
    propagate,
)
from avssl.errors import InputError
from avssl.labels.followed import has_people, people_of
from avssl.model import build_encoder
from avssl.run.propagation_maps import choose_layer


def slow(features: np.ndarray, labels: np.ndarray, how: Protocol) -> list[np.ndarray]:
    """Place by place, in plain Python."""
    count, _, height, width = features.shape
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    out = [labels]
    for t in range(1, count):
        frame = np.zeros_like(labels)
        recent = list(range(max(1, t - how.context), t))
        for y in range(height):
            for x in range(width):
                seen = []
                for source in [0, *recent]:
                    for v in range(height):
                        for u in range(width):
                            far = math.hypot(v - y, u - x) > how.radius > 0
                            if source and far:
                                continue
                            cosine = float(unit[t, :, y, x] @ unit[source, :, v, u])
                            seen.append((cosine, source, v, u))
                best = sorted(seen, reverse=True)[: how.top_k]
                weights = np.array([math.exp(one[0] / how.temperature) for one in best])
                for weight, (_, source, v, u) in zip(weights / weights.sum(), best, strict=True):
                    frame[:, y, x] += weight * out[source][:, v, u]
        out.append(frame)
    return out


@pytest.mark.parametrize(
    "how",
    [
        Protocol(top_k=3, context=2, radius=1.5, temperature=0.3),
        Protocol(top_k=200, context=0, radius=2.0, temperature=0.1),
        Protocol(top_k=5, context=3, radius=0.0, temperature=0.2),
    ],
)
def test_against_a_slow_program(how: Protocol, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    features, labels = rng.standard_normal((5, 6, 4, 5)), rng.random((2, 4, 5))
    expected = slow(features, labels, how)
    given = [torch.from_numpy(one) for one in features]
    for at_once in (30_000_000, 300):  # all rows together, and row by row
        monkeypatch.setattr("avssl.downstream.propagation._MOST_AT_ONCE", at_once)
        found = list(propagate(given, torch.from_numpy(labels), protocol=how))
        for one, two in zip(found, expected, strict=True):
            assert np.allclose(one.numpy(), two, atol=1e-5)


def at_angles(*degrees: float) -> torch.Tensor:
    """A row of places [2, 1, places] whose vectors point there, of length 3."""
    turned = torch.deg2rad(torch.tensor(degrees))
    return 3 * torch.stack([turned.cos(), turned.sin()])[:, None]


def test_softmax_and_nearest_by_hand() -> None:
    """Frame 0 has places at 0° (labelled) and 60°: cosines with 0° are 1 and ½, with 90° 0 and √¾.

    At temperature ½ their shares are e² : e, and 1 : e^√3.
    """
    frames, labels = [at_angles(0, 60), at_angles(0, 90)], torch.tensor([[[1.0, 0.0]]])
    how = Protocol(top_k=2, context=5, temperature=0.5)
    found = list(propagate(frames, labels, protocol=how))
    shares = [1 / (1 + math.exp(-1)), 1 / (1 + math.exp(math.sqrt(3)))]
    assert found[1].flatten().tolist() == pytest.approx(shares, abs=1e-6)
    nearest = list(propagate(frames, labels, protocol=replace(how, top_k=1)))
    assert nearest[1].flatten().tolist() == [1, 0]
    # frame 2 at 0°, 0°: of frame 0 the place at 0°, of frame 1 the place at 0° with its soft label
    again = list(propagate([*frames, at_angles(0, 0)], labels, protocol=how))
    mean = (1 + shares[0]) / 2
    assert again[2].flatten().tolist() == pytest.approx([mean, mean], abs=1e-6)
    # and within half a place frame 1 shows its own column alone: for the second that at 90°
    near = list(
        propagate([*frames, at_angles(0, 0)], labels, protocol=replace(how, radius=0.5, top_k=3))
    )
    weights = np.exp(np.array([1, 0.5, 0]) / 0.5)  # frame 0 at 0°, 60°; frame 1 at 90°
    wanted = weights @ [1, 0, shares[1]] / weights.sum()
    assert float(near[2][0, 0, 1]) == pytest.approx(wanted, abs=1e-6)


def test_the_window_at_the_start_and_at_its_end() -> None:
    """Frame 0: 0° (label 1) and 60° (label 0). The nearest place alone decides.

    Frame 1 at 29° is nearer to 0°. Frame 3 at 31° is nearer to 60°, but nearest to frame 1, as
    long as that is in the window. Frame 0 is there always.
    """
    labels = torch.tensor([[[1.0, 0.0]]])
    frames = [at_angles(*two) for two in ((0, 60), (29, 29), (180, 180), (31, 59))]
    for context, wanted in ((3, [1, 0]), (2, [1, 0]), (1, [0, 0]), (0, [0, 0])):
        how = Protocol(top_k=1, context=context, radius=0)
        found = list(propagate(frames, labels, protocol=how))
        assert found[1].flatten().tolist() == [1, 1]
        assert found[3].flatten().tolist() == wanted
    # before the window is full frame 0 stands in it once: the second of the two that count is its
    # other place, not a copy of the first as in the released code of the protocol
    even = Protocol(top_k=2, temperature=1e6)
    second = list(propagate(frames[:2], labels, protocol=even))[1]
    assert second.flatten().tolist() == pytest.approx([0.5, 0.5], abs=1e-5)


def test_features_that_know_the_place_carry_labels_exactly() -> None:
    """Each thing has a number of its own; it is shifted by one place a frame, and so its label."""
    names = torch.randn(40, 8, 14, generator=torch.Generator().manual_seed(0))
    frames = [names.roll(k, dims=2) for k in range(6)]
    labels = torch.zeros(2, 8, 14)
    labels[0], labels[0, 2:5, 3:6], labels[1, 2:5, 3:6] = 1, 0, 1
    found = list(propagate(frames, labels, protocol=Protocol(temperature=0.01)))
    for k, one in enumerate(found):
        assert torch.allclose(one, labels.roll(k, dims=2), atol=1e-3)
    # beyond the radius the thing is found in frame 0 alone, not in those between
    narrow = list(propagate(frames, labels, protocol=Protocol(radius=0.5, temperature=0.01)))
    assert torch.allclose(narrow[3], labels.roll(3, dims=2), atol=1e-3)
    with pytest.raises(ValueError, match="labels"):
        list(propagate(frames, labels[:, :4]))


def test_masks_become_shares_and_masks_again() -> None:
    mask = np.zeros((32, 48), np.uint8)
    mask[8:24, 16:40], mask[0:8, 0:8], mask[31, 47] = 1, 2, 255
    labels = mask_labels(mask, num_objects=2, size=(4, 6))
    assert torch.allclose(labels.sum(dim=0), torch.ones(4, 6))
    assert float(labels[1, 1, 2]) == 1 and float(labels[2, 0, 0]) == 1
    assert float(labels[0, 3, 5]) == 1  # void is background
    odd = mask_labels(mask, num_objects=2, size=(4, 5))
    assert float(odd[1].mean()) == pytest.approx(16 * 24 / (32 * 48), abs=0.02)
    again = mask_of(labels, size=(32, 48))
    assert again.shape == (32, 48) and again.dtype == np.uint8
    wrong = (again != np.where(mask == 255, 0, mask)).mean()
    assert wrong < 0.1 and {0, 1, 2} == set(np.unique(again))


def test_points_become_labels_and_points_again() -> None:
    points = np.array([[20.0, 11.5], [0.0, 0.0], [np.nan, 3.0], [63.0, 47.0], [31.2, 40.7]])
    labels = point_labels(points, size=(6, 8), picture_px=(64, 48))
    assert labels.sum(dim=(1, 2)).tolist() == pytest.approx([1, 1, 0, 1, 1])
    found = points_of(labels, picture_px=(64, 48))
    assert np.isnan(found[2]).all()
    for number in (0, 4):
        assert found[number] == pytest.approx(points[number], abs=1e-4)
    # in the outermost half cell a point can be no nearer than the cell's centre
    assert found[1] == pytest.approx([3.5, 3.5]) and found[3] == pytest.approx([59.5, 43.5])


def world_labels(num_frames: int) -> dict:
    """One person of two joints who walks to the right; the second is hidden from frame 4 on."""
    points = [[[10.5 + k, 20.5], [30.5 + k, 20.5]] for k in range(num_frames)]
    seen = [[2, 2 if k < 4 else 1] for k in range(num_frames)]
    boxes = [[5.0 + k, 10.0, 35.0 + k, 50.0] for k in range(num_frames)]
    person = {"keypoints_px": points, "visibility": seen, "boxes_px": boxes}
    return {"fps": 10, "width_px": 64, "height_px": 48, "people": [person]}


def test_known_joints_of_a_clip(make_row) -> None:
    row = make_row(
        num_frames=10, fps=10.0, width_px=128, height_px=96, labels=world_labels(30),
        source_start_s=0.5, start_s=2.0,
    )  # fmt: skip
    assert has_people(row) and not has_people(make_row()) and not has_people(
        make_row(labels={"people": [{"box": 1}]})
    )  # fmt: skip
    known = world_labels(30)
    half = {**known, "people": [*known["people"], {"box": 1}]}  # of one person nothing is known
    assert not has_people(make_row(labels=half))
    hidden = people_of(row, [2.0, 2.2])  # frames 5 and 7 of the video
    (person,) = hidden
    assert person.points_px[:, 0].tolist() == [[30.5, 40.5], [34.5, 40.5]]
    assert np.isnan(person.points_px[:, 1]).all() and person.lengths_px.tolist() == [80, 80]
    whole = replace(row, source_start_s=0.0)
    (person,) = people_of(whole, [2.0, 2.3, 2.4])
    assert np.isfinite(person.points_px[:, 1]).all(axis=1).tolist() == [True, True, False]


def test_layers() -> None:
    encoder = build_encoder("small", seed=0)
    assert choose_layer(encoder) == "res3" and choose_layer(encoder, "res2") == "res2"
    with pytest.raises(InputError, match="res3"):
        choose_layer(encoder, "conv9")
    coarse = SimpleNamespace(name="v", num_frames=1, layers={"one": (9, 16), "two": (9, 16)})
    assert choose_layer(coarse) == "two"
    with pytest.raises(InputError, match="clips"):
        choose_layer(SimpleNamespace(name="c", num_frames=8, layers=coarse.layers))


def test_davis_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing moves: copying is perfect, features nearly so. All rows are there, and the files."""
    root = tmp_path / "DAVIS"
    for place in ("ImageSets/2017", "JPEGImages/480p/still", "Annotations/480p/still"):
        (root / place).mkdir(parents=True)
    (root / "ImageSets" / "2017" / "val.txt").write_text("still\n")
    mask = np.zeros((48, 64), dtype=np.uint8)
    mask[10:26, 6:22], mask[30:44, 40:54] = 1, 2
    for k in range(4):
        shown = Image.fromarray(np.repeat((mask * 60 + 30)[..., None], 3, axis=2))
        shown.save(root / "JPEGImages" / "480p" / "still" / f"{k:05d}.jpg", quality=95)
        Image.fromarray(mask).save(root / "Annotations" / "480p" / "still" / f"{k:05d}.png")
    out = tmp_path / "found.json"
    words = ["eval", "propagation", "random:small", "--data", str(root), "-o", str(out)]
    words += ["--short-side", "192", "--top-k", "5"]
    assert main([*words, "--quiet"]) == 0
    summary = json.loads(out.read_text())
    rows = summary["rows"]
    assert list(rows) == ["identity (copy the first)", "untrained", "network"]
    assert rows["identity (copy the first)"]["J&F mean"] == 1.0
    assert rows["untrained"] == rows["network"]  # random: is the untrained network itself
    assert rows["network"]["J mean"] > 0.6
    assert summary["layer"] == "res3" and summary["protocol"]["top_k"] == 5
    shown = capsys.readouterr().out
    assert "J&F mean" in shown and out.with_suffix(".md").read_text() in shown
    assert main([*words, "--context", "-1"]) == 2
    assert "top_k" in capsys.readouterr().err


def write_still(root: Path, name: str, *, num: int = 3, num_masks: int = 3) -> None:
    """A grey sequence with a square in the middle, in DAVIS's layout."""
    for kind in ("JPEGImages", "Annotations"):
        (root / kind / "480p" / name).mkdir(parents=True)
    mask = np.zeros((48, 64), dtype=np.uint8)
    mask[16:32, 24:40] = 1
    for k in range(num):
        shown = Image.fromarray(np.repeat((mask * 90 + 60)[..., None], 3, axis=2))
        shown.save(root / "JPEGImages" / "480p" / name / f"{k:05d}.jpg")
        if k < num_masks:
            Image.fromarray(mask).save(root / "Annotations" / "480p" / name / f"{k:05d}.png")


def test_what_davis_does_not_have_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lists = tmp_path / "ImageSets" / "2017"
    lists.mkdir(parents=True)
    names = [f"v{k:02d}" for k in range(12)]
    for name in names:
        write_still(tmp_path, name)
    write_still(tmp_path, "secret", num_masks=1)
    (lists / "val.txt").write_text("\n".join(names))
    out = tmp_path / "found.json"
    words = ["eval", "propagation", "random:small", "--data", str(tmp_path), "-o", str(out)]
    for listed in (False, True):  # test-dev has the first masks alone
        if listed:
            (lists / "test-dev.txt").write_text("secret\n")
        assert main([*words, "--split", "test", "--quiet"]) == 2
        error = capsys.readouterr().err
        assert "only the first masks are public; give --split validation" in error
    for flag in ("--rate-hz", "--seconds"):
        assert main([*words, flag, "4"]) == 2
        error = capsys.readouterr().err
        assert "leave --rate-hz and --seconds out" in error and error.count("\n") == 1
        assert main([*words, flag, "0"]) == 2 and "above 0" in capsys.readouterr().err
    assert not out.exists()
    # drawn, as help says: not the first of the alphabet, and the same ones again
    chosen = []
    for _ in range(2):
        assert main([*words, "--max-clips", "3", "--quiet"]) == 0
        chosen.append(list(json.loads(out.read_text())["sequences"]["network"]))
    assert chosen[0] == chosen[1] == sorted(chosen[0]) and len(chosen[0]) == 3
    assert chosen[0] != names[:3] and set(chosen[0]) < set(names)


def test_joints_from_the_command_line(
    make_row, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A picture that slides: copying loses the joints, pixels themselves do not."""
    from avssl.catalog import Catalog
    from avssl.decode.fetch import Fetcher
    from avssl.records import Clip
    from avssl.run.propagation_eval import judge_points

    ground = np.random.default_rng(0).integers(0, 256, (3, 48, 200)).astype(np.uint8)

    def slid(self: Fetcher, row, times_s, **_) -> Clip:
        shift = [round((t - row.start_s) * 10) for t in np.asarray(times_s) - 2e-3]
        frames = np.stack([ground[:, :, 100 - 2 * k : 164 - 2 * k] for k in shift])
        return Clip(frames=frames, times_s=np.asarray(times_s))

    labels = world_labels(30)
    for k in range(30):
        labels["people"][0]["keypoints_px"][k] = [[10.5 + 2 * k, 20.5], [21.5 + 2 * k, 30.5]]
        labels["people"][0]["visibility"][k] = [2, 2]
    row = make_row(num_frames=30, fps=10.0, width_px=64, height_px=48, labels=labels, split="test")
    Catalog.from_rows([row]).write(tmp_path)
    monkeypatch.setattr(Fetcher, "frames", slid)

    def pixels(shown):
        for one in shown:  # windows of 5 x 5 px, one for every second pixel
            wide = torch.nn.functional.pad(torch.from_numpy(one).float(), (2, 2, 2, 2))[None]
            columns = torch.nn.functional.unfold(wide, 5, stride=2)[0]
            yield (columns - columns.mean(dim=0)).unflatten(1, (24, 32))

    found = judge_points(
        tmp_path, {"copy": None, "pixels": pixels}, split="test", protocol=Protocol(),
        rate_hz=10.0, length_s=1.5,
    )  # fmt: skip
    # boxes are 40 px: copying is right within 0.2 of that up to 8 px, four frames of fifteen
    assert found["rows"]["copy"] == pytest.approx({"PCK@0.1": 2 / 15, "PCK@0.2": 4 / 15})
    assert found["rows"]["pixels"]["PCK@0.1"] > 0.95
    with pytest.raises(InputError, match="says where"):
        judge_points(tmp_path, {"copy": None}, split="validation", protocol=Protocol())
