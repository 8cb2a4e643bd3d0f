"""The pictures of a report: what the network is shown, what it answers, and frames of the data.

The samples are those of the evaluation, made by the same functions as in training, so the sheet
shows crops, flips and colours exactly as the network meets them.
"""

import base64
import dataclasses
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avssl.catalog import Catalog
from avssl.config import TrainConfig
from avssl.errors import AvsslError
from avssl.records import Example, FrameSpan, Plan, SoundSpan
from avssl.task import parts_of

NUM_SAMPLES = 12
NUM_FRAMES = 12
_GAP_PX = 3
_MIN_HEIGHT_PX = 96


@dataclass(frozen=True, kw_only=True)
class Picture:
    """One picture with its words."""

    data_uri: str
    alt: str
    caption: str
    note: str = ""
    """What the network answered."""
    right: bool | None = None
    """Whether that is so; None where nobody can say."""


def sample_sheet(
    config: TrainConfig, *, num_samples: int = NUM_SAMPLES
) -> tuple[list[Picture], str]:
    """Gives samples of the evaluation (of training where nothing is held out), with the answers.

    Returns:
        The pictures, and one line about them or about why there are none. Several tasks share the
        number.
    """
    parts = parts_of(config.task)
    pictures: list[Picture] = []
    told: list[str] = []
    for name in parts:
        num = max(1, round(num_samples / len(parts)))
        found, line = _sheet_of(config, name, num_samples=num)
        if name:
            found = [dataclasses.replace(one, caption=f"{name}: {one.caption}") for one in found]
        pictures += found
        if line not in told:
            told.append(line)
    return pictures, " ".join(told)


def _sheet_of(config: TrainConfig, name: str, *, num_samples: int) -> tuple[list[Picture], str]:
    """Gives the samples of one task, of several the one that is named."""
    from avssl.data import EVALUATION_SEED, make_example
    from avssl.sample.order import evaluation_item, evaluation_rng

    task = parts_of(config.task)[name]
    try:
        catalog, split = _held_out(config, task)
        items = task.items(catalog)
        num_places = max(config.num_evaluation_samples, num_samples)
        fetcher = _fetcher(catalog)
        made: list[tuple[Plan, Example]] = []
        for number in range(num_samples):
            place = number * num_places // num_samples
            index = int(items[evaluation_item(len(items), place, num_samples=num_places)])
            rng = evaluation_rng(EVALUATION_SEED, place)
            made.append(make_example(task, catalog, lambda: fetcher, index=index, rng=rng))
    except (AvsslError, OSError) as error:
        return [], f"No samples are shown: {error}"
    answers, drawn, why = _answers(config, name, [example for _, example in made])
    pictures = []
    for number, (plan, example) in enumerate(made):
        image = drawn[number] if drawn else strip(example.arrays)
        if image is None:
            return [], "The samples of this task hold no pictures."
        label = plan.target.get("label")
        caption = " · ".join(filter(None, (_label(task, label), _source(catalog, plan))))
        note, right = _note(task, answers, number, label)
        alt = f"what the network is shown of {caption}"
        pictures.append(
            Picture(data_uri=data_uri(image), alt=alt, caption=caption, note=note, right=right)
        )
    return pictures, f"From the {split} split, as transformed for the network. {why}"


def frame_sheet(directory: str, *, num_frames: int = NUM_FRAMES) -> tuple[list[Picture], str]:
    """Gives the middle frames of clips spread over the data set."""
    try:
        catalog = Catalog.read(directory)
        fetcher = _fetcher(catalog)
        pictures = []
        num = min(num_frames, len(catalog))
        for index in (np.arange(num) * len(catalog)) // max(num, 1):
            row = catalog.row(int(index))
            middle_s = float(row.frame_times_s[row.num_frames // 2])
            frames = fetcher.frames(row, (middle_s,)).frames
            caption = f"{row.source} at {middle_s + row.source_start_s - row.start_s:.2f} s"
            pictures.append(
                Picture(
                    data_uri=data_uri(_fitted(frames[0].transpose(1, 2, 0), height_px=144)),
                    alt=f"frame of {caption}",
                    caption=caption,
                )
            )
        return pictures, ""
    except (AvsslError, OSError) as error:
        return [], f"No frames are shown: {error}"


def data_uri(image: NDArray[np.uint8]) -> str:
    """Gives a picture uint8 [H, W, 3] as the text of a JPEG file."""
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(image).save(stream, format="JPEG", quality=88, subsampling=0)
    return "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode()


def _fetcher(catalog: Catalog) -> Any:
    from avssl.decode.fetch import Fetcher

    return Fetcher(catalog.directory)


def _held_out(config: TrainConfig, task: Any) -> tuple[Catalog, str]:
    whole = Catalog.read(config.data)
    validation = whole.select(split="validation")
    try:
        task.items(validation)
        return validation, "validation"
    except AvsslError:
        return whole.select(split="train"), "train"


def strip(arrays: Mapping[str, NDArray[Any]]) -> NDArray[np.uint8] | None:
    """Puts all pictures of an example side by side: uint8 [H, W, 3], or None if it has none."""
    tiles = []
    for array in arrays.values():
        if array.dtype == np.uint8 and array.ndim == 5:  # short clips: the middle frame of each
            array = array[:, :, array.shape[2] // 2]
        if array.dtype == np.uint8 and array.ndim in (3, 4) and array.shape[-3] in (1, 3):
            for tile in array.reshape(-1, *array.shape[-3:]):
                tiles.append(np.broadcast_to(tile, (3, *tile.shape[-2:])).transpose(1, 2, 0))
    if not tiles:
        return None
    height_px = max(_MIN_HEIGHT_PX, max(tile.shape[0] for tile in tiles))
    parts: list[NDArray[np.uint8]] = []
    for tile in tiles:
        parts += [_fitted(tile, height_px=height_px), np.full((height_px, _GAP_PX, 3), 128, "u1")]
    return np.concatenate(parts[:-1], axis=1)


def _fitted(image: NDArray[np.uint8], *, height_px: int) -> NDArray[np.uint8]:
    """Scales to a height; small pictures grow in whole pixels so that the true ones can be seen."""
    from PIL import Image

    width_px = max(1, round(image.shape[1] * height_px / image.shape[0]))
    larger = height_px > image.shape[0]
    kind = Image.Resampling.NEAREST if larger else Image.Resampling.LANCZOS
    picture = Image.fromarray(np.ascontiguousarray(image))
    return np.asarray(picture.resize((width_px, height_px), kind))


def _source(catalog: Catalog, plan: Plan) -> str:
    """Gives the clip and the times of a plan."""
    words = []
    for span in plan.spans:
        row = catalog.row(span.row)
        if isinstance(span, FrameSpan):
            times = ", ".join(f"{time_s - row.start_s:.2f}" for time_s in span.times_s)
            words.append(f"{row.source} at {times} s")
        elif isinstance(span, SoundSpan):
            end_s = span.start_s + span.duration_s
            words.append(f"{row.source}, sound {span.start_s:.2f} to {end_s:.2f} s")
    return "; ".join(words)


def _label(task: Any, label: Any) -> str:
    """Gives a class in words where the task has them (`label_names`)."""
    names: Sequence[str] = getattr(task, "label_names", ())
    if label is None:
        return ""
    return names[int(label)] if names else f"label {label}"


def _note(
    task: Any, shares: NDArray[np.float64] | None, number: int, label: Any
) -> tuple[str, bool | None]:
    if shares is None or not isinstance(label, (int, float)):
        return "", None
    answer = int(shares[number].argmax())
    share = shares[number, answer]
    return f"answer: {_label(task, answer)} ({share:.0%})", answer == int(label)


def _answers(
    config: TrainConfig, name: str, examples: Sequence[Example]
) -> tuple[NDArray[np.float64] | None, list[NDArray[np.uint8]], str]:
    """Runs the newest checkpoint on the examples.

    Returns:
        How sure it is of each class, float64 [num, classes], None where the task has no classes;
        the pictures with the answers drawn in, where the task draws (`drawn`); and one line. A
        metric `score` (log odds of class 1 in an even mix) goes before the logits, which hold the
        mix of the training.
    """
    import torch

    from avssl.run.checkpoint import list_checkpoints
    from avssl.run.trained import trained_learner

    if not list_checkpoints(config.out):
        return None, [], "There is no checkpoint yet, so no answers."
    try:
        learner, step = trained_learner(config)
    except (AvsslError, OSError) as error:
        return None, [], f"No answers: {str(error).splitlines()[0]}"
    task, prefix = parts_of(config.task)[name], f"{name}/" if name else ""
    batch = {
        key: torch.from_numpy(np.stack([example.arrays[key] for example in examples]))
        for key in examples[0].arrays
    }
    said = f"Answers of the network after {step:,} steps."
    with torch.no_grad():
        out = learner.outputs({f"{prefix}{key}": value for key, value in batch.items()})
        metrics = task.metrics(out, batch)
        drawn = list(task.drawn(out, batch)) if hasattr(task, "drawn") else []
        shares = None
        if "score" in metrics:
            score = metrics["score"].double()
            shares = torch.stack([torch.sigmoid(-score), torch.sigmoid(score)], dim=1).numpy()
        elif "logits" in out and out["logits"].ndim == 2:
            shares = out["logits"].double().softmax(dim=1).numpy()
    if shares is None and not drawn:
        return None, [], ""
    return shares, drawn, said
