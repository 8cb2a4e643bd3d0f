"""Every shortcut of a task: what the probes tell as the task is set, with the guard off, and on.

`audit` draws the samples of each setting, lets the probes be judged (`avssl.run.audit_probes`),
measures what a guard takes away, and sets a trained network beside them where there is one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from avssl.catalog import Catalog
from avssl.config import TrainConfig
from avssl.errors import InputError
from avssl.progress import progress_bar
from avssl.records import Shortcut
from avssl.run.audit_network import Beside, compare, network_answers
from avssl.run.audit_probes import Asked, Judged, classes_of, judge, resampled
from avssl.run.audit_samples import Drawn, draw

NUM_SAMPLES = 4000
LEAST_SAMPLES = 100
ALPHA = 0.05
"""Chance of one false alarm in a whole audit; shared out among its probes (Bonferroni)."""
_POWER = 0.8


@dataclass(frozen=True, kw_only=True)
class Cut:
    """The share of (AUC − ½) that a guard takes away."""

    stated: float
    """What the task says; 0 where it says none."""
    measured: float
    low: float
    """Lower end of the 95 % interval, over drawings of clips."""
    high: float
    """Upper end."""

    @property
    def short(self) -> bool:
        """Whether less is cut than stated, beyond the interval."""
        return self.high < self.stated

    @property
    def words(self) -> str:
        """For the table."""
        said = f"{self.stated:.0%} stated, " if self.stated else ""
        end = ": **less than stated**" if self.short else ""
        return f"{said}{self.measured:.0%} ({self.low:.0%} to {self.high:.0%}){end}"


@dataclass(frozen=True, kw_only=True)
class Audited:
    """One shortcut as the task is set, with its guard off, and with it on."""

    shortcut: Shortcut
    on: Judged
    """As the task is set."""
    off: Judged | None
    """With `Shortcut.off`; the very same where the task is set so."""
    closed: Judged | None
    """With `Shortcut.closes`, where the task is not set so."""
    settings: Mapping[str, Any]
    """"on", "off", "closed" → the task so set."""
    deviations: float
    """How many standard deviations of a guess count."""
    deviations_found: float
    """How many are found with a chance of 80 %."""
    cut: Cut | None = None
    """None where there is no leak to cut."""
    network: Beside | None = None
    """None where no run was given, or for bookkeeping."""

    @property
    def margin(self) -> float:
        """How far above ½ a figure must be to count, at ALPHA over the whole audit."""
        return self.deviations * self.on.error

    @property
    def detectable(self) -> float:
        """The figure that would be found with a chance of 80 %."""
        return 0.5 + self.deviations_found * self.on.error

    def tells(self, judged: Judged | None) -> bool:
        """Whether the probes tell the answer in one setting."""
        return judged is not None and judged.best - 0.5 > self.deviations * judged.error

    @property
    def leaks(self) -> bool:
        """Whether something tells the answer as the task is set."""
        return self.tells(self.on)

    @property
    def fails(self) -> bool:
        """Whether it is not as the task says, beyond the uncertainty."""
        return (
            (self.leaks and self.shortcut.kind == "bookkeeping")
            or (self.cut is not None and self.cut.short)
            or (self.network is not None and self.network.worse)
        )

    @property
    def verdict(self) -> str:
        """In words."""
        if self.on.error < 1e-9 and self.tells(self.off):
            return "its numbers are all alike: the guard leaves nothing of them"
        if self.on.error < 1e-9:
            return "nothing to probe: its numbers are all alike on these clips"
        if not self.leaks:
            return "these probes found nothing"
        return "**leaks**" if self.shortcut.kind == "bookkeeping" else "tells something"

    @property
    def fields(self) -> tuple[tuple[str, Any, Any], ...]:
        """(flag, value now, value that closes it) of the guard's fields; the last may be None."""
        task = self.settings["on"]
        found = []
        for name in dict.fromkeys([*self.shortcut.closes, *self.shortcut.off]):
            now = getattr(task, name)
            closing = self.shortcut.closes.get(name)
            if closing is None and now == self.shortcut.off.get(name):
                closing = getattr(type(task)(), name)
            if closing == now:
                closing = None
            found.append((f"--task.{name.replace('_', '-')}", now, closing))
        return tuple(found)

    @property
    def advice(self) -> str:
        """One line: the fields that close it, with the values now."""
        closing = [flag(name, value) for name, _, value in self.fields if value is not None]
        now = ", ".join(f"{name} is {value}" for name, value, _ in self.fields)
        if closing:
            return f"set {' '.join(closing)} (now: {now})"
        if not now:
            return "no field closes it"
        useless = self.cut is not None and self.cut.low <= 0 <= self.cut.high
        end = "makes no difference on these clips" if useless else "does not hold on these clips"
        return f"the guard is on ({now}) and {end}"

    def row(self) -> dict[str, Any]:
        """Gives all of it as JSON values."""
        one = self.shortcut
        judged = {"on": self.on, "off": self.off, "closed": self.closed}
        return {
            "name": one.name,
            "kind": one.kind,
            "leak": one.leak,
            "guard": one.guard,
            "off_fields": dict(one.off),
            "closes": dict(one.closes),
            **{name: value and value.figures() for name, value in judged.items()},
            "counts_above": 0.5 + self.margin,
            "detectable": self.detectable,
            "leaks": self.leaks,
            "verdict": self.verdict,
            "advice": self.advice,
            "cut": self.cut and {**asdict(self.cut), "short": self.cut.short},
            "network": self.network and {**asdict(self.network), "beats": self.network.beats},
        }


def flag(name: str, value: Any) -> str:
    """Gives a field as it is typed: "--task.crop-jitter 0.1", "--task.no-flip"."""
    if isinstance(value, bool):
        return name if value else name.replace("--task.", "--task.no-")
    if isinstance(value, (tuple, list)):
        return " ".join([name, *map(str, value)])
    return f"{name} {value}"


def num_to_fit(num_samples: int) -> int:
    """Gives how many more samples the classifiers are fitted to: half as many as are judged."""
    return num_samples // 2


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
        task: set as it would be trained.
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
    wanted = [_settings(task, one) for one in shortcuts]
    asked_in: dict[Any, list[int]] = {}  # a setting that several shortcuts share is drawn once
    for place, settings in enumerate(wanted):
        for setting in dict.fromkeys(settings.values()):
            asked_in.setdefault(setting, []).append(place)
    num_fit = num_to_fit(num_samples)
    total = num_samples + num_fit
    drawn: dict[tuple[Any, int], Drawn] = {}
    length = total * len(asked_in) + (num_samples if run else 0)
    with progress_bar("audit", total=length, unit="sample", quiet=quiet) as bar:
        for setting, places in asked_in.items():
            bar.say("as set" if setting == task else f"other: {shortcuts[places[0]].name}")
            probed = [shortcuts[place] for place in places]
            found = draw(setting, catalog, shortcuts=probed, num_samples=total, bar=bar)
            drawn.update(zip([(setting, place) for place in places], found, strict=True))
        answers = None
        if run is not None and any(one.kind == "content" for one in shortcuts):
            bar.say("the network")
            answers = network_answers(run, catalog, num_fit=num_fit, num_samples=total, bar=bar)
    result = []
    for place, (shortcut, settings) in enumerate(zip(shortcuts, wanted, strict=True)):
        asked: dict[str, Asked] = {}
        judged: dict[str, Judged] = {}
        for name, setting in settings.items():
            try:
                asked[name] = classes_of(drawn[setting, place].answers)
                judged[name] = judge(asked[name], drawn[setting, place].numbers, num_fit=num_fit)
            except InputError as error:
                hint = "; try --split validation" if catalog_of_training(catalog) else ""
                raise InputError(f"{task.name}, {shortcut.name}: {error}{hint}") from error
        one = _audited(shortcut, settings, judged, num_probes=2 * len(shortcuts))
        rows = {name: drawn[settings[name], place].rows[judged[name].places] for name in judged}
        one = replace(one, cut=_cut(one, rows))
        if answers is not None and shortcut.kind == "content":
            on = drawn[settings["on"], place]
            beside = compare(
                answers, drawn=on, asked=asked["on"], judged=judged["on"], num_fit=num_fit
            )
            one = replace(one, network=beside)
        result.append(one)
    return result


def catalog_of_training(catalog: Catalog) -> bool:
    """Whether the rows are those of the training split."""
    return len(catalog) > 0 and catalog.row(0).split == "train"


def _settings(task: Any, shortcut: Shortcut) -> dict[str, Any]:
    found = {"on": task}
    if shortcut.off:
        found["off"] = replace(task, **shortcut.off)
    if shortcut.closes and (closed := replace(task, **shortcut.closes)) != task:
        found["closed"] = closed
    return found


def _audited(
    shortcut: Shortcut,
    settings: Mapping[str, Any],
    judged: Mapping[str, Judged],
    *,
    num_probes: int,
) -> Audited:
    from scipy.stats import norm

    deviations = float(norm.isf(ALPHA / num_probes))
    return Audited(
        shortcut=shortcut,
        on=judged["on"],
        off=judged.get("off"),
        closed=judged.get("closed"),
        settings=settings,
        deviations=deviations,
        deviations_found=deviations + float(norm.isf(1 - _POWER)),
    )


def _cut(one: Audited, rows: Mapping[str, Any]) -> Cut | None:
    """Measures what the guard takes away, where there is a leak without it."""
    name = "closed" if one.closed is not None else "on"
    with_guard = one.closed or one.on
    if one.off is None or not one.tells(one.off) or one.settings["off"] == one.settings[name]:
        return None
    guarded, without = resampled(
        [rows[name], rows["off"]],
        [with_guard.label, one.off.label],
        [with_guard.sure, one.off.sure],
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = 1 - np.maximum(guarded - 0.5, 0) / (without - 0.5)
    low, high = np.nanquantile(shares[without > 0.5], [0.025, 0.975])
    return Cut(
        stated=one.shortcut.cut_share,
        measured=1 - max(with_guard.best - 0.5, 0.0) / (one.off.best - 0.5),
        low=float(low),
        high=float(high),
    )
