"""Detection: views, losses, training, judged beside blind guesses."""

import dataclasses
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from avssl.catalog import Catalog
from avssl.cli import main
from avssl.config import config_from_recipe
from avssl.data import make_example
from avssl.decode.fetch import Fetcher
from avssl.downstream.detection import Detection
from avssl.downstream.detection_data import truths_of
from avssl.errors import InputError
from avssl.labels.boxes import Boxed, BoxedImage, BoxSet
from avssl.model import build_encoder
from avssl.prepare.boxes import write_boxes
from avssl.run.train import train
from avssl.task import Learner, widths_of
from avssl.transform.placing import placed

CLASSES = ("square", "disc")


@settings(max_examples=50, deadline=None)
@given(
    st.integers(20, 300), st.integers(20, 300), st.floats(0.5, 1), st.floats(0, 1), st.booleans()
)
def test_boxes_move_with_the_picture(
    width: int, height: int, share: float, where: float, flip: bool
) -> None:
    """A bright rectangle is found on the canvas where its box says."""
    place = placed(
        picture_px=(width, height), canvas_px=(160, 128), share=share, where=(where, 1 - where),
        flip=flip,
    )  # fmt: skip
    picture = np.full((3, height, width), 114, dtype=np.uint8)
    x0, y0, x1, y1 = width // 4, height // 4, width // 4 + width // 2, height // 4 + height // 2
    picture[:, y0:y1, x0:x1] = 255
    shown = place.picture(picture)
    assert shown.shape == (3, 128, 160)
    (box,) = place.boxes(np.array([[x0, y0, x1, y1]], dtype=float))
    bright = shown[0] > 185
    rows, columns = np.flatnonzero(bright.any(1)), np.flatnonzero(bright.any(0))
    edges = [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
    slack = 1 + max(1, place.shown_px[0] / width) / 2
    assert np.abs(box - edges).max() <= slack


def shapes(root: Path, split: str, count: int, rng: np.random.Generator) -> list[BoxedImage]:
    """Bright squares and dark discs of 12 to 20 px on 64 x 64 px of noise, one or two of them."""
    images = []
    for k in range(count):
        picture = rng.integers(90, 130, (64, 64, 3)).astype(np.uint8)
        things = []
        for _ in range(int(rng.integers(1, 3))):
            side = int(rng.integers(12, 21))
            x, y = rng.integers(0, 64 - side, 2).tolist()
            label = CLASSES[int(rng.integers(2))]
            if label == "square":
                cv2.rectangle(picture, (x, y), (x + side - 1, y + side - 1), (250, 250, 40), -1)
            else:
                middle, radius = (x + side // 2, y + side // 2), side // 2
                cv2.circle(picture, middle, radius, (20, 20, 160), -1)
            things.append(Boxed(label=label, box_px=(x, y, x + side, y + side)))
        name = f"{split}_{k}.png"
        assert cv2.imwrite(str(root / name), picture)
        images.append(BoxedImage(path=name, things=tuple(things), split=split))
    return images


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root, rng = tmp_path_factory.mktemp("shapes"), np.random.default_rng(0)
    counts = {"train": 60, "validation": 8, "test": 16}
    images = [one for split, count in counts.items() for one in shapes(root, split, count, rng)]
    found = BoxSet(classes=CLASSES, root=root, images=images)
    return write_boxes(found, tmp_path_factory.mktemp("set") / "shapes", quiet=True)


SMALL = {"height_px": 64, "width_px": 64, "head_width": 16, "hidden": 32, "num_proposals": 50,
         "num_sampled": 32, "max_found": 10}  # fmt: skip


@pytest.fixture(scope="module")
def task(data: Path) -> Detection:
    return Detection(**SMALL, brightness=0.0, contrast=0.0, saturation=0.0).completed(
        Catalog.read(data)
    )


def batch_of(task: Detection, catalog: Catalog, indices, seed: int = 0) -> dict[str, torch.Tensor]:
    fetcher = Fetcher(catalog.directory)
    examples = [
        make_example(task, catalog, lambda: fetcher, index=k, rng=np.random.default_rng(seed + k))[
            1
        ].arrays
        for k in indices
    ]
    return {k: torch.from_numpy(np.stack([one[k] for one in examples])) for k in examples[0]}


def test_things_lie_in_their_boxes_in_every_view(task: Detection, data: Path) -> None:
    catalog = Catalog.read(data).select(split="train")
    assert task.classes == CLASSES and task.max_boxes == 2
    batch = batch_of(task, catalog, range(20), seed=5)
    checked = 0
    for frame, truth in zip(batch["frames"].numpy(), truths_of(batch), strict=True):
        if len(truth.boxes) != 1:
            continue
        x0, y0, x1, y1 = truth.boxes[0]
        x, y = int((x0 + x1) / 2), int((y0 + y1) / 2)
        color = frame[:, y, x].astype(int)  # OpenCV writes blue, green, red
        expected = (40, 250, 250) if truth.classes[0] == 0 else (160, 20, 20)
        assert np.abs(color - expected).max() < 40
        outside = frame[:, y, int(x1) + 2] if x1 < 60 else frame[:, y, int(x0) - 3]
        assert np.abs(outside.astype(int) - 110).max() < 40
        checked += 1
    assert checked >= 5
    held_out = Catalog.read(data).select(split="validation")
    one, other = (batch_of(task, held_out, [3], seed) for seed in (0, 1))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_ignored_things_train_nothing(task: Detection) -> None:
    """With all things ignored the losses are those of pictures without any."""
    encoders = {"vision": build_encoder("small", seed=0)}
    torch.manual_seed(0)
    learner = Learner(task=task, encoders=encoders, widths=widths_of(encoders)).eval()
    batch = {
        "frames": torch.randint(0, 255, (2, 3, 64, 64), dtype=torch.uint8),
        "boxes": torch.tensor([[[8.0, 8, 30, 30], [40, 40, 60, 60]]] * 2),
        "classes": torch.tensor([[0, 1]] * 2),
        "state": torch.tensor([[1, 1]] * 2),
    }
    with torch.no_grad():
        whole, again = (learner.outputs(batch)["losses"] for _ in range(2))
        ignored = learner.outputs(batch | {"state": torch.full((2, 2), 2)})["losses"]
        nothing = learner.outputs(batch | {"state": torch.zeros(2, 2, dtype=torch.int64)})["losses"]
    assert torch.equal(whole, again)  # evaluation draws the same anchors every time
    torch.testing.assert_close(ignored, nothing)
    assert not torch.allclose(whole, nothing) and float(nothing[1]) == 0 == float(nothing[3])


@pytest.mark.parametrize("how", [{}, {"laterals": False, "layer": "res4"}, {"tune": "frozen"}])
def test_every_part_that_is_trained_gets_gradients(task: Detection, how) -> None:
    own = dataclasses.replace(task, **how)
    encoders = {"vision": build_encoder("small-bn", seed=0)}
    torch.manual_seed(0)
    learner = Learner(task=own, encoders=encoders, widths=widths_of(encoders)).train()
    before = {k: v.clone() for k, v in learner.encoders.state_dict().items()}
    batch = {
        "frames": torch.randint(0, 255, (2, 3, 64, 64), dtype=torch.uint8),
        "boxes": torch.tensor([[[8.0, 8, 30, 30], [40, 40, 60, 60]]] * 2),
        "classes": torch.tensor([[0, 1]] * 2),
        "state": torch.ones(2, 2, dtype=torch.int64),
    }
    step = learner(batch)
    step.loss.backward()
    parts = [float(step.sums[f"loss_{name}"][0] / 2) for name in
             ("objectness", "proposals", "classes", "boxes")]  # fmt: skip
    assert float(step.loss.detach()) == pytest.approx(sum(parts), rel=1e-5)
    assert float(step.loss.detach()) > 0.5  # an untrained classifier of three classes: ln 3
    assert all(weight.grad is not None for weight in learner.head.parameters())
    moved = any(weight.grad is not None for weight in learner.encoders.parameters())
    assert moved == (own.tune == "full")
    if own.tune == "frozen":
        after = learner.encoders.state_dict()
        assert all(torch.equal(before[k], after[k]) for k in before)


@pytest.mark.slow
def test_it_finds_shapes_and_is_judged_beside_blind_guesses(
    data: Path, task: Detection, tmp_path: Path, capsys
) -> None:
    config = config_from_recipe(
        "detection", "small", data=str(data), out=str(tmp_path / "run"), steps=40,
        batch_size=8, workers=0, evaluate_every=0, num_evaluation_samples=8, tensorboard=False,
    )  # fmt: skip
    small = dataclasses.replace(config.task, **SMALL, shrink=0.1, layer="res4")
    optim = dataclasses.replace(config.optim, lr=4e-3, warmup_steps=10)
    train(dataclasses.replace(config, task=small, optim=optim), quiet=True)
    words = ["eval", "detection", str(tmp_path / "run"), "--data", str(data), "--quiet"]
    assert main(words) == 0
    assert "voc07_map" in capsys.readouterr().out
    found = json.loads((tmp_path / "run" / "detection_test.json").read_text())
    rows = found["rows"]
    assert rows["network"]["voc07_map"] > 0.3
    for name in ("trivial: constant boxes", "trivial: mean box of each class"):
        assert rows[name]["voc07_map"] < 0.2 < rows["network"]["voc07_map"]
    assert rows["network"]["coco_map_50"] == pytest.approx(rows["network"]["voc07_map"], abs=0.12)
    assert "not run" in rows["untrained"] and found["num_ignored"] == 0
    low, high = found["intervals"]["network"]["voc07_map"]
    assert low <= rows["network"]["voc07_map"] <= high
    assert cv2.imread(str(tmp_path / "run" / found["pictures"][0])).shape[1] > 300
    assert main(["eval", "detection", str(data), "--data", str(data)]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_rows_without_boxes_and_too_many_things_are_refused(task: Detection, make_row) -> None:
    catalog = Catalog.from_rows([make_row()])
    with pytest.raises(InputError, match="no boxes there"):
        task.completed(catalog)
    with pytest.raises(InputError, match="none of 1 rows"):
        task.items(catalog)
    with pytest.raises(InputError, match="the classes are not known"):
        Detection().head({})
