"""Detection: what is where? Boxes of things, by torchvision's Faster R-CNN on any encoder.

That fine-tuned features find VOC's things is how the papers judge an encoder (papers.md §5.3).
Training pictures stand smaller on the canvas, anywhere, mirrored, in other colours; all others as
large as they fit, in the upper left corner. Things that are ignored (VOC's "difficult", crowds) are
not trained on, and are neither right nor wrong when found.

Shapes: B pictures, canvas H x W px, M things at most, D detections. Batch: frames uint8
[B, 3, H, W], boxes float32 [B, M, 4] (px of the canvas, from its corner), classes int64 [B, M],
state int64 [B, M] (0 no thing, 1 a thing, 2 one that is ignored).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from avssl.catalog import Catalog, ClipRow
from avssl.downstream import detection_data as data
from avssl.downstream import detection_metrics as metrics
from avssl.downstream.detection_drawing import with_answers, with_truth
from avssl.downstream.detection_floors import constant_boxes, mean_boxes
from avssl.downstream.detection_metrics import Truth
from avssl.downstream.labelled_rows import first_rows
from avssl.errors import InputError
from avssl.model.detector import DetectionHead
from avssl.model.pyramid import used_layers
from avssl.records import Clip, Example, FrameSpan, Plan, Shortcut
from avssl.task import Batch, Outputs
from avssl.transform import frames as pictures
from avssl.transform.placing import Place, placed

LOSSES = ("objectness", "proposals", "classes", "boxes")


@dataclass(frozen=True, kw_only=True)
class Detection:
    """What is where?"""

    name: ClassVar[str] = "detection"
    summary: ClassVar[str] = "What is where? Fine-tuning and judging by boxes of things"
    streams: ClassVar[tuple[str, ...]] = ("vision",)
    shortcuts: ClassVar[tuple[Shortcut, ...]] = ()
    keeps_head: ClassVar[bool] = True

    classes: tuple[str, ...] = ()
    """Names of the classes. Empty: those of the data set."""
    max_boxes: int = 0
    """Most things in one picture; 0: what the data set has."""
    height_px: int = 128
    """Height of the canvas; multiples of the coarsest stride keep anchors on their cells."""
    width_px: int = 160
    """Width of it."""
    layer: str = ""
    """Coarsest layer of the encoder that is read; empty: the last."""
    laterals: bool = True
    """A pyramid of the finer layers too; off: that layer alone."""
    finest_stride: int = 4
    """Finest stride (px) of the layers that are read."""
    tune: Literal["full", "frozen"] = "full"
    """Whether the encoder is trained too. In stages: see optim.encoder_from_step."""
    anchor_cells: tuple[float, ...] = (4.0,)
    """Sides of the anchors, in cells of each layer (pyramids of large pictures: 8)."""
    head_width: int = 64
    """Channels of the pyramid (the paper: 256)."""
    hidden: int = 256
    """Length of the classifier's two layers (the paper: 4096, pyramids: 1024)."""
    num_proposals: int = 200
    """Proposals a picture (the paper: 2000 in training, 300 in testing)."""
    num_sampled: int = 64
    """Proposals a picture that the classifier is trained on (the paper: 128, Fast R-CNN: 64)."""
    max_found: int = 50
    """Detections a picture."""
    num_labels: int = 0
    """Training rows that are used, 0: all. Smaller numbers are subsets of larger ones."""
    label_seed: int = 0
    """Which rows those are."""
    shrink: float = 0.3
    """In training pictures stand at 1 − this to 1 times the largest size that fits."""
    flip: bool = True
    """Mirror with p = ½."""
    brightness: float = 0.2
    """Factor from 1 ± this."""
    contrast: float = 0.2
    """Factor from 1 ± this."""
    saturation: float = 0.2
    """Factor from 1 ± this."""

    def __post_init__(self) -> None:
        least = min(self.head_width, self.hidden, self.num_proposals, self.num_sampled)
        if min(self.height_px, self.width_px) < 32 or min(least, self.max_found) < 1:
            raise InputError("height_px and width_px must be 32 or more, widths and counts 1")
        if not self.anchor_cells or min(self.anchor_cells) <= 0 or not 0 <= self.shrink < 1:
            raise InputError("anchor_cells must be above 0, one or more; shrink in [0, 1)")
        if min(self.max_boxes, self.num_labels) < 0 or self.finest_stride < 1:
            raise InputError("max_boxes and num_labels must be 0 or more, finest_stride 1")

    def completed(self, catalog: Catalog) -> "Detection":
        """Gives the task with what the data set knows filled in; called once, before a run.

        Raises:
            InputError: no boxes, or other classes than those asked for.
        """
        names, most = data.read_classes(catalog)
        if self.classes and self.classes != names:
            raise InputError(f"classes {self.classes}: the data set has {names}")
        return replace(self, classes=names, max_boxes=self.max_boxes or max(1, most))

    def items(self, catalog: Catalog) -> NDArray[np.int64]:
        """Gives rows with boxes: for training those in which there is a thing, else all."""
        training = len(catalog) > 0 and catalog.row(0).split == "train"
        keep = data.has_things if training else data.has_boxes
        rows = first_rows(catalog, keep, self.num_labels, seed=self.label_seed)
        if not len(rows):
            raise InputError(
                f"detection: none of {len(catalog)} rows has boxes; see docs/detection.md"
            )
        return rows

    def place_of(self, row: ClipRow, **how: Any) -> Place:
        """Gives where a row's picture stands; see `avssl.transform.placing.placed`."""
        return placed(
            picture_px=(row.width_px, row.height_px),
            canvas_px=(self.width_px, self.height_px),
            **how,
        )

    def sample(self, catalog: Catalog, index: int, rng: np.random.Generator) -> Plan:
        """Plans the place of row `index`; always the same number of random values."""
        row = catalog.row(index)
        draw = rng.random(4)
        training = row.split == "train"
        how: dict[str, Any] = {}
        if training:
            how = {
                "share": 1 - self.shrink * draw[0],
                "where": (draw[1], draw[2]),
                "flip": bool(self.flip and draw[3] < 0.5),
            }
        place, truth = self.place_of(row, **how), data.truth_of(row)
        return Plan(
            spans=(FrameSpan(row=index, times_s=(row.start_s,)),),
            target={
                "boxes": tuple(place.boxes(truth.boxes).ravel().tolist()),
                "classes": tuple(truth.classes.tolist()),
                "ignored": tuple(truth.ignored.astype(int).tolist()),
                "picture": place.picture_px,
                "shown": place.shown_px,
                "corner": (place.left, place.top),
                "flip": int(place.flip),
                "train": int(training),
            },
        )

    def transform(self, clips: Sequence[Clip], plan: Plan, rng: np.random.Generator) -> Example:
        """Puts the picture on the canvas (see the top for the arrays)."""
        found, target = clips[0].frames, dict[str, Any](plan.target)
        assert found is not None
        place = Place(
            picture_px=target["picture"],
            canvas_px=(self.width_px, self.height_px),
            shown_px=target["shown"],
            left=target["corner"][0],
            top=target["corner"][1],
            flip=bool(target["flip"]),
        )
        shown = place.picture(found[0])
        color = pictures.draw_color(
            brightness=self.brightness,
            contrast=self.contrast,
            saturation=self.saturation,
            rng=rng,
        )
        if target["train"]:
            shown = color.apply(shown[None])[0]
        count = len(target["classes"])
        if count > self.max_boxes:
            raise InputError(f"max_boxes {self.max_boxes}: a picture has {count} things")
        boxes = np.zeros((self.max_boxes, 4), dtype=np.float32)
        classes, state = np.zeros((2, self.max_boxes), dtype=np.int64)
        boxes[:count] = np.array(target["boxes"]).reshape(-1, 4)
        classes[:count] = target["classes"]
        state[:count] = np.where(target["ignored"], data.IGNORED, data.THING)
        return Example(arrays={"frames": shown, "boxes": boxes, "classes": classes, "state": state})

    def freeze(self, encoders: Mapping[str, nn.Module]) -> bool:
        """Says whether the encoders stay as they are, and then takes their gradients away."""
        if self.tune == "frozen":
            for encoder in encoders.values():
                encoder.requires_grad_(False)
        return self.tune == "frozen"

    def layers_of(self, widths: Mapping[str, int]) -> list[str]:
        """Names the layers that are read, the finest first."""
        return used_layers(
            widths, self.layer, finest_stride=self.finest_stride, laterals=self.laterals
        )

    def head(self, widths: Mapping[str, int]) -> nn.Module:
        """Builds the detector; `widths` also has each layer's channels and stride."""
        if not self.classes:
            raise InputError("detection: the classes are not known; train on a data set with boxes")
        names = self.layers_of(widths)
        return DetectionHead(
            [widths[f"vision.{name}.channels"] for name in names],
            [widths[f"vision.{name}.stride"] for name in names],
            num_classes=len(self.classes),
            width=self.head_width,
            hidden=self.hidden,
            anchor_cells=self.anchor_cells,
            num_proposals=self.num_proposals,
            num_sampled=self.num_sampled,
            max_found=self.max_found,
        )

    def predict(self, encoders: Mapping[str, nn.Module], head: nn.Module, batch: Batch) -> Outputs:
        """Gives "losses" [4] where the batch has boxes, "found" [B, D, 6] in evaluation."""
        encoder: Any = encoders["vision"]
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.tune != "frozen"):
            seen = encoder.features(batch["frames"])
        widths = {
            f"vision.{name}.{kind}": value
            for name, sizes in encoder.layers.items()
            for kind, value in zip(("channels", "stride"), sizes, strict=True)
        }
        maps = [seen[name] for name in self.layers_of(widths)]
        targets = None
        if "boxes" in batch:
            targets = [
                {"boxes": boxes[state == data.THING], "labels": classes[state == data.THING] + 1}
                for boxes, classes, state in zip(
                    batch["boxes"], batch["classes"], batch["state"], strict=True
                )
            ]
        return head(maps, batch["frames"], targets)

    def loss(self, out: Outputs, batch: Batch) -> Tensor:
        """Gives the sum of the four losses (Ren 2015)."""
        return out["losses"].sum()

    def metrics(self, out: Outputs, batch: Batch) -> dict[str, Tensor]:
        """Gives the four losses (the batch's, for each picture), and in evaluation what was found.

        Columns "_score_d", "_class_d" and "_state_d" of each detection, "_count_c" of each class.
        """
        num = len(batch["frames"])
        found = {
            f"loss_{name}": value.detach().expand(num)
            for name, value in zip(LOSSES, out["losses"], strict=True)
        }
        if "found" not in out:
            return found
        answers = self.answers(out)
        truths = data.truths_of(batch)
        states = [metrics.judged(a, t) for a, t in zip(answers, truths, strict=True)]
        counts = [data.counts_of([truth], len(self.classes)) for truth in truths]
        columns = {
            "_score": answers[..., 4],
            "_class": answers[..., 5],
            "_state": np.stack(states),
            "_count": np.stack(counts),
        }
        for name, values in columns.items():
            table = torch.from_numpy(values.astype(np.float64)).to(batch["frames"].device)
            found |= {f"{name}_{k}": table[:, k] for k in range(table.shape[1])}
        return found

    def answers(self, out: Outputs) -> NDArray[np.float64]:
        """Gives detections float64 [B, D, 6]: box (px of the canvas), score, class."""
        return out["found"].detach().cpu().double().numpy()

    def scores(self, columns: Mapping[str, NDArray[np.float64]]) -> dict[str, float]:
        """Gives VOC2007's mean average precision at 0.5, over classes that are there."""
        if "_score_0" not in columns:
            return {}
        counts = np.array([columns[f"_count_{c}"].sum() for c in range(len(self.classes))])
        score, label, state = (
            np.stack([columns[f"_{name}_{d}"] for d in range(self.max_found)], axis=1)
            for name in ("score", "class", "state")
        )
        found = np.zeros((*score.shape, 6))
        found[..., 4], found[..., 5] = score, label
        each = metrics.voc_precisions(
            [found.reshape(-1, 6)], [state.astype(np.int64).ravel()], counts
        )
        value = metrics.mean_precision(each)
        return {} if np.isnan(value) else {"voc07_map": value}

    def standing_truths(self, catalog: Catalog, rows: NDArray[np.int64]) -> list[Truth]:
        """Gives the things of rows, on the canvas as they stand in an evaluation."""
        found = []
        for index in rows:
            row = catalog.row(int(index))
            truth = data.truth_of(row)
            found.append(replace(truth, boxes=self.place_of(row).boxes(truth.boxes)))
        return found

    def trivial(self, catalog: Catalog) -> dict[str, float]:
        """Gives what the best constant boxes, found on the very rows, reach."""
        truths = self.standing_truths(catalog, self.items(catalog))
        counts = data.counts_of(truths, len(self.classes))
        best = []
        for guess in (mean_boxes, constant_boxes):
            same = guess(truths, len(self.classes))
            states = [metrics.judged(same, truth) for truth in truths]
            each = metrics.voc_precisions([same] * len(truths), states, counts)
            best.append(metrics.mean_precision(each))
        return {"voc07_map": max(best)} if np.isfinite(best).all() else {}

    def drawn(self, out: Outputs, batch: Batch) -> list[NDArray[np.uint8]]:
        """Gives the truth and, beside it, the answers of a score of 0.3 and more."""
        found = []
        pairs = zip(
            batch["frames"].cpu().numpy(), data.truths_of(batch), self.answers(out), strict=True
        )
        for picture, truth, answer in pairs:
            both = [
                with_truth(picture, truth, self.classes),
                with_answers(picture, answer, self.classes),
            ]
            found.append(np.concatenate(both, axis=1))
        return found
