"""What all tasks on picture and sound share: which pairs are drawn, and what is seen and heard.

The fields are knobs of every such task. Plans: one FrameSpan (the picture, or a clip of pictures)
and one SoundSpan; `Plan.target` has "label" (1: they belong together), "kind" (0: they do, 1: the
sound is another group's, 2: of the same file), "group" (a number for the picture's group),
"sound_start_s" and the phases that the probes look at.

Shapes: B samples, S x S px, n samples of sound. Batch: frames uint8 [B, 3, S, S], or [B, 3, T, S,
S] with `clip_frames` T > 1; sound float32 [B, n]; label int64 [B]; group int64 [B].
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avssl.catalog import Catalog, ClipRow
from avssl.errors import InputError
from avssl.records import Clip, Example, FrameSpan, Plan, SoundSpan
from avssl.sample.clock import screen_times
from avssl.sample.pairs import apart, spots
from avssl.transform import frames as pictures
from avssl.transform import sound as sounds
from avssl.transform.pair_rows import format_of, number_of, packet_phase, pair_rows, step_s

MATCHED, OTHER_GROUP, SAME_FILE = 0, 1, 2
"""`Plan.target["kind"]`."""


@dataclass(frozen=True, kw_only=True)
class AudioVisualPairs:
    """Knobs and sampling of pairs of pictures and sound."""

    sound_s: float = 1.0
    """Length of the sound, seconds; the picture's time is its middle."""
    rate_hz: int = 16_000
    """Sampling rate of the sound: that of the sound encoder's front end."""
    positive_share: float = 0.5
    """Share of pairs that belong together."""
    same_file_share: float = 0.0
    """Share of the mismatched pairs whose sound is from another time of the same file (harder);
    pictures of files that are too short for two such times take another group's."""
    apart_s: float = 2.0
    """How far that other time is away, at least, seconds."""
    silence_db: float = -50.0
    """Sound in which no window is as loud is not used, dB below full scale."""
    random_labels: bool = False
    """Labels that say nothing: the control of what the networks' training alone does."""
    on_grid: bool = True
    """Off: mismatched sound starts anywhere between two frames. To show the leak only."""
    balanced_groups: bool = True
    """Off: some recordings are heard more often in mismatched pairs. To show the leak only."""
    balanced_places: bool = True
    """Off: mismatched sound is from the first quarter of its file. To show the leak only."""
    match_place: bool = False
    """Sound of another file is as late in it as the picture is in its own: beginnings and ends,
    which fade and have titles, then tell nothing. Of one file there are always two times."""
    match_format: bool = True
    """Partners have the same container, codec and sampling rate, where two groups have them."""
    within_shot: bool = True
    """Off: a cut may lie inside the sound. To show the leak only."""
    skip_silence: bool = True
    """Off: silent stretches are used too. To show the leak only."""
    equal_loudness: bool = True
    """Off: sound is as loud as it was recorded. To show the leak only."""
    loudness_db: float = -20.0
    """RMS to which every stretch is brought, dB below full scale."""
    volume_jitter: float = 0.1
    """Volume of training samples times 1 ± this, after that (L3-Net: 10 %)."""
    mix_share: float = 0.0
    """Share of training samples with a third recording in the background."""
    mix_db: tuple[float, float] = (-15.0, -5.0)
    """Loudness of that background against the sound, drawn evenly, dB."""
    mask_bands: float = 0.0
    """Up to this share of the spectrogram's bands is blanked in training, in one strip
    (SpecAugment, Park and others, 2019)."""
    mask_frames: float = 0.0
    """The same of its frames."""
    clip_frames: int = 1
    """Pictures around the time, for 3-D encoders."""
    clip_step_s: float = 1 / 15
    """Time between the pictures of such a clip."""
    size_px: int = 96
    """Side of the pictures that the network sees."""
    crop_scale: tuple[float, float] = (0.7, 1.0)
    """Side of the square cut out in training, as a share of the short side; held-out pictures are
    cut in their middle, as large as they are high."""
    flip: bool = True
    """Mirror training pictures with p = ½."""
    brightness: float = 0.2
    """Factor from 1 ± this."""
    contrast: float = 0.2
    """Factor from 1 ± this."""
    saturation: float = 0.5
    """Factor from 1 ± this (l3embedding: 0.5)."""

    def __post_init__(self) -> None:
        if self.sound_s <= 0 or self.rate_hz < 1000:
            raise InputError("sound_s must be above 0, rate_hz 1000 or more")
        if not 0 < self.positive_share <= 1 or not 0 <= self.same_file_share <= 1:
            raise InputError("positive_share must be in (0, 1], same_file_share in [0, 1]")
        if self.apart_s < 0 or self.clip_frames < 1 or self.size_px < 16:
            raise InputError("apart_s must be 0 or more, clip_frames 1, size_px 16")
        if not 0 < self.crop_scale[0] <= self.crop_scale[1] <= 1:
            raise InputError(f"crop_scale {self.crop_scale}: must rise within (0, 1]")

        if not (0 <= self.mix_share <= 1 and self.mix_db[0] <= self.mix_db[1]):
            raise InputError("mix_share must be in [0, 1], mix_db must rise")
        if not (0 <= self.mask_bands < 1 and 0 <= self.mask_frames < 1):
            raise InputError("mask_bands and mask_frames must be in [0, 1)")

    def items(self, catalog: Catalog) -> NDArray[np.int64]:
        """Gives the rows with a spot; one stands in it once for every second of spots.

        A group that outweighs all others is drawn less often (`avssl.sample.pairs.capped`).

        Raises:
            InputError: no row can be used, or there is one group only and no file is long enough.
        """
        return pair_rows(self, catalog).items

    def sample(self, catalog: Catalog, index: int, rng: np.random.Generator) -> Plan:
        """Plans one pair with the picture of row `index`; see `draw_pair`."""
        return self.draw_pair(catalog, index, rng, positive_share=self.positive_share)

    def draw_pair(
        self, catalog: Catalog, index: int, rng: np.random.Generator, *, positive_share: float
    ) -> Plan:
        """Plans one pair with the picture of row `index`; nine random values (13 with mixing).

        The spots of picture and sound have one distribution each, whatever the label: see the top
        of `avssl.sample.pairs` for how, with an example. What is mixed in is of a group that is not
        the sound's; whether anything is does not depend on the label.
        """
        known = pair_rows(self, catalog)
        draw = rng.random(9)
        row, own = catalog.row(index), known.spots(index)
        place = min(int(draw[0] * len(own)), len(own) - 1)
        matched = draw[1] < positive_share
        kind, other, heard_at = MATCHED, index, int(own[place])
        pairing, is_long = known.pairing(index), known.is_long(index)
        if not matched and is_long and (draw[2] < self.same_file_share or pairing.num_groups < 2):
            kind = SAME_FILE
            least = known.least_apart(index)
            heard_at = int(own[apart(place, len(own), least=least, draw=draw[3])])
        elif not matched:
            kind, other = OTHER_GROUP, pairing.partner(index, (draw[4], draw[5]))
            found = known.spots(other)
            share = (place + 0.5) / len(own) if self.match_place else draw[6]
            heard_at = int(found[min(int(share * len(found)), len(found) - 1)])
        source = catalog.row(other)
        if not self.balanced_places and not matched:
            found = known.spots(other)
            heard_at = int(found[int(draw[6] * len(found) / 4)])
        start_s = float(source.frame_times_s[heard_at]) - self.sound_s / 2
        if not self.on_grid and not matched:  # as a careless sampler would start
            latest_s = source.sound_start_s + source.sound_num_samples / source.sound_rate_hz
            start_s += (draw[7] - 0.5) * step_s(source)
            start_s = min(max(start_s, source.sound_start_s), latest_s - self.sound_s)
        frame = int(own[place])
        around_s = (np.arange(self.clip_frames) - (self.clip_frames - 1) // 2) * self.clip_step_s
        shown_s = screen_times(row)
        asked_s = np.clip(shown_s[frame] + around_s, shown_s[0], shown_s[-1])
        return Plan(
            spans=(
                FrameSpan(row=index, times_s=tuple(asked_s.tolist())),
                self._heard_at(other, start_s),
                *self._background(catalog, other, rng),
            ),
            target={
                "label": int(draw[8] < positive_share if self.random_labels else matched),
                "kind": kind,
                "group": number_of(row.group_id),
                "sound_group": number_of(source.group_id),
                "formats": (number_of(format_of(row)), number_of(format_of(source))),
                "train": int(row.split == "train"),
                "borders_px": tuple(row.borders_px),
                "frame_phase": (start_s + self.sound_s / 2 - source.start_s) / step_s(source) % 1,
                "packet_phase": packet_phase(source, start_s),
                "picture_place": (row.frame_times_s[frame] - row.start_s) / row.duration_s,
                "sound_place": (start_s + self.sound_s / 2 - source.start_s) / source.duration_s,
            },
        )

    def _heard_at(self, row: int, start_s: float) -> SoundSpan:
        return SoundSpan(row=row, start_s=start_s, duration_s=self.sound_s, rate_hz=self.rate_hz)

    def _background(
        self, catalog: Catalog, heard: int, rng: np.random.Generator
    ) -> tuple[SoundSpan, ...]:
        """Draws what is mixed in, of another group than what is heard; in training only."""
        if not self.mix_share or catalog.row(heard).split != "train":
            return ()
        draw, known = rng.random(4), pair_rows(self, catalog)
        pairing = known.pairing(heard)
        if draw[0] >= self.mix_share or pairing.num_groups < 2:
            return ()
        third = pairing.partner(heard, (draw[1], draw[2]))
        found = known.spots(third)
        place = int(found[min(int(draw[3] * len(found)), len(found) - 1)])
        start_s = float(catalog.row(third).frame_times_s[place]) - self.sound_s / 2
        return (self._heard_at(third, start_s),)

    def transform(self, clips: Sequence[Clip], plan: Plan, rng: np.random.Generator) -> Example:
        """Cuts the picture, brings the sound to its loudness (see the top for the arrays)."""
        found, heard = clips[0].frames, clips[1].sound
        assert found is not None and heard is not None
        training = bool(plan.target["train"])
        borders_px = plan.target["borders_px"]
        assert isinstance(borders_px, tuple)
        height_px, width_px = found.shape[2:]
        place = {"height_px": height_px, "width_px": width_px, "borders_px": borders_px}
        box = pictures.draw_box(scale=self.crop_scale, rng=rng, **place)
        mirrored = bool(rng.random() < 0.5) and self.flip
        color = pictures.draw_color(
            brightness=self.brightness,
            contrast=self.contrast,
            saturation=self.saturation,
            rng=rng,
        )
        if training:
            shown = pictures.crop_resize(found, box, size_px=self.size_px, flip=mirrored)
            shown = color.apply(shown)
        else:
            middle = middle_box(height_px, width_px, borders_px)
            shown = pictures.crop_resize(found, middle, size_px=self.size_px)
        samples = heard.samples[0]
        if len(clips) > 2:
            behind = clips[2].sound
            assert behind is not None
            samples = sounds.mix(
                samples, behind.samples[0], level_db=float(rng.uniform(*self.mix_db))
            )
        samples = self.heard(samples)
        louder = sounds.change_volume(samples, jitter=self.volume_jitter, rng=rng)
        return Example(
            arrays={
                "frames": shown[0] if self.clip_frames == 1 else shown.transpose(1, 0, 2, 3),
                "sound": louder if training else samples,
                "label": np.array(plan.target["label"], dtype=np.int64),
                "group": np.array(plan.target["group"], dtype=np.int64),
            }
        )

    def heard(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Gives a stretch as the network hears it: at its own loudness, or all alike."""
        if not self.equal_loudness:
            return samples
        return sounds.equal_loudness(samples, target_db=self.loudness_db)

    def remark(self, catalog: Catalog) -> str:
        """Gives what a report must say of the pairs of these clips; "" where they are as meant.

        Raises:
            InputError: no row can be used.
        """
        known = pair_rows(self, catalog)
        rows = np.unique(known.items)
        alone = sum(known.pairing(int(row)).num_groups < 2 for row in rows)
        if not alone or self.positive_share == 1:
            return ""
        return (
            f"{alone} of {len(rows)} clips have no partner of another group: their mismatched "
            f"sound is of another time of the same file, {self.apart_s:g} s away or more"
        )

    def row_spots(self, row: ClipRow) -> NDArray[np.int64]:
        """Gives the frames of a row around which sound can be cut."""
        return spots(
            row,
            duration_s=self.sound_s,
            edge_s=self.clip_frames // 2 * self.clip_step_s,
            least_loudness_db=self.silence_db if self.skip_silence else -np.inf,
            within_shot=self.within_shot,
        )


def middle_box(
    height_px: int, width_px: int, borders_px: Sequence[float] = (0, 0, 0, 0)
) -> pictures.Box:
    """Gives the largest square in the middle of the picture, clear of its bars."""
    left, top, right, bottom = borders_px
    inner_width, inner_height = width_px - left - right, height_px - top - bottom
    side = min(inner_width, inner_height)
    return left + (inner_width - side) / 2, top + (inner_height - side) / 2, float(side)
