"""`avssl audit TASK --data DST`: does a task on these videos give its answer away?

Every task lists its shortcuts, each with cheap numbers that would show it
(`avssl.records.Shortcut`). Here samples are drawn as in training, and two small classifiers try to
tell the label from those numbers alone, on samples that they were not fitted to: once with the
guard as the task is set, once with it off. "Bookkeeping" (times, phases, formats) must not tell
anything. "Content" may: how much, and what the guard takes away, is what the table says.

A value near 0.5 reads: *these probes found nothing*. The smallest leak that would have been found
stands beside it; it shrinks with the number of samples.
"""

import argparse
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avssl.catalog import Catalog
from avssl.data import make_example
from avssl.decode.fetch import Fetcher
from avssl.errors import InputError
from avssl.files import write_json, write_text
from avssl.progress import Bar, progress_bar
from avssl.records import Shortcut
from avssl.sample import sample_rng

NUM_SAMPLES = 4000
LEAST_SAMPLES = 100
ALPHA = 0.05
"""Chance of one false alarm in a whole audit; shared out among its probes (Bonferroni)."""
_POWER = 0.8
_SEED = 20_260_102


@dataclass(frozen=True, kw_only=True)
class Found:
    """What the classifiers made of one shortcut's numbers."""

    linear_auc: float
    """Of logistic regression."""
    small_auc: float
    """Of gradient-boosted shallow trees."""
    num_samples: int
    num_numbers: int
    """Numbers that the probe gives."""
    share_of_ones: float


@dataclass(frozen=True, kw_only=True)
class Audited:
    """One shortcut with its guard on and off."""

    name: str
    kind: str
    leak: str
    guard: str
    on: Found
    off: Found | None
    off_fields: dict[str, Any]
    margin: float
    """How far above ½ an AUC must be to count, at ALPHA over the whole audit."""
    detectable: float
    """The AUC that would be found with a chance of 80 %."""

    @property
    def leaks(self) -> bool:
        """Whether something tells the label with the guard on."""
        return max(self.on.linear_auc, self.on.small_auc) - 0.5 > self.margin

    @property
    def kept_share(self) -> float | None:
        """Share of (AUC − ½) that the guard leaves, where there is a leak without it."""
        if self.off is None:
            return None
        without = max(self.off.linear_auc, self.off.small_auc) - 0.5
        if without <= self.margin:
            return None
        return max(0.0, max(self.on.linear_auc, self.on.small_auc) - 0.5) / without


def standard_error(num_ones: int, num_zeros: int) -> float:
    """Gives the standard error of a guess's AUC, √((n₁ + n₀ + 1) / 12 n₁ n₀) (Mann and Whitney)."""
    return math.sqrt((num_ones + num_zeros + 1) / (12 * num_ones * num_zeros))


def draw(
    task: Any,
    catalog: Catalog,
    *,
    num_samples: int,
    probes: Sequence[Any],
    seed: int = _SEED,
    bar: Bar | None = None,
) -> tuple[NDArray[np.int64], list[NDArray[np.float64]]]:
    """Gives labels int64 [N] and, for each probe, its numbers float64 [N, k].

    Raises:
        InputError: the labels do not vary, or are not 0 and 1.
    """
    items = task.items(catalog)
    rng = np.random.default_rng(seed)
    fetcher = Fetcher(catalog.directory)
    labels, numbers = [], [[] for _ in probes]
    # With replacement: were every clip shown once, one that was heard with its own picture in four
    # folds could only be a mismatch in the fifth, and the classifiers would tell less than nothing.
    for number, item in enumerate(rng.choice(items, num_samples)):
        plan, example = make_example(
            task, catalog, lambda: fetcher, index=int(item), rng=sample_rng(seed, 0, number)
        )
        labels.append(plan.target.get("label", -1))
        for column, probe in zip(numbers, probes, strict=True):
            column.append(np.asarray(probe(plan, example), dtype=np.float64))
        if bar is not None:
            bar.advance()
    fetcher.close()
    label = np.array(labels, dtype=np.int64)
    if set(np.unique(label)) != {0, 1}:
        raise InputError(
            f"{task.name}: labels of these samples are {sorted(set(label.tolist()))}, the audit "
            "needs both 0 and 1; try --split validation"
        )
    return label, [np.stack(column) for column in numbers]


def num_to_fit(num_samples: int) -> int:
    """Gives how many more samples the classifiers are fitted to: half as many as are judged."""
    return num_samples // 2


def probe_with(label: NDArray[np.int64], numbers: NDArray[np.float64], *, num_fit: int) -> Found:
    """Fits both classifiers to the first `num_fit` samples and judges them on the others.

    No folds: those are fitted to one another's samples, and the error of their AUC is up to one and
    a half times that of `standard_error` (measured), so that guards would be blamed too often.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    numbers = np.nan_to_num(numbers, posinf=1e6, neginf=-1e6)
    aucs = []
    for model in (
        make_pipeline(StandardScaler(), LogisticRegression(C=1.0, max_iter=500)),
        HistGradientBoostingClassifier(max_iter=60, max_depth=3, random_state=0),
    ):
        model.fit(numbers[:num_fit], label[:num_fit])
        sure: Any = model.predict_proba(numbers[num_fit:])
        aucs.append(float(roc_auc_score(label[num_fit:], sure[:, 1])))
    return Found(
        linear_auc=aucs[0],
        small_auc=aucs[1],
        num_samples=len(label) - num_fit,
        num_numbers=numbers.shape[1],
        share_of_ones=float(label.mean()),
    )


def audit(
    task: Any, catalog: Catalog, *, num_samples: int = NUM_SAMPLES, quiet: bool = True
) -> list[Audited]:
    """Probes every shortcut of a task, guard on and off.

    Args:
        task: set as it would be trained.
        catalog: the rows that samples are drawn from.
        num_samples: that are judged, for each setting; half as many more are fitted to.
        quiet: no progress bar.

    Raises:
        InputError: the task lists no shortcut, or labels that are not 0 and 1.
    """
    from scipy.stats import norm

    shortcuts: Sequence[Shortcut] = task.shortcuts
    if not shortcuts:
        raise InputError(f"{task.name}: lists no shortcut, so there is nothing to probe")
    settings = [task] + [replace(task, **one.off) for one in shortcuts if one.off]
    found: list[Audited] = []
    num_fit = num_to_fit(num_samples)
    with progress_bar(
        "audit", total=(num_samples + num_fit) * len(settings), unit="sample", quiet=quiet
    ) as bar:
        how: dict[str, Any] = {"num_samples": num_samples + num_fit, "bar": bar}
        label, columns = draw(task, catalog, probes=[one.probe for one in shortcuts], **how)
        num_ones = int(label[num_fit:].sum())
        error = standard_error(num_ones, num_samples - num_ones)
        margin = float(norm.isf(ALPHA / (2 * len(shortcuts)))) * error
        for shortcut, numbers in zip(shortcuts, columns, strict=True):
            off = None
            if shortcut.off:
                other = replace(task, **shortcut.off)
                bar.say(f"without: {shortcut.name}")
                off_label, (off_numbers,) = draw(other, catalog, probes=[shortcut.probe], **how)
                off = probe_with(off_label, off_numbers, num_fit=num_fit)
            found.append(
                Audited(
                    name=shortcut.name,
                    kind=shortcut.kind,
                    leak=shortcut.leak,
                    guard=shortcut.guard,
                    on=probe_with(label, numbers, num_fit=num_fit),
                    off=off,
                    off_fields=dict(shortcut.off),
                    margin=margin,
                    detectable=0.5 + margin + float(norm.isf(1 - _POWER)) * error,
                )
            )
    return found


def table(found: Sequence[Audited]) -> str:
    """Gives the audit as a page."""
    lines = [
        "| shortcut | kind | guard on: linear, trees | guard off | left of the leak | |",
        "|---|---|---|---|---|---|",
    ]
    for one in found:
        off = "" if one.off is None else f"{one.off.linear_auc:.3f}, {one.off.small_auc:.3f}"
        share = "" if one.kept_share is None else f"{one.kept_share:.0%}"
        if one.leaks:
            verdict = "**leaks**" if one.kind == "bookkeeping" else "tells something"
        else:
            verdict = "these probes found nothing"
        cells = (one.name, one.kind, f"{one.on.linear_auc:.3f}, {one.on.small_auc:.3f}")
        lines.append("| " + " | ".join((*cells, off, share, verdict)) + " |")
    first = found[0]
    lines += [
        "",
        "AUC of logistic regression and of shallow trees on "
        f"{first.on.num_samples} samples a setting, fitted to half as many others. "
        f"Above {0.5 + first.margin:.3f} counts (5 % for the whole table, {2 * len(found)} "
        f"probes); a leak of {first.detectable:.3f} would have been found in four of five audits.",
    ]
    return "\n".join(lines) + "\n"


def command(arguments: Sequence[str]) -> int:
    """`avssl audit`; 1 where bookkeeping tells the label.

    Raises:
        InputError: see `audit`.
    """
    from avssl.run.command import parse

    parser = argparse.ArgumentParser(
        prog="avssl audit", description=__doc__, formatter_class=argparse.RawTextHelpFormatter,
        epilog="Knobs of the task as for `avssl train`: --task.NAME VALUE.",
    )  # fmt: skip
    parser.add_argument("task", metavar="TASK")
    parser.add_argument("--data", required=True, metavar="DST", help="a prepared data set")
    parser.add_argument("--recipe", default="", help="the task's settings (its first recipe)")
    parser.add_argument("--split", default="train", choices=("train", "validation", "test"))
    parser.add_argument("--samples", type=int, default=NUM_SAMPLES, metavar="N")
    parser.add_argument("-o", "--out", metavar="FILE.json", help="default: audit_TASK.json here")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    options, knobs = parser.parse_known_args(list(arguments))
    if options.samples < LEAST_SAMPLES:
        raise InputError(f"--samples {options.samples}: must be {LEAST_SAMPLES} or more")
    if options.task == "multi":
        raise InputError("multi: its tasks are audited one by one, as in `avssl audit rotation …`")
    config = parse(options.task, options.recipe, ["--data", options.data, "--out", "-", *knobs])
    catalog = Catalog.read(options.data).select(split=options.split)
    found = audit(config.task, catalog, num_samples=options.samples, quiet=options.quiet)
    out = Path(options.out or f"audit_{options.task}.json")
    rows = [{**asdict(one), "leaks": one.leaks, "kept_share": one.kept_share} for one in found]
    write_json(
        out, {"task": options.task, "data": options.data, "split": options.split, "rows": rows}
    )
    shown = table(found)
    write_text(out.with_suffix(".md"), shown)
    print(shown)
    for one in found:
        if one.leaks and one.kind == "bookkeeping":
            print(f"{one.name}: {one.leak} Guard: {one.guard}")
    print(f"{out}, {out.with_suffix('.md')}")
    return int(any(one.leaks and one.kind == "bookkeeping" for one in found))
