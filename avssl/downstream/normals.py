"""Surface normals: which way does what is seen at each pixel face?

A convolutional head on several maps of the encoder, the coarse ones carried into the fine ones,
answers with a unit vector for each pixel; pixels without truth count nowhere. After Goyal and
others (ICCV 2019), who judge encoders so on NYUv2; the head is ours.

    row ── rectangle of the form of the answer, as large as fits ── scaled ── [3, H, W]
           (training: smaller and anywhere, mirrored, other colours)

Shapes: B pictures of H x W px. Batch: frames uint8 [B, 3, H, W], normals uint8 [B, 3, H, W] (coded
as `avssl.labels.surfaces` says: x right, y down, z forward; (0, 0, 0) unknown). A part of a picture
keeps its normals as they are, in the axes of the whole picture's camera.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from avssl.catalog import Catalog, ClipRow
from avssl.decode.fetch import Fetcher
from avssl.downstream import normal_metrics as metrics
from avssl.downstream.labelled_rows import first_rows
from avssl.errors import InputError
from avssl.labels.surfaces import NAME, decode_normals
from avssl.model.normals import NormalHead, angles, decoded, normals_loss
from avssl.model.pyramid import used_layers
from avssl.records import Clip, Example, FrameSpan, MapSpan, Plan, Shortcut
from avssl.task import Batch, Outputs
from avssl.transform import frames as pictures
from avssl.transform import maps

_MOST_TRIVIAL = 512


@dataclass(frozen=True, kw_only=True)
class Normals:
    """Which way do surfaces face?"""

    name: ClassVar[str] = "normals"
    summary: ClassVar[str] = "Which way do surfaces face? Fine-tuning and judging by normals"
    streams: ClassVar[tuple[str, ...]] = ("vision",)
    shortcuts: ClassVar[tuple[Shortcut, ...]] = ()
    keeps_head: ClassVar[bool] = True

    height_px: int = 96
    """Height of what the network sees and answers."""
    width_px: int = 128
    """Width of it."""
    layer: str = ""
    """Coarsest layer of the encoder that is read; empty: the last."""
    laterals: bool = True
    """Read the finer layers too; off: that one alone."""
    finest_stride: int = 4
    """Finest stride (px) of the layers that are read, and of the answer before it is enlarged."""
    tune: Literal["full", "frozen"] = "full"
    """Whether the encoder is trained too. In stages: see optim.encoder_from_step."""
    head_width: int = 64
    """Channels of the head."""
    loss_kind: Literal["angle", "cosine"] = "angle"
    """The angle itself, or 1 − cosine."""
    num_labels: int = 0
    """Training rows that are used, 0: all. Smaller numbers are subsets of larger ones."""
    label_seed: int = 0
    """Which rows those are."""
    zoom: float = 0.3
    """What is shown in training has sides of 1 − this to 1 times the largest that fit."""
    flip: bool = True
    """Mirror with p = ½; the normals' x changes sign."""
    brightness: float = 0.2
    """Factor from 1 ± this."""
    contrast: float = 0.2
    """Factor from 1 ± this."""
    saturation: float = 0.2
    """Factor from 1 ± this."""

    def __post_init__(self) -> None:
        if min(self.height_px, self.width_px) < 16 or self.head_width < 1:
            raise InputError("height_px and width_px must be 16 or more, head_width 1")
        if self.finest_stride < 1 or self.num_labels < 0 or not 0 <= self.zoom < 1:
            raise InputError("finest_stride must be 1 or more, num_labels 0, zoom in [0, 1)")

    @property
    def shown_px(self) -> tuple[int, int]:
        """Width and height of what is seen."""
        return self.width_px, self.height_px

    def items(self, catalog: Catalog) -> NDArray[np.int64]:
        """Gives the rows with normals, each once; of the training split `num_labels` of them."""
        rows = first_rows(catalog, _has_normals, self.num_labels, seed=self.label_seed)
        if not len(rows):
            raise InputError(
                f"normals: none of {len(catalog)} rows of {catalog.directory} has surface normals; "
                "make such a data set with datasets/nyuv2 or datasets/world_truth"
            )
        return rows

    def sample(self, catalog: Catalog, index: int, rng: np.random.Generator) -> Plan:
        """Plans the rectangle of row `index`; always the same number of random values."""
        row = catalog.row(index)
        draw = rng.random(4)
        training = row.split == "train"
        box = self.standing_box(row)
        if training:
            box = maps.drawn_box(
                picture_px=(row.width_px, row.height_px),
                shown_px=self.shown_px,
                share=1 - self.zoom * draw[0],
                place=(draw[1], draw[2]),
            )
        return Plan(
            spans=(
                FrameSpan(row=index, times_s=(row.start_s,)),
                MapSpan(row=index, name=NAME),
            ),
            target={
                "box": box,
                "flip": int(training and self.flip and draw[3] < 0.5),
                "train": int(training),
            },
        )

    def standing_box(self, row: ClipRow) -> maps.Rectangle:
        """Gives what is shown of a row where nothing is drawn."""
        return maps.standing_box(picture_px=(row.width_px, row.height_px), shown_px=self.shown_px)

    def transform(self, clips: Sequence[Clip], plan: Plan, rng: np.random.Generator) -> Example:
        """Cuts picture and normals alike (see the top for the arrays)."""
        seen, truth = clips[0].frames, clips[1].frames
        assert seen is not None and truth is not None
        if seen.shape[2:] != truth.shape[2:]:
            raise InputError(f"normals of {truth.shape[2:]} px on a picture of {seen.shape[2:]}")
        box: Any = plan.target["box"]
        shown = maps.cut(seen[0], box, shown_px=self.shown_px)
        normals = maps.cut(truth[0], box, shown_px=self.shown_px, nearest=True)
        color = pictures.draw_color(
            brightness=self.brightness,
            contrast=self.contrast,
            saturation=self.saturation,
            rng=rng,
        )
        if plan.target["train"]:
            shown = color.apply(shown[None])[0]
        if plan.target["flip"]:
            shown, normals = maps.mirrored(shown), maps.mirrored_normals(normals)
        return Example(arrays={"frames": shown, "normals": normals})

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
        """Builds the head; `widths` also has each layer's channels and stride."""
        names = self.layers_of(widths)
        channels = [widths[f"vision.{name}.channels"] for name in names]
        return NormalHead(channels, width=self.head_width, stride=self.finest_stride)

    def predict(self, encoders: Mapping[str, nn.Module], head: nn.Module, batch: Batch) -> Outputs:
        """Gives {"normals": unit vectors [B, 3, H, W]}."""
        encoder: Any = encoders["vision"]
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.tune != "frozen"):
            found = encoder.features(batch["frames"])
        widths = {
            f"vision.{name}.{kind}": value
            for name, sizes in encoder.layers.items()
            for kind, value in zip(("channels", "stride"), sizes, strict=True)
        }
        shown = [found[name] for name in self.layers_of(widths)]
        return {"normals": head(shown, (self.height_px, self.width_px))}

    def loss(self, out: Outputs, batch: Batch) -> Tensor:
        """Gives the mean over pixels that are known."""
        truth, known = decoded(batch["normals"])
        return normals_loss(out["normals"], truth, known, kind=self.loss_kind)

    def metrics(self, out: Outputs, batch: Batch) -> dict[str, Tensor]:
        """Gives each picture's mean angle (degrees), and the counts that `scores` adds up."""
        truth, known = decoded(batch["normals"])
        found = metrics.counts_of(angles(out["normals"].float(), truth), known)
        return {"angle_deg": found["_sum"] / found["_count"].clamp_min(1), **found}

    def scores(self, columns: Mapping[str, NDArray[np.float64]]) -> dict[str, float]:
        """Gives mean and median angle and the shares within three angles, over all pixels."""
        return metrics.figures_of(columns)

    def trivial(self, catalog: Catalog) -> dict[str, float]:
        """Gives what the mean normal at each place, over the very rows, reaches.

        The best guess that sees nothing, or nearly: of at most 512 rows, evenly spread.
        """
        rows = self.items(catalog)
        rows = rows[np.linspace(0, len(rows) - 1, min(len(rows), _MOST_TRIVIAL)).astype(int)]
        guess = torch.from_numpy(self.mean_normals(catalog, rows)[1])[None]
        parts: dict[str, list[Tensor]] = {}
        for coded in self.truths(catalog, rows):
            truth, known = decoded(torch.from_numpy(coded)[None])
            for name, value in metrics.counts_of(angles(guess, truth), known).items():
                parts.setdefault(name, []).append(value)
        return metrics.figures_of({name: torch.cat(own).numpy() for name, own in parts.items()})

    def truths(self, catalog: Catalog, rows: NDArray[np.int64]) -> Iterator[NDArray[np.uint8]]:
        """Gives the coded normals of rows as they stand, uint8 [3, H, W]."""
        fetcher = Fetcher(catalog.directory)
        for index in rows:
            row = catalog.row(int(index))
            coded = fetcher.label_map(row, NAME).frames
            assert coded is not None
            box = self.standing_box(row)
            yield maps.cut(coded[0], box, shown_px=self.shown_px, nearest=True)
        fetcher.close()

    def mean_normals(
        self, catalog: Catalog, rows: NDArray[np.int64]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Gives the mean direction of all pixels, and of each place, float32 [3, H, W] both."""
        sums = np.zeros((self.height_px, self.width_px, 3))
        for coded in self.truths(catalog, rows):
            sums += decode_normals(coded.transpose(1, 2, 0))
        constant = np.broadcast_to(sums.mean(axis=(0, 1)), sums.shape)
        both = []
        for mean in (constant, np.where(sums.any(axis=-1, keepdims=True), sums, constant)):
            unit = mean / np.linalg.norm(mean, axis=-1, keepdims=True).clip(1e-9)
            both.append(np.ascontiguousarray(unit.transpose(2, 0, 1), dtype=np.float32))
        return both[0], both[1]

    def drawn(self, out: Outputs, batch: Batch) -> list[NDArray[np.uint8]]:
        """Gives picture, answer and truth side by side, normals as colours, twice as large."""
        answers = coded_picture(out["normals"])
        found = []
        for k, shown in enumerate(batch["frames"].cpu().numpy()):
            three = [shown, answers[k], batch["normals"][k].cpu().numpy()]
            row = np.concatenate([one.transpose(1, 2, 0) for one in three], axis=1)
            found.append(np.asarray(cv2.resize(row, None, fx=2, fy=2), dtype=np.uint8))
        return found


def coded_picture(normals: Tensor) -> NDArray[np.uint8]:
    """Gives unit vectors [B, 3, H, W] as colours, uint8, as truth is coded."""
    return (128 + 127 * normals.detach().float().cpu()).round().numpy().astype(np.uint8)


def _has_normals(row: ClipRow) -> bool:
    return isinstance(row.labels.get(NAME), dict)
