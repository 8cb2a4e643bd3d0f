"""What `avssl eval normals` and `avssl eval detection` share: runs as rows, batches, the files."""

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from avssl.catalog import Catalog
from avssl.config import read_config
from avssl.data import make_example
from avssl.decode.fetch import Fetcher
from avssl.errors import InputError
from avssl.files import write_json, write_text
from avssl.progress import Bar
from avssl.run.folder import HEAD_FILE
from avssl.run.parallel import Processes, threads_beside_loaders
from avssl.task import Learner, widths_of

_BATCH = 16
WANTED = ("untrained", "imagenet", "supervised")
"""Rows that a table always names, also where nobody has trained them."""


@dataclass(frozen=True, kw_only=True)
class TrainedRow:
    """A finished run whose head is judged."""

    name: str
    task: Any
    learner: Learner
    encoder: str


def load_row(name: str, run: str | Path, kind: type) -> TrainedRow:
    """Reads a run's networks, on the CPU.

    Raises:
        InputError: no finished run of this task.
    """
    from safetensors.torch import load_file

    from avssl.model import load_encoder

    config = read_config(run)
    if not isinstance(config.task, kind):
        wanted = getattr(kind, "name", "")
        raise InputError(f"{run}: a run of {config.task.name}, must be of `avssl train {wanted}`")
    path = Path(run) / HEAD_FILE
    if not path.is_file():
        raise InputError(f"{run}: no {HEAD_FILE} yet; finish it with `avssl resume {run}`")
    encoders = {"vision": load_encoder(run, "vision")}
    learner = Learner(task=config.task, encoders=encoders, widths=widths_of(encoders)).eval()
    learner.head.load_state_dict(load_file(path))
    return TrainedRow(name=name, task=config.task, learner=learner, encoder=encoders["vision"].name)


def answers(
    row: TrainedRow, catalog: Catalog, rows: NDArray[np.int64], bar: Bar
) -> Iterator[tuple[NDArray[np.int64], dict[str, Tensor], dict[str, Tensor]]]:
    """Gives (rows, batch, outputs), batch by batch; rows are shown as they stand."""
    fetcher = Fetcher(catalog.directory)
    for start in range(0, len(rows), _BATCH):
        part = rows[start : start + _BATCH]
        examples = [
            make_example(
                row.task, catalog, lambda: fetcher, index=int(k), rng=np.random.default_rng(0)
            )[1].arrays
            for k in part
        ]
        batch = {
            name: torch.from_numpy(np.stack([one[name] for one in examples]))
            for name in examples[0]
        }
        with torch.no_grad():
            out = row.learner.outputs(batch)
        yield part, batch, dict(out)
        bar.advance(len(part))
    fetcher.close()


def run_command(
    name: str, doc: str | None, words: Sequence[str], evaluate: Callable[..., dict[str, Any]]
) -> tuple[Path, dict[str, Any]]:
    """Reads the command line that both have and judges.

    Args:
        name: of the task.
        doc: what is judged, for --help.
        words: the command line.
        evaluate: `evaluate_normals` or `evaluate_detection`.

    Returns:
        The file for the result, and what `evaluate` gave; the picture lies beside that file.
    """
    options = _arguments_of(name, doc, words)
    default = Path(options.run) / f"{name}_{options.split}.json"
    out = Path(options.out) if options.out else default
    with threads_beside_loaders(Processes(device=torch.device("cpu"))):
        return out, evaluate(
            options.run,
            options.data,
            rows=options.rows,
            split=options.split,
            max_pictures=options.max_pictures,
            picture=out.with_suffix(".png"),
            quiet=options.quiet,
        )


def _arguments_of(name: str, doc: str | None, words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog=f"avssl eval {name}", description=doc)
    parser.add_argument("run", metavar="RUN", help=f"folder of a run of `avssl train {name}`")
    parser.add_argument("--data", required=True, metavar="D", help="labelled data set")
    parser.add_argument("--split", default="test", choices=("validation", "test"))
    parser.add_argument(
        "--row",
        action="append",
        default=[],
        metavar="NAME=RUN",
        help="another run beside it, such as untrained=RUN2, imagenet=RUN3; also several",
    )
    parser.add_argument("--max-pictures", type=int, default=0, metavar="N", help="only so many")
    parser.add_argument("-o", "--out", metavar="FILE.json", help=f"default: RUN/{name}_SPLIT.json")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    options = parser.parse_args(list(words))
    if options.max_pictures < 0:
        raise InputError("--max-pictures: must be 0 (all) or more")
    options.rows = dict(_named(one) for one in options.row)
    return options


def _named(word: str) -> tuple[str, str]:
    name, _, run = word.partition("=")
    if not name or not run or name == "network" or name.startswith("trivial"):
        raise InputError(f"--row {word!r}: must be NAME=RUN, such as untrained=RUN2")
    return name, run


def spread(rows: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """Gives at most so many of the rows, evenly spread; 0: all."""
    return rows if not 0 < most < len(rows) else rows[np.arange(most) * len(rows) // most]


def with_missing(rows: dict[str, Any], task: str) -> dict[str, Any]:
    """Names the usual rows that nobody trained, with the way to them."""
    how = {
        "untrained": "--init random:NAME", "imagenet": "--init timm:NAME",
        "supervised": "--init a supervised run",
    }  # fmt: skip
    missing = {
        name: {"not run": f"train it: avssl train {task} {how[name]}, then --row {name}=RUN"}
        for name in WANTED
        if name not in rows
    }
    return {**rows, **missing}


def table(summary: dict[str, Any], names: Sequence[str]) -> str:
    """Gives the rows as a table for a page; those that were not run below it."""
    lines = [f"| {summary['num_pictures']} pictures | " + " | ".join(names) + " |"]
    lines.append("|---" * (len(names) + 1) + "|")
    notes = []
    for row, figures in summary["rows"].items():
        if "not run" in figures:
            notes.append(f"\n{row}: not run ({figures['not run']})")
            continue
        cells = [f"{figures[name]:.3f}" if name in figures else "" for name in names]
        lines.append(f"| {row} | " + " | ".join(cells) + " |")
    return "\n".join([*lines, *notes, f"\n{summary['note']}"]) + "\n"


def write_result(out: Path, summary: dict[str, Any], names: Sequence[str]) -> None:
    """Writes JSON and table and says so."""
    write_json(out, summary)
    shown = table(summary, names)
    write_text(out.with_suffix(".md"), shown)
    print(shown)
    print(f"{out}, {out.with_suffix('.md')}")
