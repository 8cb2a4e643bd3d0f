"""The model card of an export: what it is, from which data, how good, whose, and how to load it.

It is written from the run alone: `run.json` and the JSON beside the weights, and every result that
an evaluator left in the run's folder. What nothing says is called unknown, never guessed.

The head is YAML, as model hubs read it (huggingface.co/docs/hub/model-cards); what it tells follows
Mitchell and others, "Model Cards for Model Reporting", FAT* 2019 (arXiv 1810.03993).
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from avssl.run.report_curves import number
from avssl.run.results import Result, results_in, row_kind

UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True)
class Licences:
    """What the person said; "" takes what the run says."""

    weights: str = ""
    data: str = ""


def public(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Gives what an export tells of its run: folders by their last name, not their whole path."""
    found = dict(metadata)
    if found.get("data"):
        found["data"] = Path(str(found["data"])).name
    initial = found.get("initial_weights")
    if isinstance(initial, dict) and initial.get("ref"):
        found["initial_weights"] = {**initial, "ref": _last(str(initial["ref"]))}
    found.pop("device", None)
    return found


def _last(ref: str) -> str:
    """Gives a REF without the folders in it; names of timm's are kept."""
    kind, at, file = ref.rpartition("@")
    if ref.startswith(("timm:", "random:")) and not at:
        return ref
    return kind + at + Path(file).name


def data_licence(metadata: Mapping[str, Any], given: str = "") -> str:
    """Gives the licence of the data: as given, else as its preparation noted it, else unknown."""
    if given:
        return given
    try:
        noted = json.loads((Path(str(metadata.get("data", ""))) / "prepare.json").read_text())
    except (OSError, ValueError):
        return UNKNOWN
    found = noted.get("licence") or noted.get("license") if isinstance(noted, dict) else None
    return str(found or UNKNOWN)


def model_card(
    source: Any, *, licences: Licences, how_to_load: Sequence[str], normalises: bool = True
) -> str:
    """Gives the card as Markdown with its head in YAML.

    Args:
        source: an `avssl.run.export.Source`.
        licences: as the person gave them.
        how_to_load: lines of Python that run beside the export.
        normalises: whether what is exported does so itself.
    """
    described, encoder = source.described, source.encoder
    metadata = described.get("metadata") or {}
    task = str(metadata.get("task") or "")
    results = results_in(source.run) if source.run else []
    parts = [
        _head(source, task, licences.weights),
        f"# {_title(encoder.name, task)}",
        _what(source, task, metadata, normalises=normalises),
        "## How to load",
        "```python\n" + "\n".join(how_to_load) + "\n```",
        "## Layers",
        "Width, and stride in "
        + ("px:" if source.stream == "vision" else "bands and frames of the spectrogram:"),
        ", ".join(
            f"`{name}` {width} ({stride})" for name, (width, stride) in encoder.layers.items()
        ),
        "## Training data",
        _data(metadata),
        "## Licences",
        _licences(metadata, described, licences),
        "## Figures",
        *_figures(metadata, results),
        "## Limits",
        *_limits(source, task, metadata, results),
    ]
    return "\n\n".join(parts) + "\n"


def _title(name: str, task: str) -> str:
    return f"{name}, trained by {task}" if task else name


def _head(source: Any, task: str, licence: str) -> str:
    kind = "image-feature-extraction" if source.stream == "vision" else "feature-extraction"
    tags = ["avssl", "self-supervised", source.stream, *([task] if task else [])]
    lines = ["---", f"license: {json.dumps(licence or UNKNOWN)}", "library_name: avssl"]
    lines += [f"pipeline_tag: {kind}", "tags:", *(f"- {json.dumps(tag)}" for tag in tags), "---"]
    return "\n".join(lines)


def _what(source: Any, task: str, metadata: Mapping[str, Any], *, normalises: bool) -> str:
    encoder = source.encoder
    num = sum(weight.numel() for weight in encoder.network.parameters())
    takes = (
        f"pictures made for {encoder.input_size_px} px"
        if source.stream == "vision"
        else f"sound at {encoder.rate_hz} Hz, made for {encoder.duration_s:g} s"
    )
    if getattr(encoder, "num_frames", 1) > 1:
        takes = f"clips of {encoder.num_frames} frames, {encoder.input_size_px} px"
    text = (
        f"An encoder: `{encoder.name}`, {num:,} weights; takes {takes}, gives a vector of "
        f"{encoder.width} numbers and maps by layer name; "
        + ("it normalises on the inside." if normalises else "it takes what is normalised already.")
    )
    if not task:
        return text + " No training by avssl is known of it."
    about = metadata.get("described", task)
    return (
        text + f" Trained without labels by `{about}`, recipe "
        f"{metadata.get('recipe') or 'of its own'}, {number(metadata.get('step', UNKNOWN))} steps "
        f"({metadata.get('weights', 'last step')}), avssl "
        f"{(metadata.get('versions') or {}).get('avssl', UNKNOWN)}."
    )


def _data(metadata: Mapping[str, Any]) -> str:
    if not metadata.get("data"):
        return "Unknown: nothing that came with the weights names it."
    told = public(metadata)
    clips = ", ".join(f"{k} {v:,}" for k, v in (metadata.get("num_clips") or {}).items() if v)
    return (
        f"`{told['data']}`, fingerprint `{metadata.get('data_fingerprint', UNKNOWN)}` "
        f"(of the catalogue: the same data prepared the same way agree)"
        + (f"; clips: {clips}." if clips else ".")
    )


def _licences(metadata: Mapping[str, Any], described: Mapping[str, Any], licences: Licences) -> str:
    lines = [f"- these weights: {licences.weights or described.get('licence') or UNKNOWN}"]
    data = data_licence(metadata, licences.data)
    lines.append(
        f"- training data: {data}"
        + (" (nothing in the run says it; ask whoever gave you the data)" * (data == UNKNOWN))
    )
    initial = public(metadata).get("initial_weights")
    if initial:
        licence = initial.get("licence") or UNKNOWN
        lines.append(f"- initial weights: `{initial.get('ref')}`, {licence}")
    elif metadata:
        lines.append("- initial weights: none, drawn at random")
    else:
        lines.append(f"- initial weights: {UNKNOWN}")
    return "\n".join(lines)


def _figures(metadata: Mapping[str, Any], results: Sequence[Result]) -> list[str]:
    parts = []
    scores, blind = metadata.get("scores") or {}, metadata.get("trivial") or {}
    if scores:
        lines = ["| validation, its own question | network | blind guess |", "|---|---|---|"]
        lines += [
            f"| {name} | {number(value)} | {number(blind[name]) if name in blind else '–'} |"
            for name, value in scores.items()
        ]
        parts.append("\n".join(lines))
    parts += [as_markdown(result) for result in results if result.kind != "audit"]
    return parts or ["None: no evaluation is known."]


def as_markdown(result: Result) -> str:
    """Gives a result as a table with its heading, note and file."""
    names = result.metrics
    where = ", ".join(filter(None, (Path(result.data).name if result.data else "", result.split)))
    lines = [f"**{_cell(result.title)}**" + (f" ({_cell(where)})" if where else ""), ""]
    lines.append("| | " + " | ".join(map(_cell, names)) + " |")
    lines.append("|---" * (len(names) + 1) + "|")
    for row, figures in result.rows.items():
        cells = []
        for name in names:
            figure = figures.get(name)
            cell = "–" if figure is None else number(figure.value)
            if figure is not None and figure.interval is not None:
                cell += " [" + ", ".join(map(number, figure.interval)) + "]"
            cells.append(cell)
        lines.append(f"| {_cell(row)} | " + " | ".join(cells) + " |")
    for row, reason in result.not_run.items():
        lines.append(f"| {_cell(row)} | not run: {_cell(reason)} " + "| " * len(names))
    said = f"From `{result.path.name}`; {result.metric}: {result.better} is better."
    return "\n".join([*lines, "", " ".join(filter(None, (said, result.note)))])


def _cell(text: str) -> str:
    return " ".join(str(text).replace("|", "\\|").split())


def _limits(
    source: Any, task: str, metadata: Mapping[str, Any], results: Sequence[Result]
) -> list[str]:
    lines = []
    if task:
        num = (metadata.get("num_clips") or {}).get("train")
        lines.append(
            "- It knows what its training clips show"
            + (f" ({num:,} of them)" if num else "")
            + " and nothing else: try it on your own before you trust it."
        )
    if not [one for one in results if one.kind not in ("audit", "pretext")]:
        lines.append(
            "- No downstream evaluation came with it: the score of its own question says little of "
            "what its features are worth."
        )
    below = [one.title for one in results if _below_floor(one)]
    if below:
        lines.append("- Not better than a row without training or learning in: " + "; ".join(below))
    if source.stream == "vision":
        lines.append(
            "- Other sizes than it was made for work, with results that were not measured."
        )
    else:
        lines.append("- Other lengths than it was made for work, with results not measured.")
    lines.append("- Biases of the training data were not measured.")
    return ["\n".join(lines)]


def _below_floor(result: Result) -> bool:
    """Whether an untrained or trivial row is as good as the network in the main metric."""
    own = result.rows.get("network", {}).get(result.metric)
    sign = -1 if result.better == "lower" else 1
    floors = [
        figures[result.metric]
        for row, figures in result.rows.items()
        if result.metric in figures and row_kind(row) in ("untrained", "trivial")
    ]
    return own is not None and any(sign * one.value >= sign * own.value for one in floors)
