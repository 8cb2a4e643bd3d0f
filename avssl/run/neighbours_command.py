"""`avssl eval neighbours REF --data D`: what looks alike to an encoder; docs/neighbours.md."""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from avssl.downstream.neighbours import draw_windows, first_of_each, search, turn_hue
from avssl.downstream.probe_truth import SOUNDING
from avssl.errors import InputError
from avssl.files import write_json, write_text
from avssl.run.neighbours_eval import RECALLS, Looked, evaluate_neighbours
from avssl.run.neighbours_pictures import Line, Shown, draw_hue, draw_neighbours
from avssl.run.neighbours_rows import Sets
from avssl.run.parallel import processes, threads_beside_loaders
from avssl.run.probe_samples import IMAGENET, NETWORK, UNTRAINED
from avssl.run.probe_tables import number, over_groups

COLUMNS = {UNTRAINED: "random", NETWORK: "ours", IMAGENET: "ImageNet"}
"""The papers' columns, from left to right."""
_NUM_SHOWN = 4
_TURN = 120.0
_TRIES = 8


def chosen_queries(sets: Sets, num: int) -> list[int]:
    """Gives queries for a figure: of different clips, and of as many classes as there are."""
    _, firsts = np.unique(sets.queries.clips, return_index=True)
    per_clip = np.bincount(np.unique(sets.queries.clips, return_inverse=True)[1])
    middles = firsts + per_clip // 2
    by_class: dict[str, list[int]] = {}
    for place in middles.tolist():
        by_class.setdefault(sets.class_of(place), []).append(place)
    if len(by_class) == 1:
        return [int(middles[k * len(middles) // num]) for k in range(min(num, len(middles)))]
    turns = [own[k] for k in range(max(map(len, by_class.values())))
             for own in by_class.values() if k < len(own)]  # fmt: skip
    return turns[:num]


def _picture(sets: Sets, place: int, *, gallery: bool, query: str = "") -> Shown:
    samples = sets.gallery if gallery else sets.queries
    frames = samples.shown[place]
    name = sets.class_of(place + (len(sets.queries.rows) if gallery else 0))
    right = name == query if gallery and name and query else None
    return Shown(picture=frames[len(frames) // 2], label=name, right=right)


def frame_lines(
    sets: Sets, looked: Mapping[str, Looked], queries: Sequence[int], columns: Sequence[str]
) -> list[Line]:
    """Gives a row a query: the nearest frames of different clips."""
    lines = []
    for place in queries:
        blocks = []
        for name in columns:
            nearest = first_of_each(
                looked[name].found.indices[place], sets.gallery_clips, num=_NUM_SHOWN
            )
            own = sets.class_of(place)
            blocks.append([_picture(sets, k, gallery=True, query=own) for k in nearest])
        lines.append(Line(query=_picture(sets, place, gallery=False), blocks=blocks))
    return lines


def hue_lines(
    sets: Sets, looked: Mapping[str, Looked], queries: Sequence[int], columns: Sequence[str]
) -> list[Line]:
    """Gives two rows a query: as it is, and with its hue turned."""
    lines = []
    for place in queries:
        turned = np.stack([turn_hue(one, _TURN) for one in sets.queries.shown[place]])
        plain = frame_lines(sets, looked, [place], columns)[0]
        blocks = []
        for name in columns:
            row = looked[name]
            found = search(
                row.looker.embed([turned]), row.gallery, top=50, cosine=row.looker.cosine,
                query_groups=sets.query_groups[[place]], gallery_groups=sets.gallery_groups,
            )  # fmt: skip
            nearest = first_of_each(found.indices[0], sets.gallery_clips, num=_NUM_SHOWN)
            own = sets.class_of(place)
            blocks.append([_picture(sets, k, gallery=True, query=own) for k in nearest])
        query = Shown(picture=turned[len(turned) // 2], label=f"hue + {_TURN:.0f}°")
        lines += [plain, Line(query=query, blocks=blocks)]
    return lines


def patch_lines(
    sets: Sets,
    looked: Mapping[str, Looked],
    queries: Sequence[int],
    columns: Sequence[str],
    *,
    side: float,
    per_frame: int,
) -> list[Line]:
    """Gives a row a query patch: the liveliest of a few windows; the gallery's are drawn anywhere.

    Each patch is scaled to the network's own size.
    """
    rng = np.random.default_rng(0)
    cuts, owners = [], []
    for owner, frames in enumerate(sets.gallery.shown):
        for window in draw_windows(per_frame, side=side, rng=rng):
            cuts.append(np.ascontiguousarray(window.cut(frames)))
            owners.append(owner)
    asked = []
    for place in queries:
        each = [
            one.cut(sets.queries.shown[place]) for one in draw_windows(_TRIES, side=side, rng=rng)
        ]
        asked.append(np.ascontiguousarray(max(each, key=lambda one: float(one.std()))))
    clips = sets.gallery_clips[owners]
    groups = sets.query_groups[list(queries)], sets.gallery_groups[owners]
    found = {}
    for name in columns:
        looker = looked[name].looker
        found[name] = search(
            looker.embed(asked), looker.embed(cuts), top=50, cosine=looker.cosine,
            query_groups=groups[0], gallery_groups=groups[1],
        )  # fmt: skip
    return [
        Line(
            query=Shown(picture=patch[len(patch) // 2]),
            blocks=[
                [Shown(picture=cuts[k][len(cuts[k]) // 2])
                 for k in first_of_each(found[name].indices[row], clips, num=_NUM_SHOWN)]
                for name in columns
            ],
        )
        for row, patch in enumerate(asked)
    ]  # fmt: skip


def draw(
    summary: dict[str, Any],
    sets: Sets,
    looked: Mapping[str, Looked],
    stem: Path,
    *,
    num_queries: int,
    patch_side: float,
    patches_per_frame: int,
) -> None:
    """Draws all figures and notes their files in the summary."""
    columns = [name for name in COLUMNS if name in looked]
    titles = [f"{COLUMNS[name]} ({looked[name].looker.layer})" for name in columns]
    queries = chosen_queries(sets, num_queries)
    data = Path(summary["data"]).name
    about = f"{summary['encoder']}, {data}, {summary['split']}: "
    alts = {}
    for name, lines, text in (
        ("frames", frame_lines(sets, looked, queries, columns), "nearest frames of other videos"),
        ("patches", patch_lines(sets, looked, queries, columns, side=patch_side,
                                per_frame=patches_per_frame) if patches_per_frame else [],
         "nearest patches of other videos"),
        ("hue", hue_lines(sets, looked, queries[: max(1, num_queries // 2)], columns),
         "the same queries with another hue"),
    ):  # fmt: skip
        if not lines:
            continue
        path = stem.with_name(f"{stem.name}_{name}.png")
        draw_neighbours(path, lines, titles=titles, title=about + text)
        alts[path.name] = (
            f"{len(lines)} queries on the left, beside each the {_NUM_SHOWN} nearest for "
            f"{', '.join(COLUMNS[name] for name in columns)}: {text}"
        )
    path = stem.with_name(f"{stem.name}_overlap.png")
    draw_hue(path, summary["hue_overlap"], summary["hue_degrees"], top=RECALLS[-1])
    alts[path.name] = "Share of the neighbour list that stays, against degrees of turned hue"
    summary["pictures"], summary["alts"] = list(alts), alts


def table(summary: Mapping[str, Any]) -> str:
    """Gives the figures as a table for a page."""
    names = summary["metrics"]
    lines = [
        f"{summary['num_queries']} queries of {summary['split']}, {summary['num_gallery']} frames "
        f"of {' and '.join(summary['gallery'])} to find; {over_groups(summary)}",
        "",
        "| row | layer | " + " | ".join(names) + " |",
        "|---" * (len(names) + 2) + "|",
    ]
    for row, figures in summary["rows"].items():
        if "not run" in figures:
            lines.append(f"| {row} | | not run: {figures['not run']} |" + " |" * (len(names) - 1))
            continue
        spans = summary["intervals"].get(row, {})
        cells = [number(figures.get(name), spans.get(name)) for name in names]
        lines.append(f"| {row} | {summary['layers'].get(row, '')} | " + " | ".join(cells) + " |")
    degrees = summary["hue_degrees"]
    lines += ["", "| overlap, hue turned by | " + " | ".join(f"{one:g}°" for one in degrees) + " |"]
    lines.append("|---" * (len(degrees) + 1) + "|")
    for row, values in summary["hue_overlap"].items():
        lines.append(f"| {row} | " + " | ".join(f"{one:.3f}" for one in values) + " |")
    return "\n".join(lines) + "\n"


def command(arguments: Sequence[str]) -> int:
    """`avssl eval neighbours`.

    Raises:
        InputError: see `evaluate_neighbours`.
    """
    options = _parser().parse_args(list(arguments))
    if min(options.frames_per_clip, options.queries) < 1:
        raise InputError("--frames-per-clip and --queries: must be 1 or more")
    if min(options.max_clips, options.max_queries, options.untrained, options.patches) < 0:
        raise InputError("--max-clips, --max-queries, --untrained, --patches: must be 0 or more")
    if not 0.05 <= options.patch_side <= 1:
        raise InputError(f"--patch-side {options.patch_side:g}: must be 0.05 to 1")
    folder = Path(options.ref) if Path(options.ref).is_dir() else Path()
    out = Path(options.out) if options.out else folder / f"neighbours_{options.split}.json"
    if out.suffix != ".json":
        raise InputError(f"-o {out}: must end in .json; .md and .png lie beside it")
    with processes(options.device) as here, threads_beside_loaders(here):
        summary, sets, looked = evaluate_neighbours(
            options.ref, options.data, split=options.split, among=options.gallery,
            layer=options.layer, pool=options.pool, whole=options.whole,
            imagenet=options.imagenet, num_untrained=options.untrained, classes=options.classes,
            level=options.level, per_clip=options.frames_per_clip, max_clips=options.max_clips,
            max_queries=options.max_queries, num_neighbours=options.neighbours,
            size_px=options.size_px, device=here.device, quiet=options.quiet,
        )  # fmt: skip
        draw(
            summary, sets, looked, out.with_suffix(""), num_queries=options.queries,
            patch_side=options.patch_side, patches_per_frame=options.patches,
        )  # fmt: skip
    write_json(out, summary)
    shown = table(summary)
    write_text(out.with_suffix(".md"), shown)
    print(shown)
    print(", ".join([str(out), str(out.with_suffix(".md")), *summary["pictures"]]))
    return 0


def _parser() -> argparse.ArgumentParser:
    splits = ("train", "validation", "test")
    parser = argparse.ArgumentParser(prog="avssl eval neighbours", description=__doc__)
    parser.add_argument("ref", metavar="REF", help="run folder, file, timm:NAME, random:NAME")
    parser.add_argument("--data", required=True, metavar="D", help="prepared data set")
    parser.add_argument("--split", default="test", choices=splits, help="of the queries (test)")
    parser.add_argument(
        "--gallery", nargs="+", default=["train"], choices=splits, help="what is found (train)"
    )
    parser.add_argument("--layer", default="", help="default: the late middle, such as res4")
    parser.add_argument("--pool", default="avg", choices=("avg", "max"))
    parser.add_argument("--whole", action="store_true", help="pool the whole picture, no grid")
    parser.add_argument("--imagenet", default="", metavar="REF", help="adds a row, as timm:NAME")
    parser.add_argument("--untrained", type=int, default=2, metavar="N", help="seeds (2)")
    parser.add_argument("--classes", default=SOUNDING, metavar="NAME", help="or a label (action …)")
    parser.add_argument("--level", type=int, help="of a tree of classes, 0: its root")
    parser.add_argument("--frames-per-clip", type=int, default=3, help="(3)")
    parser.add_argument("--max-clips", type=int, default=600, help="of the gallery (600; 0: all)")
    parser.add_argument("--max-queries", type=int, default=200, help="clips to ask for (200)")
    parser.add_argument("--neighbours", type=int, default=20, metavar="K", help="that vote (20)")
    parser.add_argument("--queries", type=int, default=8, metavar="N", help="in the figures (8)")
    parser.add_argument("--patches", type=int, default=2, metavar="N", help="a frame (2; 0: none)")
    parser.add_argument("--patch-side", type=float, default=0.35, help="share of the frame (0.35)")
    parser.add_argument("--size-px", type=int, default=0, help="of pictures, for all networks")
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"))
    parser.add_argument("-o", "--out", metavar="FILE.json", help="default: in REF if a folder")
    parser.add_argument("--quiet", action="store_true", help="no progress bars")
    return parser
