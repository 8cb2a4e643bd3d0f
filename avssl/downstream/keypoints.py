"""Keypoints: where in the picture are the joints? What an encoder knows of pose is judged by it.

Two heads: heat maps by transposed convolutions (Xiao, Wu, Wei, ECCV 2018) on any layer of the
encoder, and the coordinate regression of DeepPose that Shuffle and Learn's authors used (papers.md
§1.5: Euclidean loss on (joint − middle of the crop) / side, from the encoder's vector).

Rows of the training split are shown turned, scaled, shifted and, where the set names pairs of left
and right, mirrored; all others as they are. Joints move with the pixels, by the same affine map.

Shapes: B pictures, K joints, S x S px. Batch: frames uint8 [B, 3, S, S], joints float32 [B, K, 2]
(px of the crop), labelled float32 [B, K] (0 or 1), normaliser float32 [B] (px of the crop, NaN
where the set does not say).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from avssl.catalog import Catalog
from avssl.downstream import keypoints_data as data
from avssl.errors import InputError
from avssl.model.heatmaps import HeatmapHead, cells_of, gaussians, map_loss, peaks, pixels_of
from avssl.records import Clip, Example, FrameSpan, Plan, Shortcut
from avssl.task import Batch, Outputs, layer_sizes
from avssl.transform import frames as pictures
from avssl.transform.drawing import draw_pose
from avssl.transform.poses import View, move, show, swapped

AUC_STEPS = 20
_NO_ERROR = -1.0  # a joint that is not labelled


@dataclass(frozen=True, kw_only=True)
class Keypoints:
    """Where are the joints?"""

    name: ClassVar[str] = "keypoints"
    summary: ClassVar[str] = "Where are the joints? Fine-tuning and judging an encoder by pose"
    streams: ClassVar[tuple[str, ...]] = ("vision",)
    shortcuts: ClassVar[tuple[Shortcut, ...]] = ()
    keeps_head: ClassVar[bool] = True

    joints: tuple[str, ...] = ()
    """Names of the joints. Empty: those of the data set (so are the next three)."""
    flip_pairs: tuple[tuple[int, int], ...] = ()
    """Joints that change places in a mirror."""
    edges: tuple[tuple[int, int], ...] = ()
    """Lines to draw."""
    normaliser: str = ""
    """What errors are divided by; see `avssl.labels.Skeleton`."""
    threshold: float = 0.0
    """Error up to which a joint counts as found; 0: 0.5 (head), 0.2 (torso) or 0.1 (box)."""
    size_px: int = 128
    """Side of what the network sees."""
    crop: Literal["auto", "person", "joints", "picture"] = "auto"
    """What is shown: the person's box and a quarter more, 1.5 times the box around the true joints
    (the papers' protocol: it needs the answer), or the whole picture. "auto": the box where the
    data set has boxes, else the whole picture."""
    layer: str = ""
    """Layer of the encoder that is handed on, such as "res3"; empty: the last."""
    tune: Literal["full", "frozen"] = "full"
    """Whether the encoder is trained too. In stages: see optim.encoder_from_step."""
    head_kind: Literal["heatmap", "regression"] = "heatmap"
    """Heat maps, or coordinates from the encoder's vector."""
    map_loss: Literal["mse", "softmax"] = "softmax"
    """Loss of the heat maps: squared difference (the paper) or cross-entropy over places."""
    sigma_cells: float = 1.5
    """Width of the targets, in cells of the heat map (the paper: 2 at 64 x 64 cells)."""
    head_width: int = 64
    """Channels of the transposed convolutions (the paper: 256)."""
    num_labels: int = 0
    """Training rows that are used, 0: all. Smaller numbers are subsets of larger ones."""
    label_seed: int = 0
    """Which rows those are."""
    rotation_deg: float = 30.0
    """Largest turn either way, in six of ten samples."""
    scale_jitter: float = 0.25
    """Largest change of the shown side, as a share of it."""
    shift_jitter: float = 0.1
    """Largest shift of the crop, as a share of its side."""
    flip: bool = True
    """Mirror with p = ½ where the data set names pairs."""
    brightness: float = 0.2
    """Factor from 1 ± this."""
    contrast: float = 0.2
    """Factor from 1 ± this."""
    saturation: float = 0.2
    """Factor from 1 ± this."""

    def __post_init__(self) -> None:
        if self.crop not in data.CROPS:
            raise InputError(f"crop {self.crop!r}: must be one of {', '.join(data.CROPS)}")
        if self.size_px < 16 or self.head_width < 1 or self.num_labels < 0:
            raise InputError("size_px must be 16 or more, head_width 1, num_labels 0")
        if not 0 <= self.scale_jitter < 1 or self.shift_jitter < 0 or self.rotation_deg < 0:
            raise InputError("scale_jitter must be in [0, 1), shift_jitter and rotation_deg >= 0")
        if self.sigma_cells <= 0 or self.threshold < 0:
            raise InputError("sigma_cells must be above 0, threshold 0 or more")
        if self.joints and any(max(pair) >= len(self.joints) for pair in self.flip_pairs):
            raise InputError(f"flip_pairs {self.flip_pairs}: there are {len(self.joints)} joints")

    def completed(self, catalog: Catalog) -> "Keypoints":
        """Gives the task with what the data set knows filled in; called once, before a run.

        Raises:
            InputError: no labelled rows, or other joints than those asked for.
        """
        found = data.read_labels(catalog)
        if self.joints and self.joints != found.names:
            raise InputError(f"joints {self.joints}: the data set has {found.names}")
        crop = self.crop
        if crop == "auto":
            rows = map(data.labels_of, catalog.rows())
            known = all(
                cells.get("box_px") or (cells.get("centre_px") and cells.get("height_px"))
                for cells in rows
                if cells is not None
            )
            crop = "person" if known else "picture"
        normaliser = self.normaliser or found.normaliser
        return replace(
            self,
            joints=found.names,
            flip_pairs=self.flip_pairs or found.flip_pairs,
            edges=self.edges or found.edges,
            normaliser=normaliser,
            threshold=self.threshold or data.default_threshold(normaliser),
            crop=crop,
        )

    def items(self, catalog: Catalog) -> NDArray[np.int64]:
        """Gives the labelled rows, each once; of the training split `num_labels` of them."""
        training = len(catalog) > 0 and catalog.row(0).split == "train"
        rows = data.first_labels(catalog, self.num_labels if training else 0, seed=self.label_seed)
        if not len(rows):
            raise InputError(
                f"keypoints: none of {len(catalog)} rows has labelled joints; see docs/labels.md"
            )
        return rows

    def sample(self, catalog: Catalog, index: int, rng: np.random.Generator) -> Plan:
        """Plans the view of row `index`; always the same number of random values."""
        row = catalog.row(index)
        cells = data.labels_of(row)
        assert cells is not None
        draw = rng.random(6)
        view = data.standing_view(row, crop=self.crop, size_px=self.size_px)
        if row.split == "train":
            signed = 2 * draw - 1
            side = view.sides_px[0] * (1 + self.scale_jitter * signed[0])
            view = View(
                centre_px=(
                    view.centre_px[0] + side * self.shift_jitter * signed[1],
                    view.centre_px[1] + side * self.shift_jitter * signed[2],
                ),
                sides_px=(side, side),
                size_px=self.size_px,
                angle_deg=self.rotation_deg * signed[3] if draw[4] < 0.6 else 0.0,
                flip=bool(self.flip and self.flip_pairs and draw[5] < 0.5),
            )
        normaliser = data.normaliser_px(row, self.normaliser)
        return Plan(
            spans=(FrameSpan(row=index, times_s=(row.start_s,)),),
            target={
                "joints": tuple(data.joints_of(cells).ravel().tolist()),
                "normaliser": normaliser,
                "centre": view.centre_px,
                "side": view.sides_px[0],
                "angle": view.angle_deg,
                "flip": int(view.flip),
                "train": int(row.split == "train"),
            },
        )

    def view_of(self, plan: Plan) -> View:
        """Gives the view that a plan asks for."""
        target: Any = plan.target
        return View(
            centre_px=target["centre"],
            sides_px=(target["side"], target["side"]),
            size_px=self.size_px,
            angle_deg=target["angle"],
            flip=bool(target["flip"]),
        )

    def transform(self, clips: Sequence[Clip], plan: Plan, rng: np.random.Generator) -> Example:
        """Cuts the view out and moves the joints with it (see the top for the arrays)."""
        found, target = clips[0].frames, plan.target
        assert found is not None
        view = self.view_of(plan)
        shown = show(found[0], view)
        color = pictures.draw_color(
            brightness=self.brightness,
            contrast=self.contrast,
            saturation=self.saturation,
            rng=rng,
        )
        if target["train"]:
            shown = color.apply(shown[None])[0]
        source: Any = target["joints"]
        joints = move(np.asarray(source, dtype=np.float64).reshape(-1, 2), view.matrix())
        if view.flip:
            joints = swapped(joints, self.flip_pairs)
        labelled: NDArray[np.bool_] = np.isfinite(joints).all(axis=1)  # type: ignore[assignment]
        if target["train"]:  # a joint that the view leaves out is not asked for
            low, high = -0.5, self.size_px - 0.5
            with np.errstate(invalid="ignore"):
                labelled = labelled & ((joints > low) & (joints < high)).all(axis=1)
        normaliser: Any = target["normaliser"]
        return Example(
            arrays={
                "frames": shown,
                "joints": np.where(labelled[:, None], joints, 0).astype(np.float32),
                "labelled": labelled.astype(np.float32),
                "normaliser": np.array(
                    normaliser * self.size_px / view.sides_px[0], dtype=np.float32
                ),
            }
        )

    def freeze(self, encoders: Mapping[str, nn.Module]) -> bool:
        """Says whether the encoders stay as they are, and then takes their gradients away."""
        if self.tune == "frozen":
            for encoder in encoders.values():
                encoder.requires_grad_(False)
        return self.tune == "frozen"

    def head(self, widths: Mapping[str, int]) -> nn.Module:
        """Builds the head for the joints; `widths` also has each layer's channels and stride."""
        if not self.joints:
            raise InputError("keypoints: the joints are not known; train on a labelled data set")
        if self.head_kind == "regression":
            return nn.Linear(widths["vision"], 2 * len(self.joints))
        channels, stride = layer_sizes(widths, self.layer)
        return HeatmapHead(
            channels=channels, stride=stride, num_joints=len(self.joints), width=self.head_width
        )

    def predict(self, encoders: Mapping[str, nn.Module], head: nn.Module, batch: Batch) -> Outputs:
        """Gives {"maps": [B, K, h, w]}, or {"points": [B, K, 2]} (px) for the regression."""
        encoder: Any = encoders["vision"]
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.tune != "frozen"):
            if self.head_kind == "regression":
                seen = encoder(batch["frames"])
            else:
                seen = encoder.features(batch["frames"])[self.layer or list(encoder.layers)[-1]]
        out = head(seen)
        if self.head_kind == "regression":
            middle = (self.size_px - 1) / 2
            return {"points": out.unflatten(1, (-1, 2)) * self.size_px + middle}
        return {"maps": out}

    def loss(self, out: Outputs, batch: Batch) -> Tensor:
        """Gives the loss of the maps, or the squared distance in shares of the side."""
        if "points" in out:
            shares = (out["points"].float() - batch["joints"]) / self.size_px
            each = 0.5 * shares.square().sum(dim=2) * batch["labelled"]
            return each.sum(dim=1).mean()
        maps = out["maps"].float()
        height, width = maps.shape[2:]
        cells = cells_of(batch["joints"], stride=self.size_px // height)
        targets = gaussians(cells, height=height, width=width, sigma=self.sigma_cells)
        return map_loss(maps, targets, batch["labelled"], kind=self.map_loss)

    def decode(self, out: Outputs) -> tuple[Tensor, Tensor]:
        """Gives points [B, K, 2] (px of the crop) and confidence [B, K] (1 for the regression)."""
        if "points" in out:
            points = out["points"].float()
            return points, torch.ones_like(points[..., 0])
        maps = out["maps"].float()
        cells, confidence = peaks(maps, kind=self.map_loss)
        return pixels_of(cells, stride=self.size_px // maps.shape[2]), confidence

    def drawn(self, out: Outputs, batch: Batch) -> list[NDArray[np.uint8]]:
        """Gives the pictures four times as large, answers in colour, the truth in white."""
        points, confidence = (value.cpu().double().numpy() for value in self.decode(out))
        found = []
        for k, shown in enumerate(batch["frames"].cpu().numpy()):
            large = shown.repeat(4, axis=1).repeat(4, axis=2)
            answer = np.column_stack([4 * points[k] + 1.5, confidence[k]])
            truth = np.column_stack([4 * batch["joints"][k].numpy() + 1.5, batch["labelled"][k]])
            picture = draw_pose(large, truth, edges=(), min_confidence=0.5, white=True)
            found.append(
                draw_pose(picture.transpose(2, 0, 1), answer, edges=self.edges, min_confidence=0)
            )
        return found

    def metrics(self, out: Outputs, batch: Batch) -> dict[str, Tensor]:
        """Gives the share of joints found, [B], and each joint's error (−1: not labelled)."""
        points, _ = self.decode(out)
        known = (batch["labelled"] > 0) & (batch["normaliser"] > 0)[:, None]
        error = (points - batch["joints"]).norm(dim=2) / batch["normaliser"][:, None]
        error = torch.where(known, error, torch.full_like(error, _NO_ERROR))
        found = ((error <= self.threshold) & known).float().sum(1) / known.sum(1).clamp_min(1)
        return {"pck": found, **{f"_error_{k}": error[:, k] for k in range(error.shape[1])}}

    def scores(self, columns: Mapping[str, NDArray[np.float64]]) -> dict[str, float]:
        """Gives pck, its area under the curve from 0 to the threshold, and the median error.

        pck and auc are means over joints (each joint's share of the persons that have it).
        """
        errors = [columns[name] for name in columns if name.startswith("_error_")]
        return self._scores([error[error >= 0] for error in errors])

    def _scores(self, errors: Sequence[NDArray[np.float64]]) -> dict[str, float]:
        present = [error for error in errors if len(error)]
        if not present:
            return {}
        levels = np.linspace(0, self.threshold, AUC_STEPS + 1)
        curve = np.array([np.mean([np.mean(e <= level) for e in present]) for level in levels])
        return {
            "pck": float(curve[-1]),
            "auc": float(np.trapezoid(curve, levels) / self.threshold),
            "median_error": float(np.median(np.concatenate(present))),
        }

    def trivial(self, catalog: Catalog) -> dict[str, float]:
        """Gives what the mean pose of the catalogue itself reaches: the best that sees nothing."""
        rows = self.items(catalog)
        mean = data.mean_pose(catalog, rows.tolist(), crop=self.crop)
        errors: list[list[float]] = [[] for _ in mean]
        for index in rows:
            row = catalog.row(int(index))
            cells = data.labels_of(row)
            assert cells is not None
            view = data.standing_view(row, crop=self.crop, size_px=1)
            joints = move(data.joints_of(cells), view.matrix())
            length = data.normaliser_px(row, self.normaliser) / view.sides_px[0]
            for k, distance in enumerate(np.linalg.norm(joints - mean, axis=1) / length):
                if np.isfinite(distance):
                    errors[k].append(float(distance))
        return self._scores([np.asarray(error) for error in errors])
