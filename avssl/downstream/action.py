"""Action: what is done in the video? Fine-tuning and judging an encoder by classes of videos.

Frame models see one frame at a time, clip models (`CLIP_NETWORKS`) T frames; a classifier stands on
the encoder's vector, or on the mean of any layer. A video's score is the mean of its views' softmax
(Simonyan, Zisserman, "Two-Stream Convolutional Networks for Action Recognition in Videos", NIPS
2014: 25 frames, ten crops of each; papers.md §1.4 has the rows of Shuffle and Learn).

    train       a moment, a square, a mirror, colours: drawn        V = 1
    evaluation  V views, evenly spaced:  softmax → mean over V → log → loss, top-1, top-5

Shapes: B videos, V views, T frames, S px, K classes. Batch: frames uint8 [B, V, 3, S, S], of clip
models [B, V, 3, T, S, S]; label int64 [B].
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from avssl.catalog import Catalog
from avssl.downstream import action_data as data
from avssl.downstream.action_metrics import TOP, blind_scores, class_means
from avssl.errors import InputError
from avssl.records import Clip, Example, FrameSpan, Plan, Shortcut
from avssl.task import Batch, Outputs, layer_sizes
from avssl.transform import frames as pictures


@dataclass(frozen=True, kw_only=True)
class Action:
    """What is done in the video?"""

    name: ClassVar[str] = "action"
    summary: ClassVar[str] = "What is done? Fine-tuning and judging an encoder by classes of videos"
    streams: ClassVar[tuple[str, ...]] = ("vision",)
    shortcuts: ClassVar[tuple[Shortcut, ...]] = ()
    keeps_head: ClassVar[bool] = True

    classes: tuple[str, ...] = ()
    """Names of the classes. Empty: all of the split train, by name; fewer: clips of others are left
    out."""
    class_counts: tuple[int, ...] = ()
    """Clips of each in the split train; filled in."""
    field: str = ""
    """Label that holds the class. Empty: "class", else "action" (the synthetic world's)."""
    num_frames: int = 1
    """Frames that the network sees at once: 1, or what a clip model was made for."""
    clip_s: float = 2.13
    """Seconds that these frames are spread over (64 frames of 30 Hz)."""
    size_px: int = 112
    """Side of what the network sees."""
    scale: tuple[float, float] = (0.6, 1.0)
    """Side of the square that is cut out in training, drawn from this, as a share of the short
    side."""
    test_scale: float = 0.875
    """The same in evaluation."""
    num_views: int = 3
    """Evenly spaced moments that an evaluation looks at; `avssl eval action` has its own."""
    crops: Literal["one", "flip", "ten"] = "one"
    """Places of each: the middle; and mirrored; or middle and corners, and mirrored."""
    flip: bool = True
    """Mirror with p = ½. Off where left and right tell classes apart."""
    layer: str = ""
    """Layer of the encoder whose mean is classified, such as "res4"; empty: the vector."""
    tune: Literal["full", "frozen"] = "full"
    """Whether the encoder is trained too. In stages: see optim.encoder_from_step."""
    standardise: bool = False
    """Bring each of the numbers that are classified to mean 0 and deviation 1 (BatchNorm without
    weights): frozen features come in any scale."""
    dropout: float = 0.5
    """Share of these numbers that is left out in training."""
    brightness: float = 0.2
    """Factor from 1 ± this."""
    contrast: float = 0.2
    """Factor from 1 ± this."""
    saturation: float = 0.2
    """Factor from 1 ± this."""

    def __post_init__(self) -> None:
        if self.size_px < 16 or self.num_frames < 1 or self.num_views < 1 or self.clip_s <= 0:
            raise InputError(
                "size_px must be 16 or more, num_frames and num_views 1, clip_s above 0"
            )
        if not 0 < self.scale[0] <= self.scale[1] <= 1 or not 0 < self.test_scale <= 1:
            raise InputError(f"scale {self.scale}, test_scale {self.test_scale}: above 0, up to 1")
        if self.crops not in data.CROPS:
            raise InputError(f"crops {self.crops!r}: must be one of {', '.join(data.CROPS)}")
        if not 0 <= self.dropout < 1:
            raise InputError(f"dropout {self.dropout}: must be from 0 to below 1")
        if len(set(self.classes)) < len(self.classes) or len(self.classes) == 1:
            raise InputError(f"classes {self.classes}: must be two or more, each once")

    @property
    def label_names(self) -> tuple[str, ...]:
        """The words of its labels."""
        return self.classes

    def completed(self, catalog: Catalog) -> "Action":
        """Gives the task with what the data set knows filled in; called once, before a run.

        Raises:
            InputError: no labels, fewer than two classes to train on, or none of a class asked for.
        """
        field = data.known_field(catalog, self.field)
        counts = data.count_classes(catalog, field)
        classes = self.classes or tuple(sorted(counts))
        absent = [name for name in classes if not counts[name]]
        if absent:
            raise InputError(
                f"{catalog.directory}: no clip of {', '.join(absent[:3])} in the split train "
                f"(label {field!r}); it has {', '.join(sorted(counts)[:6])}…"
            )
        if len(classes) < 2:
            raise InputError(
                f"{catalog.directory}: {len(classes)} classes in the split train (label "
                f"{field!r}); two are needed"
            )
        own = tuple(counts[name] for name in classes)
        return replace(self, classes=classes, class_counts=own, field=field)

    def label_of(self, row: Any) -> int:
        """Gives the number of a row's class, −1 where it has none of `classes`."""
        name = data.class_of(row, self.field)
        return self.classes.index(name) if name in self.classes else -1

    def items(self, catalog: Catalog) -> NDArray[np.int64]:
        """Gives the rows of the classes, each once."""
        known = set(self.classes)
        rows = [
            k for k, row in enumerate(catalog.rows()) if data.class_of(row, self.field) in known
        ]
        if not rows:
            raise InputError(f"action: none of {len(catalog)} clips has one of the classes")
        return np.asarray(rows, dtype=np.int64)

    def sample(self, catalog: Catalog, index: int, rng: np.random.Generator) -> Plan:
        """Plans the views of row `index`; always the same number of random values."""
        row = catalog.row(index)
        box = pictures.draw_box(
            height_px=row.height_px,
            width_px=row.width_px,
            scale=self.scale,
            rng=rng,
            borders_px=row.borders_px,
        )
        draw = rng.random(2)
        training = row.split == "train"
        shares = draw[:1] if training else data.even_shares(self.num_views)
        times_s = data.moments(row, shares.tolist(), num_frames=self.num_frames, clip_s=self.clip_s)
        return Plan(
            spans=(FrameSpan(row=index, times_s=times_s),),
            target={
                "label": self.label_of(row),
                "train": int(training),
                "box": box,
                "flip": int(self.flip and draw[1] < 0.5),
                "borders": row.borders_px,
            },
        )

    def transform(self, clips: Sequence[Clip], plan: Plan, rng: np.random.Generator) -> Example:
        """Cuts the squares out (see the top for the arrays)."""
        found: Any = clips[0].frames
        target: Any = plan.target
        color = pictures.draw_color(
            brightness=self.brightness, contrast=self.contrast, saturation=self.saturation, rng=rng
        )
        if target["train"]:
            squares = [(target["box"], bool(target["flip"]))]
        else:
            squares = [
                (box, mirror)
                for box, mirror in data.places(
                    height_px=found.shape[2],
                    width_px=found.shape[3],
                    scale=self.test_scale,
                    crops=self.crops,
                    borders_px=target["borders"],
                )
                if self.flip or not mirror
            ]
        views = []
        for start in range(0, len(found), self.num_frames):
            for box, mirror in squares:
                part = found[start : start + self.num_frames]
                shown = pictures.crop_resize(part, box, size_px=self.size_px, flip=mirror)
                shown = color.apply(shown) if target["train"] else shown
                views.append(shown[0] if self.num_frames == 1 else shown.transpose(1, 0, 2, 3))
        label = np.array(target["label"], dtype=np.int64)
        return Example(arrays={"frames": np.stack(views), "label": label})

    def freeze(self, encoders: Mapping[str, nn.Module]) -> bool:
        """Says whether the encoders stay as they are, and then takes their gradients away."""
        if self.tune == "frozen":
            for encoder in encoders.values():
                encoder.requires_grad_(False)
        return self.tune == "frozen"

    def head(self, widths: Mapping[str, int]) -> nn.Module:
        """Builds the classifier: of a whole network, what the papers call fc8 begun anew."""
        if not self.classes:
            raise InputError("action: the classes are not known; train on a data set with classes")
        width = layer_sizes(widths, self.layer)[0] if self.layer else widths["vision"]
        parts: list[nn.Module] = [nn.Dropout(self.dropout), nn.Linear(width, len(self.classes))]
        if self.standardise:
            parts.insert(0, nn.BatchNorm1d(width, affine=False))
        return nn.Sequential(*parts)

    def predict(self, encoders: Mapping[str, nn.Module], head: nn.Module, batch: Batch) -> Outputs:
        """Gives "views" [B, V, K], logits, and "logits" [B, K], the log of their mean softmax.

        Raises:
            InputError: the network takes another number of frames.
        """
        encoder: Any = encoders["vision"]
        takes = getattr(encoder, "num_frames", 1)
        if (takes > 1) != (self.num_frames > 1):
            raise InputError(
                f"task.num_frames {self.num_frames}: {encoder.name} sees {takes} at once; give "
                f"--task.num-frames {takes}"
            )
        frames = batch["frames"]
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.tune != "frozen"):
            if self.layer:
                seen = encoder.features(frames.flatten(0, 1))[self.layer].flatten(2).mean(2)
            else:
                seen = encoder(frames.flatten(0, 1))
        views = head(seen).unflatten(0, frames.shape[:2])
        return {"views": views, "logits": mean_softmax(views)}

    def loss(self, out: Outputs, batch: Batch) -> Tensor:
        """Gives the cross-entropy of the video's score."""
        return functional.nll_loss(out["logits"], batch["label"])

    def metrics(self, out: Outputs, batch: Batch) -> dict[str, Tensor]:
        """Gives whether the class is the first, and among the first five, [B]."""
        logits, label = out["logits"], batch["label"]
        order = logits.topk(min(TOP, logits.shape[1]), dim=1).indices
        right = order == label[:, None]
        found = {"accuracy": right[:, 0].float(), "_label": label.float()}
        if len(self.classes) > TOP:
            found["top5"] = right.any(dim=1).float()
        return found

    def scores(self, columns: Mapping[str, NDArray[np.float64]]) -> dict[str, float]:
        """Gives accuracy, top-5 (of more than five classes), and the mean over classes."""
        found = {k: float(np.mean(v)) for k, v in columns.items() if not k.startswith("_")}
        labels = columns["_label"].astype(np.int64)
        found["mean_class_accuracy"] = class_means(columns["accuracy"], labels)
        return found

    def trivial(self, catalog: Catalog) -> dict[str, float]:
        """Gives what naming the commonest classes of the split train reaches."""
        labels = [self.label_of(catalog.row(int(k))) for k in self.items(catalog)]
        return blind_scores(np.asarray(labels), np.asarray(self.class_counts))


def mean_softmax(views: Tensor) -> Tensor:
    """Gives the log of the mean over views of their softmax, [B, V, K] → [B, K]."""
    each = views.float().log_softmax(dim=2)
    return each.logsumexp(dim=1) - float(np.log(views.shape[1]))
