"""`avssl eval probe REF --data D`: what every layer tells a linear reader; docs/probe.md."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from avssl.downstream.probe import SVM_MAP_11
from avssl.downstream.probe_truth import SOUNDING
from avssl.errors import InputError
from avssl.files import write_json, write_text
from avssl.run.parallel import processes, threads_beside_loaders
from avssl.run.probe_eval import HOG, LOG_MEL, TRIVIAL, evaluate_probe
from avssl.run.probe_tables import draw_curves, table


def draw(summary: dict[str, Any], stem: Path) -> None:
    """Draws the curves that the summary holds and notes their files in it."""
    flat = {row: each for row, each in summary["rows"].items() if row in (HOG, LOG_MEL, TRIVIAL)}
    curves = {row: each for row, each in summary["curve"].items() if row not in flat}
    shown = [name for name in summary["metrics"] if name != SVM_MAP_11]
    title = f"{summary['encoder']} on {summary['split']}"
    pictures = {}
    for key, own, xlabel, text in (
        ("layers", curves, "layer, from the input's side on", "by layer"),
        ("labels", summary.get("labels"), "labelled clips", "by number of labelled clips"),
        ("steps", summary.get("steps"), "steps of pretraining", "after each checkpoint"),
    ):
        own = {row: each for row, each in (own or {}).items() if each}
        # a figure that is nowhere a number (few labels, one value alone) has no panel
        names = [
            name
            for name in shown
            if any(name in one for each in own.values() for one in each.values())
        ]
        if not names:
            continue
        path = stem.with_name(f"{stem.name}_{key}.png")
        places = None
        if key == "labels":
            places = {
                row: [summary["labels_clips"][one] for one in each] for row, each in own.items()
            }
        elif key == "steps":
            places = {row: [float(step) for step in each] for row, each in own.items()}
        spans = summary["curve_intervals" if key == "layers" else f"{key}_intervals"]
        draw_curves(
            path,
            own,
            metrics=names,
            spans=spans,
            flat={TRIVIAL: flat[TRIVIAL]} if key == "labels" else flat,
            xlabel=xlabel,
            places=places,
            log=key == "labels",
        )
        pictures[path.name] = f"Curves of {', '.join(names)} {text}, {title}"
    summary["pictures"], summary["alts"] = list(pictures), pictures


def command(arguments: Sequence[str]) -> int:
    """`avssl eval probe`.

    Raises:
        InputError: see `evaluate_probe`.
    """
    options = _parser().parse_args(list(arguments))
    if options.frames_per_clip < 1 or options.max_clips < 0 or options.untrained < 0:
        raise InputError("--frames-per-clip must be 1 or more, --max-clips, --untrained 0 or more")
    folder = Path(options.ref) if Path(options.ref).is_dir() else Path()
    name = "probe" if options.stream == "vision" else "probe_sound"
    out = Path(options.out) if options.out else folder / f"{name}_{options.split}.json"
    if out.suffix != ".json":
        raise InputError(f"-o {out}: must end in .json; .md and .png lie beside it")
    with processes(options.device) as here, threads_beside_loaders(here):
        summary = evaluate_probe(
            options.ref, options.data, split=options.split, stream=options.stream,
            classes=options.classes, level=options.level, per_clip=options.frames_per_clip,
            max_clips=options.max_clips, pool=options.pool, imagenet=options.imagenet,
            num_untrained=options.untrained, size_px=options.size_px, labels=options.labels,
            num_label_draws=options.label_draws, all_checkpoints=options.all_checkpoints,
            device=here.device, quiet=options.quiet,
        )  # fmt: skip
    draw(summary, out.with_suffix(""))
    write_json(out, summary)
    shown = table(summary)
    write_text(out.with_suffix(".md"), shown)
    print(shown)
    print(", ".join([str(out), str(out.with_suffix(".md")), *summary["pictures"]]))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="avssl eval probe", description=__doc__)
    parser.add_argument("ref", metavar="REF", help="run folder, file, timm:NAME, random:NAME")
    parser.add_argument("--data", required=True, metavar="D", help="prepared data set with labels")
    parser.add_argument("--split", default="test", choices=("validation", "test"))
    parser.add_argument("--stream", default="vision", choices=("vision", "sound"))
    parser.add_argument(
        "--classes", default=SOUNDING, metavar="NAME",
        help="sounding (classes of clips), view (all in a frame), or a label (action …)",
    )  # fmt: skip
    parser.add_argument("--level", type=int, help="of a tree of classes, 0: its root")
    parser.add_argument("--frames-per-clip", type=int, default=3, help="or sounds (3)")
    parser.add_argument("--max-clips", type=int, default=600, help="of each split (600; 0: all)")
    parser.add_argument("--pool", default="avg", choices=("avg", "max"))
    parser.add_argument("--imagenet", default="", metavar="REF", help="adds a row, as timm:NAME")
    parser.add_argument("--untrained", type=int, default=3, metavar="N", help="seeds (3)")
    parser.add_argument("--size-px", type=int, default=0, help="of pictures, for all networks")
    parser.add_argument(
        "--labels",
        nargs="+",
        default=[],
        metavar="K",
        help="clips a class or shares: 1 5 10%% 100%%",
    )
    parser.add_argument("--label-draws", type=int, default=5, metavar="N", help="of each (5)")
    parser.add_argument(
        "--all-checkpoints", action="store_true", help="score against steps of pretraining"
    )
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"))
    parser.add_argument("-o", "--out", metavar="FILE.json", help="default: in REF if a folder")
    parser.add_argument("--quiet", action="store_true", help="no progress bars")
    return parser
