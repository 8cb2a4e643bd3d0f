"""`avssl audit TASK --data DST`: does a task on these videos give its answer away?

Every task lists its shortcuts, each with cheap numbers that would show it
(`avssl.records.Shortcut`). Here samples are drawn as in training, and two small classifiers try to
tell the answer from those numbers alone, on recordings that they were not fitted to: as the task is
set, with the guard off, and with it on where the task leaves it off. "Bookkeeping" (times, phases,
formats) must not tell anything. "Content" may: the table says how much, what the guard takes away,
and, with --run, whether a trained network knows more on the same samples.

A value near 0.5 reads: *these probes found nothing*. The smallest leak that would have been found
stands beside it; it shrinks with the numbers of samples and of recordings.
"""

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path

from avssl.catalog import Catalog
from avssl.config import task_classes
from avssl.errors import InputError
from avssl.files import write_json, write_text
from avssl.run.audit_ask import audit, completed
from avssl.run.audit_measure import LEAST_SAMPLES, NUM_SAMPLES, Audited
from avssl.run.audit_probes import Judged


def table(found: Sequence[Audited]) -> str:
    """Gives the audit as a page; columns that nothing stands in are left out."""
    columns: list[tuple[str, list[str]]] = [
        ("shortcut", [one.shortcut.name for one in found]),
        ("kind", [one.shortcut.kind for one in found]),
        ("as set: linear, trees", [_pair(one.on) for one in found]),
        ("guard off", [_pair(one.off) for one in found]),
        ("guard on", [_pair(one.closed) for one in found]),
        ("the guard cuts", ["" if one.cut is None else one.cut.words for one in found]),
        ("network", ["" if one.network is None else one.network.words for one in found]),
        (
            "counts above, found from",
            [f"{_figure(0.5 + one.margin)}, {_figure(one.detectable)}" for one in found],
        ),
        ("clips", ["the same" if one.halves.why_same else "" for one in found]),
        ("", [one.verdict for one in found]),
    ]
    columns = [(name, cells) for name, cells in columns if any(cells)]
    lines = ["| " + " | ".join(name for name, _ in columns) + " |", "|---" * len(columns) + "|"]
    for cells in zip(*(cells for _, cells in columns), strict=True):
        lines.append("| " + " | ".join(cells) + " |")
    lines += ["", _footer(found)]
    return "\n".join(lines) + "\n"


def _pair(judged: Judged | None) -> str:
    return "" if judged is None else f"{judged.linear_auc:.3f}, {judged.small_auc:.3f}"


def _figure(value: float) -> str:
    return f"{value:.3f}" if value <= 1 else "none"


def _footer(found: Sequence[Audited]) -> str:
    num = found[0].num_samples
    text = (
        f"AUC of logistic regression and of shallow trees on {num} samples a setting (mean of each "
        "class against the others where there are more than two), fitted to half as many others. "
        "What counts is 5 % for the whole table, corrected for its "
        f"{2 * len(found)} probes; where answers are not drawn anew for every sample, whole groups "
        "of clips are alike and the error is larger. From the last figure on, a leak is found in "
        "about four of five audits."
    )
    if num < NUM_SAMPLES:
        text += f" {num} samples are below the {NUM_SAMPLES} that a figure to be reported needs."
    apart = [one.halves for one in found if not one.halves.why_same]
    if apart:
        text += (
            f" Fitted to clips of {apart[0].num_fitted} groups, judged on those of "
            f"{apart[0].num_judged} others."
        )
    for why in dict.fromkeys(one.halves.why_same for one in found if one.halves.why_same):
        text += f' "The same": fitted to and judged on samples of the same clips, {why}.'
    if found[0].held_out:
        text += (
            " These clips of training were asked as held-out ones are: training plans matching "
            "pairs alone and compares those of a batch, which is not what is audited."
        )
    if any(one.network for one in found):
        text += (
            " Network: its AUC on the very samples of the better probe, and the 95 % interval of "
            f"the difference, over {'groups of clips' if apart else 'samples'}."
        )
    return text


def notes(found: Sequence[Audited]) -> list[str]:
    """Gives a line for each shortcut that tells something, or is not as the task says."""
    lines = []
    for one in found:
        if one.leaks:
            lines.append(f"{one.shortcut.name}: {one.shortcut.leak} Way out: {one.advice}.")
        if one.cut is not None and one.cut.short:
            lines.append(f"{one.shortcut.name}: the guard cuts {one.cut.words}")
        if (
            one.network is not None
            and one.network.network_auc is not None
            and not one.network.beats
        ):
            lines.append(f"{one.shortcut.name}: network {one.network.words}")
    return [line.replace("**", "") for line in lines]


def command(arguments: Sequence[str]) -> int:
    """`avssl audit`; 1 where something is not as the task says: bookkeeping tells the answer, a
    guard cuts less than stated, or a network does not beat a probe that tells something.

    Raises:
        InputError: see `audit`.
    """
    from avssl.run.command import parse

    parser = argparse.ArgumentParser(
        prog="avssl audit", description=__doc__, formatter_class=argparse.RawTextHelpFormatter,
        epilog=_knobs(arguments),
    )  # fmt: skip
    parser.add_argument("task", metavar="TASK")
    parser.add_argument("--data", required=True, metavar="DST", help="a prepared data set")
    parser.add_argument("--recipe", default="", help="the task's settings (its first recipe)")
    parser.add_argument(
        "--run", metavar="RUN", help="set the network of this run beside the probes; its settings"
    )
    parser.add_argument(
        "--split", choices=("train", "validation", "test"), help="train; with --run validation"
    )
    parser.add_argument("--samples", type=int, default=NUM_SAMPLES, metavar="N")
    parser.add_argument("-o", "--out", metavar="FILE.json", help="default: audit_TASK.json here")
    parser.add_argument("--no-media", action="store_true", help="no pictures of the give-away")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    options, knobs = parser.parse_known_args(list(arguments))
    if options.samples < LEAST_SAMPLES:
        raise InputError(f"--samples {options.samples}: must be {LEAST_SAMPLES} or more")
    if options.task == "multi":
        raise InputError("multi: its tasks are audited one by one, as in `avssl audit rotation …`")
    words = ["--data", options.data, "--out", "-", *knobs]
    config = parse(options.task, options.recipe, words, program="avssl audit")
    run = None
    if options.run:
        from avssl.run.audit_network import read_run

        if knobs or options.recipe:
            raise InputError(f"{knobs[0] if knobs else '--recipe'}: --run has settings of its own")
        config = run = read_run(options.run, task_name=options.task)
    split = options.split or ("validation" if run else "train")
    data = Catalog.read(options.data)
    catalog, task = data.select(split=split), completed(config.task, data)
    found = audit(task, catalog, num_samples=options.samples, run=run, quiet=options.quiet)
    out = Path(options.out or f"audit_{options.task}.json")
    facts = {"task": options.task, "data": options.data, "split": split, "run": options.run}
    halves = next((one.halves for one in found if not one.halves.why_same), found[0].halves)
    clips = {
        "num_fitted_groups": halves.num_fitted,
        "num_judged_groups": halves.num_judged,
        "asked_as_held_out": found[0].held_out,
    }
    write_json(out, {**facts, **clips, "rows": [one.row() for one in found]})
    shown = table(found)
    write_text(out.with_suffix(".md"), shown)
    print(shown)
    for line in notes(found):
        print(line)
    from avssl.run.audit_pictures import write_pictures

    pictures = write_pictures(
        found, out, facts=facts, notes=notes(found), table=shown,
        num_samples=options.samples, media=not options.no_media,
    )  # fmt: skip
    print(", ".join(map(str, (out, out.with_suffix(".md"), *pictures))))
    return int(any(one.fails for one in found))


def _knobs(words: Sequence[str]) -> str:
    """Gives what help says of the knobs of the task among the words, with their defaults."""
    known = task_classes()
    kind = next((known[word] for word in words if word in known), None)
    text = "Knobs of the task as for `avssl train`: --task.NAME VALUE"
    if kind is None or not dataclasses.is_dataclass(kind):
        return f"{text}; `avssl audit TASK --help` lists them."
    lines = [
        f"  --task.{field.name.replace('_', '-'):<24} {field.default}"
        for field in dataclasses.fields(kind)
    ]
    return "\n".join([f"{text} (defaults of {kind.name}):", *lines])  # type: ignore[attr-defined]
