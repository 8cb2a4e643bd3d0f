"""What every layer of an encoder tells a linear reader: `avssl eval probe`.

Frames (or sounds) of the training split → features of each layer → SVM, softmax regression, ridge
→ figures on another split, beside first weights, ImageNet, a floor without a network and blind
answers. docs/probe.md says how to read them.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from avssl.catalog import Catalog
from avssl.downstream import probe_metrics as metrics
from avssl.downstream.features import Pool
from avssl.downstream.floors import features_of
from avssl.downstream.probe import Problem, best_layers
from avssl.downstream.probe_truth import (
    SOUNDING,
    check_kind,
)
from avssl.downstream.sound_features import log_mel_statistics
from avssl.errors import InputError
from avssl.progress import Bar, progress_bar
from avssl.run.probe_rows import Rows, label_rows, main_metric, sides_of, spans_of, step_rows
from avssl.run.probe_samples import (
    NETWORK,
    UNTRAINED,
    Network,
    Samples,
    networks,
    own_step_s,
    read_pictures,
    read_sounds,
    resized,
    some_of,
)
from avssl.run.sounds_eval import own_settings

HOG, LOG_MEL, TRIVIAL = "HOG", "log-mel", "trivial: majority and mean"
_VIEW_PX = 64
Features = dict[str, NDArray[np.float32]]


def check_labels(wanted: Sequence[str]) -> None:
    """Refuses what is neither a number of clips a class nor a share.

    Raises:
        InputError: as said.
    """
    for text in wanted:
        share = text.endswith("%")
        try:
            value = float(text[:-1]) if share else int(text)
        except ValueError:
            value = -1
        if not 0 < value <= (100 if share else 10**9):
            raise InputError(f"--labels {text}: write clips a class (5) or a share (10%)")


def _read(
    catalog: Catalog,
    chosen: Sequence[int],
    network: Network,
    ref: str,
    per_clip: int,
    bar: Bar,
) -> Samples:
    encoder = network.encoder
    if network.size_px:
        return read_pictures(
            catalog,
            chosen,
            per_clip=per_clip,
            num_frames=encoder.num_frames,
            step_s=own_step_s(ref),
            bar=bar,
        )
    return read_sounds(
        catalog,
        chosen,
        per_clip=per_clip,
        rate_hz=encoder.rate_hz,
        duration_s=encoder.duration_s,
        loudness_db=own_settings(ref)[1],
        bar=bar,
    )


def _floor(samples: Samples, network: Network) -> NDArray[np.float32]:
    if network.size_px:
        each = [features_of("HOG", resized(one, _VIEW_PX)) for one in samples.pictures()]
        return np.asarray(each, dtype=np.float32)
    rate_hz = network.encoder.rate_hz
    return np.stack([log_mel_statistics(one, rate_hz=rate_hz) for one in samples.shown])


def evaluate_probe(
    ref: str,
    data: str | Path,
    *,
    split: str = "test",
    stream: str = "vision",
    classes: str = SOUNDING,
    level: int | None = None,
    per_clip: int = 3,
    max_clips: int = 600,
    pool: Pool = "avg",
    imagenet: str = "",
    num_untrained: int = 3,
    size_px: int = 0,
    labels: Sequence[str] = (),
    num_label_draws: int = 5,
    all_checkpoints: bool = False,
    device: torch.device | None = None,
    quiet: bool = True,
) -> dict[str, Any]:
    """Gives all figures of an encoder, layer by layer.

    Args:
        ref: see `avssl.model.load_encoder`.
        data: a prepared data set with the splits train and `split`.
        split: "validation" or "test".
        stream: "vision" or "sound".
        classes: see `avssl.downstream.probe_truth`.
        level: of the tree of classes.
        per_clip: frames (or sounds) a clip.
        max_clips: of each split, drawn; 0: all.
        pool: "avg" or "max".
        imagenet: REF of the ImageNet row.
        num_untrained: seeds with first weights.
        size_px: side of pictures for all networks; 0: each one's own.
        labels: clips a class ("5") or shares ("10%").
        num_label_draws: draws of each.
        all_checkpoints: judge the run's checkpoints too.
        device: of the networks.
        quiet: no progress bars.

    Raises:
        InputError: what cannot be read, nothing to ask for, or too few clips.
    """
    check_labels(labels)
    found, missing = networks(
        ref, stream=stream, imagenet=imagenet, num_untrained=num_untrained, size_px=size_px
    )
    for one in (network for each in found.values() for network in each):
        one.encoder.to(device or torch.device("cpu"))
    network = found[NETWORK][0]
    catalog = Catalog.read(data)
    parts = [catalog.select(split=name) for name in ("train", split)]
    for part, name in zip(parts, ("train", split), strict=True):
        if not len(part):
            raise InputError(
                f"{data}: no clip of {name!r}; a probe fits on train, tells of {split}"
            )
    chosen = [some_of(part, max_clips) for part in parts]
    check_kind(classes, [part.row(k) for part, own in zip(parts, chosen, strict=True) for k in own])
    with progress_bar("read", total=sum(map(len, chosen)), unit="clip", quiet=quiet) as bar:
        train, other = (
            _read(part, own, network, ref, per_clip, bar)
            for part, own in zip(parts, chosen, strict=True)
        )
    if not train.rows or not other.rows:
        raise InputError(f"{data}: no clip with sound to hear in train or {split}")
    problem = Problem(
        *sides_of(train, other, kind=classes, level=level, numbers=stream == "vision")
    )
    own, asked = problem.train.classes, problem.other.classes
    if own is None and not problem.train.numbers:
        raise InputError(
            f"{data}: clips have neither two classes nor numbers to predict; see docs/probe.md"
        )
    if own is not None and not own.single and any("%" not in text for text in labels):
        raise InputError(
            f"--labels {' '.join(labels)}: of several classes a frame only shares: 10%"
        )
    rows = Rows(problem)
    num_layers = sum(len(one.encoder.layers) + 1 for each in found.values() for one in each)
    with progress_bar("probe", total=num_layers + 1, unit="layer", quiet=quiet) as bar:
        for name, each in found.items():
            seen = ((one.vectors(train, pool=pool), one.vectors(other, pool=pool)) for one in each)
            rows.add(name, seen, bar)
        name = HOG if network.size_px else LOG_MEL
        rows.add(name, [({name: _floor(train, network)}, {name: _floor(other, network)})], bar)
    metric = main_metric(rows.judged[NETWORK])
    layers = {row: best_layers(each) for row, each in rows.judged.items()}
    blind = problem.trivial()
    best = {
        row: {figure: each[layers[row][figure]] for figure in layers[row]}
        for row, each in rows.judged.items()
    }
    summary: dict[str, Any] = {
        "kind": "probe", "title": f"Linear probes of {network.encoder.name}, layer by layer",
        "ref": str(ref), "encoder": network.encoder.name, "data": str(data), "split": split,
        "stream": stream, "pool": pool, "size_px": network.size_px, "frames_per_clip": per_clip,
        "num_train_clips": len(set(train.clips.tolist())),
        "num_clips": len(set(other.clips.tolist())),
        "num_judged_clips": len(set(problem.other.clips[asked.told].tolist()))
        if asked is not None else 0,
        "num_train_samples": len(train.rows), "num_samples": len(other.rows),
        "num_groups": len(set(other.groups.tolist())),
        "classes": None if own is None or asked is None else
        {"kind": classes, "names": list(own.names), "single": own.single},
        "untrained_seeds": num_untrained, "metric": metric, "better": "higher",
        "metrics": list(rows.judged[NETWORK][layers[NETWORK][metric]].figures),
        "rows": {row: {name: one.figures[name] for name, one in each.items()}
                 for row, each in best.items()},
        "intervals": {row: {name: metrics.interval(one.draws[name]) for name, one in each.items()}
                      for row, each in best.items()},
        "layers": layers,
        "held_out": {row: {layer: one.held for layer, one in each.items()}
                     for row, each in rows.judged.items()},
        "curve": {row: {layer: one.figures for layer, one in each.items()}
                  for row, each in rows.judged.items()},
        "curve_intervals": {row: {layer: spans_of(one) for layer, one in each.items()}
                            for row, each in rows.judged.items()},
        "chosen": {row: {layer: one.chosen for layer, one in each.items()}
                   for row, each in rows.judged.items()},
        "num_features": {row: {layer: one.num_features for layer, one in each.items()}
                         for row, each in rows.judged.items()},
    }  # fmt: skip
    summary["rows"] |= {name: {"not run": why} for name, why in missing.items()}
    summary["rows"][TRIVIAL] = blind.figures
    summary["intervals"][TRIVIAL] = spans_of(blind)
    summary["chance"] = blind.figures.get(metric)
    if labels:
        summary |= label_rows(
            problem, rows.kept, labels, num_draws=num_label_draws, quiet=quiet
        )  # fmt: skip
    if all_checkpoints:
        summary |= step_rows(
            ref, stream, problem, network, layers[NETWORK][metric], train, other, pool=pool,
            start=rows.judged[UNTRAINED][layers[NETWORK][metric]] if UNTRAINED in found else None,
            quiet=quiet,
        )  # fmt: skip
    summary["note"] = (
        "Each row at the layer that cross-validation inside the training split chooses; a network "
        "that is not above the untrained row has taught its features nothing for this."
    )
    return _clean(summary)


def _clean(value: Any) -> Any:
    """Gives JSON's types; what is no number is left out of dictionaries and None in lists."""
    if isinstance(value, Mapping):
        cleaned = {str(key): _clean(one) for key, one in value.items()}
        return {key: one for key, one in cleaned.items() if one is not None or value[key] is None}
    if isinstance(value, list | tuple):
        return [_clean(one) for one in value]
    if isinstance(value, float | np.floating):
        return float(value) if np.isfinite(value) else None
    return value
