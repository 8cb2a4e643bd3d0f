"""A layer that holds the label is found perfect, random labels give chance; draws of labels; truth
of clips."""

from dataclasses import replace

import numpy as np
import pytest

from avssl.downstream.probe import Problem, Side, best_layers, draw_labels
from avssl.downstream.probe_metrics import (
    determination,
    interval,
    mean_average_precision,
    redrawn,
    share,
)
from avssl.downstream.probe_truth import (
    ClassTruth,
    check_kind,
    class_truth,
    geometric_truth,
    middle_square,
    sample_times_s,
)
from avssl.errors import InputError
from avssl.run.probe_command import draw
from avssl.run.probe_eval import TRIVIAL
from avssl.run.probe_rows import label_rows
from avssl.run.probe_tables import columns_of, draw_curves, table


def make_side(rng, *, num_clips: int, single: bool = True, num_classes: int = 4) -> Side:
    """Three samples a clip, two clips a group; a number that each sample has."""
    per_clip = np.arange(num_clips) % num_classes
    clips = np.repeat(np.arange(num_clips), 3)
    marks = per_clip[clips][:, None] == np.arange(num_classes)
    if not single:
        marks = rng.random((len(clips), num_classes)) < 0.4
    truth = ClassTruth(
        names=tuple("abcdefgh"[:num_classes]),
        marks=marks,
        told=np.ones(len(clips), dtype=bool),
        single=single,
    )
    groups = np.array([f"g{clip // 2}" for clip in clips], dtype=object)
    numbers = {"place": rng.standard_normal((len(clips), 2))}
    return Side(clips=clips, groups=groups, classes=truth, numbers=numbers)


@pytest.mark.parametrize("single", [True, False])
def test_planted_layers(single: bool) -> None:
    rng = np.random.default_rng(0)
    train = make_side(rng, num_clips=48, single=single)
    other = make_side(rng, num_clips=40, single=single)
    problem = Problem(train, other, num_draws=200)

    def layer(side: Side, *, told: bool) -> np.ndarray:
        noise = rng.standard_normal((len(side.clips), 30))
        assert side.classes is not None
        if told:
            noise[:, :4] += 12 * side.classes.marks
            noise[:, 4:6] += 12 * side.numbers["place"]
        return noise

    judged = {
        "blind": problem.judge(layer(train, told=False), layer(other, told=False)),
        "told": problem.judge(layer(train, told=True), layer(other, told=True)),
    }
    right, wrong = judged["told"], judged["blind"]
    assert right.figures["mAP"] > 0.99 and right.figures["mAP 11-point"] > 0.99
    assert right.figures["R² place"] > 0.9 and wrong.figures["R² place"] < 0.05
    assert set(best_layers(judged).values()) == {"told"}
    blind = problem.trivial()
    marks = problem.other.classes.marks  # type: ignore[union-attr]
    assert blind.figures["mAP"] == pytest.approx(marks.mean(axis=0).mean())
    low, high = np.percentile(wrong.draws["mAP"], (1, 99))
    assert low < blind.figures["mAP"] + 0.08 and high > blind.figures["mAP"]
    if single:
        assert right.figures["softmax top-1"] == right.figures["SVM top-1"] == 1.0
        assert wrong.figures["softmax top-1"] < 0.6  # chance is a quarter, 40 clips
        assert blind.figures["SVM top-1"] == pytest.approx(0.25)
    else:
        assert "softmax top-1" not in right.figures
    assert blind.figures["R² place"] == pytest.approx(0, abs=0.05)


def test_classes_that_were_never_trained_do_not_count() -> None:
    rng = np.random.default_rng(0)
    train = make_side(rng, num_clips=24, num_classes=3)
    other = make_side(rng, num_clips=24, num_classes=4)
    assert train.classes is not None and other.classes is not None
    wide = np.concatenate([train.classes.marks, np.zeros((72, 1), dtype=bool)], axis=1)
    whole = ClassTruth(names=tuple("abcd"), marks=wide, told=train.classes.told, single=True)
    train = Side(clips=train.clips, groups=train.groups, classes=whole)
    problem = Problem(train, other)
    assert problem.other.classes is not None and problem.other.classes.names == ("a", "b", "c")
    assert problem.other.classes.told.sum() == 54  # six clips of "d" are out
    x = np.eye(4)[whole.marks.argmax(axis=1)]
    z = np.eye(4)[other.classes.marks.argmax(axis=1)]
    assert problem.judge(x, z).figures["SVM top-1"] == 1.0


def test_draws_of_labels() -> None:
    side = make_side(np.random.default_rng(0), num_clips=40)
    for wanted, each in (("1", 1), ("5", 5), ("10%", 1), ("30%", 3), ("100%", 10), ("99", 10)):
        kept = draw_labels(side, wanted, rng=np.random.default_rng(1))
        clips = np.unique(side.clips[kept])
        assert kept.sum() == 3 * len(clips)  # all samples of a clip
        assert np.bincount(clips % 4).tolist() == [each] * 4
    one, other = (draw_labels(side, "5", rng=np.random.default_rng(seed)) for seed in (1, 2))
    assert (one != other).any()
    shares = make_side(np.random.default_rng(0), num_clips=40, single=False)
    kept = draw_labels(shares, "10%", rng=np.random.default_rng(1))
    assert len(np.unique(shares.clips[kept])) == 4


def test_few_labels_fit_without_a_choice() -> None:
    rng = np.random.default_rng(0)
    train, other = make_side(rng, num_clips=48), make_side(rng, num_clips=40)
    assert train.classes is not None and other.classes is not None
    problem = Problem(train, other, num_draws=50)
    x, z = (8.0 * side.classes.marks + 0.1 * rng.standard_normal((len(side.clips), 4))
            for side in (train, other) if side.classes)  # fmt: skip
    few = problem.judge_some(x, z, draw_labels(train, "1", rng=rng))
    assert few.figures["softmax top-1"] == 1.0 and np.isnan(few.held["mAP"])
    many = problem.judge_some(x, z, draw_labels(train, "100%", rng=rng))
    assert many.held["mAP"] == pytest.approx(1.0)
    assert many.figures == problem.judge(x, z).figures


def test_labels_in_too_few_groups_are_named_and_drawn_by_nobody(tmp_path) -> None:
    """Numbers alone: one clip is one group, and no penalty can be chosen from it."""
    rng = np.random.default_rng(0)
    sides = [make_side(rng, num_clips=12) for _ in range(2)]
    train, other = (replace(side, classes=None) for side in sides)
    problem = Problem(train, other, num_draws=20)
    assert problem.figures == ("R² place",)
    x, z = (rng.standard_normal((len(side.clips), 5)) for side in (train, other))
    found = label_rows(problem, {"network": [(x, z)]}, ["1", "100%"], num_draws=2)
    assert found["labels_lack"] == {"1": ["R² place"]}
    assert set(found["labels"]["network"]) == {"100%"}
    figures = {"R² place": 0.5}
    summary = {
        "metrics": ["R² place"], "num_clips": 12, "num_train_clips": 12, "split": "test",
        "num_judged_clips": 0, "classes": None, "num_groups": 1, "rows": {"network": figures},
        "intervals": {}, "layers": {}, "encoder": "e", "curve": {"network": {"res5": figures}},
        "curve_intervals": {}, **found,
    }  # fmt: skip
    shown = table(summary)
    assert "Too few labels: --labels 1: no figure." in shown and "--labels 50%" in shown
    assert "one group: no interval" in shown and "95 %" not in shown
    nothing = label_rows(problem, {"network": [(x, z)]}, ["1"], num_draws=2)
    summary = {**summary, **nothing, "rows": {"network": figures, TRIVIAL: figures}}
    assert "network, labels" not in table(summary)
    draw(summary, tmp_path / "p")
    assert summary["pictures"] == ["p_layers.png"]


def test_one_group_has_no_interval() -> None:
    weights = redrawn(["a"] * 5)
    assert weights.shape == (0, 5)
    right = np.array([True, False, True, True, False])
    assert interval(share(right, weights)) is None
    area, eleven = mean_average_precision(np.eye(5)[:, :2], np.eye(5)[:, :2] > 0, weights)
    assert interval(area) is None and interval(eleven) is None
    assert interval(determination(np.ones((5, 1)), np.arange(5.0)[:, None], weights)) is None
    assert redrawn(["a", "b"]).shape == (1000, 2)


@pytest.mark.parametrize("num", [1, 2, 4])
def test_a_legend_lies_within_its_picture(num: int, tmp_path, monkeypatch) -> None:
    from matplotlib.figure import Figure

    wide: list[float] = []
    plain = Figure.draw

    def draw_and_measure(self, renderer) -> None:
        plain(self, renderer)
        box = self.legends[0].get_window_extent(renderer)
        wide.extend([box.x0 / self.bbox.width, box.x1 / self.bbox.width])

    monkeypatch.setattr(Figure, "draw", draw_and_measure)
    names = [f"R² {k}" for k in range(num)]
    figures = dict.fromkeys(names, 0.1)
    rows = {row: {"res4": figures, "res5": figures} for row in ("network", "untrained", "imagenet")}
    flat = {"HOG": figures, TRIVIAL: figures}
    path = tmp_path / "p.png"
    draw_curves(path, rows, metrics=names, spans={}, flat=flat, xlabel="layer")
    assert min(wide) >= 0 and max(wide) <= 1


def world_labels(num_frames: int, **changes):
    box = [[40.0 + k, 20.0, 60.0 + k, 70.0] for k in range(num_frames)]
    joints = [[[50.0 + k, 30.0], [50.0 + k, 60.0]] for k in range(num_frames)]
    person = {"body": "b", "action": "walk", "sounding": False, "boxes_px": box,
              "keypoints_px": joints, "depth_m": [[4.0, 4.0]] * num_frames}  # fmt: skip
    drum = {"kind": "drum", "name": "d", "sounding": True,
            "boxes_px": [[70.0, 60.0, 90.0, 80.0]] * num_frames}  # fmt: skip
    bell = {"kind": "bell", "name": "e", "sounding": False,
            "boxes_px": [[0.0, 0.0, 10.0, 10.0]] * num_frames}  # fmt: skip
    return {"world_version": 4, "width_px": 128, "height_px": 96, "fps": 30, "sound_kind": "drum",
            "action": "walk", "people": [person], "things": [drum, bell], **changes}  # fmt: skip


def test_truth_of_the_world(make_row) -> None:
    """128 x 96: the middle square is 16 … 112 px wide; the bell stands left of it."""
    row = make_row(number=0, num_frames=30, labels=world_labels(30))
    assert middle_square(row) == (16, 0, 96)
    times_s = sample_times_s(row, 3)
    np.testing.assert_allclose(times_s * 30, [5, 15, 25])
    other = make_row(number=1, num_frames=30)
    rows, times = [row, row, other], [times_s[0], times_s[2], 0.5]
    view = class_truth(rows, times, kind="view")
    assert view is not None and view.names == ("drum", "person") and not view.single
    assert view.told.tolist() == [True, True, False]
    numbers = geometric_truth(rows, times)
    np.testing.assert_allclose(numbers["person place"][:2, 0] * 96, [50 + 5 - 16, 50 + 25 - 16])
    np.testing.assert_allclose(numbers["person place"][:2, 1] * 96, 45)
    np.testing.assert_allclose(numbers["person height"][0] * 96, 50)
    np.testing.assert_allclose(numbers["depth"][0], np.log(4))
    # joints from the person's middle, in heights: the same in every frame
    np.testing.assert_allclose(numbers["joints"][0], [0, -0.3, 0, 0.3], atol=1e-12)
    np.testing.assert_allclose(numbers["joints"][0], numbers["joints"][1], atol=1e-12)
    np.testing.assert_allclose(numbers["thing place"][0] * 96, [80 - 16, 70])
    assert np.isnan(numbers["thing place"][2]).all()
    np.testing.assert_allclose(numbers["motion"][2], np.log(other.motion[2]))


def test_classes_of_clips(make_row) -> None:
    rows = [
        make_row(number=k, labels=world_labels(30, action=action, sound_kind=kind))
        for k, (action, kind) in enumerate([("walk", "drum"), ("dance", "flute"), (None, "drum")])
    ]
    times = [0.5] * 3
    kinds = class_truth(rows, times, kind="sounding")
    assert kinds is not None and kinds.names == ("drum", "flute")
    assert kinds.classes.tolist() == [0, 1, 0]
    families = class_truth(rows, times, kind="sounding", level=0)
    assert families is not None and families.names == ("struck", "wind")
    actions = class_truth(rows, times, kind="action")
    assert actions is not None and actions.names == ("dance", "walk")
    assert actions.told.tolist() == [True, True, False]
    folders = [make_row(number=k, labels={"class": name}) for k, name in enumerate("xyx")]
    found = class_truth(folders, times, kind="sounding")
    assert found is not None and found.names == ("x", "y")
    assert class_truth(rows[:1], times[:1], kind="sounding") is None
    check_kind("action", rows)
    with pytest.raises(InputError, match="no clip has such a label; there are sounding, view, act"):
        check_kind("actoin", rows)


def test_layers_of_one_name_stand_below_each_other() -> None:
    found = columns_of({"network": ["res2", "res3", "vector"], "other": ["conv1", "res2", "res3",
                                                                         "vector"]})  # fmt: skip
    assert found["network"] == {"res2": 1 / 3, "res3": 2 / 3, "vector": 1}
    assert found["other"]["res2"] == found["network"]["res2"] and found["other"]["conv1"] == 0
    apart = columns_of({"network": ["res2", "vector"], "other": ["block1", "block2", "vector"]})
    assert apart["network"] == {"res2": 0, "vector": 1} and apart["other"]["block2"] == 0.5
