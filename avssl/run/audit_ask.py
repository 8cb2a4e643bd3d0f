"""Asks the probes of every shortcut: draws samples, judges them, sets a network beside.

settings   as set, guard off, guard on      each asked of the same clips, sample by sample
clips      fitted to one half of the groups, judged on the other (`avssl.run.audit_halves`)
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avssl.catalog import Catalog
from avssl.config import TrainConfig
from avssl.errors import InputError
from avssl.progress import Bar, progress_bar
from avssl.records import Shortcut
from avssl.run.audit_halves import Halves, halves_of, held_out, whole
from avssl.run.audit_measure import ALPHA, NUM_SAMPLES, Audited, cut_of, num_to_fit
from avssl.run.audit_network import compare, network_answers
from avssl.run.audit_plans import all_alike, drawn_anew
from avssl.run.audit_probes import Asked, Judged, classes_of, judge
from avssl.run.audit_samples import Drawn, draw

ANEW = "as answers are drawn anew for every sample, and a leak of one recording counts too"


def completed(task: Any, catalog: Catalog) -> Any:
    """Gives the task as a run on the data set would train it, such as with its palette."""
    return task.completed(catalog) if hasattr(task, "completed") else task


def audit(
    task: Any,
    catalog: Catalog,
    *,
    num_samples: int = NUM_SAMPLES,
    run: TrainConfig | None = None,
    quiet: bool = True,
) -> list[Audited]:
    """Probes every shortcut of a task, as it is set, with the guard off and with it on.

    Args:
        task: set as it would be trained; `completed` where it knows something of the data set.
        catalog: the rows that samples are drawn from.
        num_samples: that are judged, for each setting; half as many more are fitted to.
        run: a run of the task (of the same settings) whose network is set beside the probes.
        quiet: no progress bar.

    Raises:
        InputError: the task lists no shortcut, or answers that are all the same.
    """
    shortcuts: Sequence[Shortcut] = task.shortcuts
    if not shortcuts:
        raise InputError(f"{task.name}: lists no shortcut, so there is nothing to probe")
    task = completed(task, catalog)
    wanted = [_settings(task, one) for one in shortcuts]
    halves, as_held_out = _clips(task, wanted, catalog)
    source = held_out(catalog) if as_held_out else catalog
    anew = [one.one_clip or drawn_anew(task, one, source) for one in shortcuts]
    clips = [halves] * len(shortcuts)
    if not halves.why_same:
        same = whole(task, source, why=ANEW)
        clips = [
            same if answers_anew and one.kind == "bookkeeping" else halves
            for one, answers_anew in zip(shortcuts, anew, strict=True)
        ]
    drawn, answers = _drawn(
        shortcuts, wanted, clips, num_samples=num_samples, run=run, task=task, quiet=quiet
    )
    num_fit, result = num_to_fit(num_samples), []
    for place, (shortcut, settings) in enumerate(zip(shortcuts, wanted, strict=True)):
        asked: dict[str, Asked] = {}
        judged: dict[str, Judged] = {}
        units: dict[str, NDArray[np.int64]] = {}
        same = bool(clips[place].why_same)
        for name, setting in settings.items():
            found = drawn[setting, place]
            try:
                asked[name] = classes_of(found.answers)
                one = judge(
                    asked[name],
                    found.numbers,
                    num_fit=num_fit,
                    groups=None if same or anew[place] else found.groups,
                )
            except InputError as error:
                raise InputError(f"{task.name}, {shortcut.name}: {error}") from error
            judged[name] = one
            # a sample's number is the same sample with and without the guard
            units[name] = one.places if same else found.groups[one.places]
        audited = Audited(
            shortcut=shortcut,
            on=judged["on"],
            off=judged.get("off"),
            closed=judged.get("closed"),
            settings=settings,
            chance=ALPHA / (2 * len(shortcuts)),
            halves=clips[place],
            held_out=as_held_out,
            anew=anew[place],
            num_samples=num_samples,
        )
        audited = replace(audited, cut=cut_of(audited, units))
        if answers is not None and shortcut.kind == "content":
            beside = compare(
                answers,
                drawn=drawn[settings["on"], place],
                asked=asked["on"],
                judged=judged["on"],
                num_fit=num_fit,
                units=units["on"],
            )
            audited = replace(audited, network=beside)
        result.append(audited)
    return result


def _settings(task: Any, shortcut: Shortcut) -> dict[str, Any]:
    found = {"on": task}
    if shortcut.off:
        found["off"] = replace(task, **shortcut.off)
    if shortcut.closes and (closed := replace(task, **shortcut.closes)) != task:
        found["closed"] = closed
    return found


def _clips(task: Any, wanted: Sequence[Mapping[str, Any]], catalog: Catalog) -> tuple[Halves, bool]:
    """Gives the clips to ask about, and whether as held-out ones.

    Tasks that compare the samples of a batch plan matching pairs alone in training; held-out pairs
    they plan one by one, matching and not. So where plans of training have one answer only, clips
    of training are asked as held-out ones.

    Raises:
        InputError: answers are all alike both ways.
    """
    others = list(dict.fromkeys(one for settings in wanted for one in settings.values()))
    found = halves_of(task, others, catalog)
    problem = all_alike(task, wanted, found.judged)
    if not problem:
        return found, False
    if catalog.row(0).split == "train":
        found = halves_of(task, others, held_out(catalog))
        if not all_alike(task, wanted, found.judged):
            return found, True
    raise InputError(problem)


def _drawn(
    shortcuts: Sequence[Shortcut],
    wanted: Sequence[Mapping[str, Any]],
    clips: Sequence[Halves],
    *,
    num_samples: int,
    run: TrainConfig | None,
    task: Any,
    quiet: bool,
) -> tuple[dict[tuple[Any, int], Drawn], Any]:
    """Gives (setting, number of the shortcut) → its samples, those to fit first; the network's."""
    num_fit = num_to_fit(num_samples)
    asked_in: dict[tuple[Any, Halves], list[int]] = {}  # a setting that several share: drawn once
    for place, settings in enumerate(wanted):
        for setting in dict.fromkeys(settings.values()):
            asked_in.setdefault((setting, clips[place]), []).append(place)
    compared = [k for k, one in enumerate(shortcuts) if one.kind == "content"]
    beside = run is not None and bool(compared)
    length = (num_samples + num_fit) * len(asked_in) + num_samples * beside
    drawn: dict[tuple[Any, int], Drawn] = {}
    answers = None
    with progress_bar("audit", total=length, unit="sample", quiet=quiet) as bar:
        for (setting, halves), places in asked_in.items():
            bar.say("as set" if setting == task else f"other: {shortcuts[places[0]].name}")
            probed = [shortcuts[place] for place in places]
            found = _both(setting, halves, probed, num_samples=num_samples, bar=bar)
            drawn.update(zip([(setting, place) for place in places], found, strict=True))
        if run is not None and beside:
            bar.say("the network")
            answers = network_answers(
                replace(run, task=task),
                clips[compared[0]].judged,
                num_fit=num_fit,
                num_samples=num_samples,
                bar=bar,
            )
    return drawn, answers


def _both(
    setting: Any, halves: Halves, probed: Sequence[Shortcut], *, num_samples: int, bar: Bar
) -> list[Drawn]:
    num_fit = num_to_fit(num_samples)
    one = draw(setting, halves.fitted, shortcuts=probed, num_samples=num_fit, bar=bar)
    two = draw(
        setting,
        halves.judged,
        shortcuts=probed,
        num_samples=num_samples,
        first=num_fit,
        bar=bar,
    )
    return [first + second for first, second in zip(one, two, strict=True)]
