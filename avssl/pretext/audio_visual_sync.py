"""Audio-visual synchronisation: is this the sound of *this* moment?

Korbar, Tran, Torresani, NeurIPS 2018 (arXiv 1807.00230) and Owens, Efros, ECCV 2018 (1804.03641)
ask it of clips; constants and the join are ours. Mismatched sound is of the same file, at least
`apart_s` away (`avssl.transform.audio_visual`, kind 2): what is seen and heard are the same things,
so that only their timing tells. A clip of pictures is needed: a single one has no moment.

    T pictures → 2-D encoder, one by one → T vectors ┐ → 64 each ┐
    sound → maps, mean over bands → T steps in time  ┘ → 64 each ┴ side by side → 128 → 2

Worked example: 8 pictures 0.08 s apart, 0.64 s of sound around the middle of them, cut into 8 steps
of 0.08 s. A stick hits in the fourth picture; in a matching pair the fourth step is loud.

Measured (docs/hearing_study.md): chance, on the synthetic world in 1000 steps, three seeds. Nor is
it easy for cheap numbers: how what moves in sixteen parts of the picture goes along with where the
sound grows louder, at five lags, tells 1600 pairs with an AUC of 0.52 (trees, five folds). Tried
and not kept: products of what changes in each picture with what changes in each step of the sound
in place of the vectors side by side, from the encoders of a contrast run: 0.515 after 300 steps.

With a clip network (pytorchvideo) its one vector stands beside the steps of the sound.

Shapes: frames uint8 [B, 3, T, S, S], sound float32 [B, n]; see `avssl.transform.audio_visual`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from avssl.catalog import Catalog
from avssl.errors import InputError
from avssl.model.spectrogram import Masks
from avssl.pretext.audio_visual_guards import SHORTCUTS
from avssl.records import Shortcut
from avssl.task import Batch, Outputs, layer_sizes, two_class_metrics, two_class_scores
from avssl.transform.audio_visual import AudioVisualPairs
from avssl.transform.drawing_pairs import draw_pairs


class InStep(nn.Module):
    """Vectors of pictures and steps of sound, side by side → 128 → 2."""

    def __init__(self, *, vision: int, sound: int, num_steps: int) -> None:
        super().__init__()
        self.num_steps = num_steps
        self.vision = nn.Sequential(nn.BatchNorm1d(vision, affine=False), nn.Linear(vision, 64))
        self.sound = nn.Sequential(nn.BatchNorm1d(sound, affine=False), nn.Linear(sound, 64))
        self.join = nn.Sequential(nn.Linear(2 * 64 * num_steps, 128), nn.ReLU(), nn.Linear(128, 2))

    def forward(self, seen: Tensor, heard: Tensor) -> Tensor:
        """Takes [B, T, D] and [B, T, C] to logits [B, 2]."""
        batch = len(seen)
        parts = (
            self.vision(seen.flatten(0, 1)).unflatten(0, (batch, -1)).flatten(1),
            self.sound(heard.flatten(0, 1)).unflatten(0, (batch, -1)).flatten(1),
        )
        return self.join(torch.cat(parts, dim=1))


@dataclass(frozen=True, kw_only=True)
class AudioVisualSync(AudioVisualPairs):
    """Tell clips with the sound of their moment from clips with that of another."""

    name: ClassVar[str] = "audio-visual-sync"
    summary: ClassVar[str] = "is this the sound of this very moment?"
    streams: ClassVar[tuple[str, ...]] = ("vision", "sound")
    label_names: ClassVar[tuple[str, ...]] = ("another moment", "in step")
    shortcuts: ClassVar[tuple[Shortcut, ...]] = SHORTCUTS
    keeps_head: ClassVar[bool] = True

    sound_s: float = 0.64
    """Length of the sound, seconds; the clip's middle is its middle."""
    same_file_share: float = 1.0
    """Share of the mismatched pairs whose sound is from another time of the same file; pictures of
    files that are too short for two such times take another group's."""
    apart_s: float = 0.5
    """How far that other time is away, at least, seconds."""
    clip_frames: int = 8
    """Pictures around the time, and steps into which the sound is cut."""
    clip_step_s: float = 0.08
    """Time between the pictures."""
    size_px: int = 64
    """Side of the pictures that the network sees."""
    sound_layer: str = "res3"
    """Layer of the sound encoder whose maps are cut into steps; later ones have few."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.clip_frames < 2:
            raise InputError(f"clip_frames {self.clip_frames}: a moment needs 2 or more")
        if self.positive_share >= 1:
            raise InputError("positive_share must be below 1")

    def head(self, widths: Mapping[str, int]) -> nn.Module:
        """Builds the join: [B, T, D] and [B, T, C] → logits [B, 2]."""
        channels, _ = layer_sizes(widths, self.sound_layer, stream="sound")
        return InStep(vision=widths["vision"], sound=channels, num_steps=self.clip_frames)

    def predict(self, encoders: Mapping[str, nn.Module], head: nn.Module, batch: Batch) -> Outputs:
        """Gives {"logits": [B, 2]}."""
        vision: Any = encoders["vision"]
        sound: Any = encoders["sound"]
        frames = batch["frames"]
        if vision.num_frames > 1:
            seen = vision(frames)[:, None].expand(-1, self.clip_frames, -1)
        else:
            stills = frames.transpose(1, 2).flatten(0, 1)
            seen = vision(stills).unflatten(0, (len(frames), self.clip_frames))
        maps = sound.features(
            batch["sound"], Masks(bands=self.mask_bands, frames=self.mask_frames)
        )[self.sound_layer].mean(dim=2)
        heard = functional.adaptive_avg_pool1d(maps, self.clip_frames).transpose(1, 2)
        return {"logits": head(seen, heard)}

    def loss(self, out: Outputs, batch: Batch) -> Tensor:
        """Gives the mean cross-entropy."""
        return functional.cross_entropy(out["logits"].float(), batch["label"])

    def metrics(self, out: Outputs, batch: Batch) -> dict[str, Tensor]:
        """Gives label, score (log odds of "in step") and what averages to the accuracy, [B]."""
        logits = out["logits"]
        return two_class_metrics(logits[:, 1] - logits[:, 0], batch["label"])

    def scores(self, columns: Mapping[str, NDArray[np.float64]]) -> dict[str, float]:
        """Gives balanced accuracy and AUC; {} where only one class was seen."""
        return two_class_scores(columns)

    def trivial(self, catalog: Catalog) -> dict[str, float]:
        """Gives what any answer without looking or listening reaches."""
        return {"balanced_accuracy": 0.5, "auc": 0.5}

    def drawn(self, out: Outputs, batch: Batch) -> list[NDArray[np.uint8]]:
        """Gives each pair, picture beside spectrogram, with the answer and what is so."""
        odds = self.metrics(out, batch)["score"].cpu().numpy()
        frames, sound = batch["frames"].cpu().numpy(), batch["sound"].cpu().numpy()
        labels = batch["label"].cpu().numpy()
        return draw_pairs(frames, sound, odds, labels, self.label_names, rate_hz=self.rate_hz)
