"""What an audit says of one shortcut: as the task is set, with its guard off, and with it on.

Figures count where they are further above ½ than a guess comes (`avssl.run.audit_error`); what a
guard takes away has an interval.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avssl.records import Shortcut
from avssl.run.audit_error import interval, true_parts
from avssl.run.audit_halves import Halves
from avssl.run.audit_network import Beside
from avssl.run.audit_probes import Judged

NUM_SAMPLES = 4000
"""Judged samples of a setting, for figures that are to be reported."""
LEAST_SAMPLES = 100
ALPHA = 0.05
"""Chance of one false alarm in a whole audit; shared out among its probes (Bonferroni)."""
_TINY = 1e-9


@dataclass(frozen=True, kw_only=True)
class Cut:
    """The share of (AUC − ½) that a guard takes away."""

    stated: float
    """What the task says; 0 where it says none."""
    measured: float
    low: float
    """Lower end of the 95 % interval, over groups of clips."""
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
        measured, low, high = (
            f"{round(share, 2) + 0.0:.0%}" for share in (self.measured, self.low, self.high)
        )  # + 0.0: no "-0%"
        return f"{said}{measured} ({low} to {high}){end}"


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
    chance: float
    """Chance with which a guess's figure counts, one-sided."""
    halves: Halves
    """The clips that it was fitted to and judged on."""
    held_out: bool = False
    """Whether clips of training were asked as held-out ones are."""
    anew: bool = True
    """Whether answers are drawn anew for every sample (`audit_plans.drawn_anew`); else they, or
    which clips are a pair, belong to the clips, and what only names a clip tells them."""
    num_samples: int = NUM_SAMPLES
    """Judged samples that were asked for."""
    cut: Cut | None = None
    """None where there is no leak to cut."""
    network: Beside | None = None
    """None where no run was given, or for bookkeeping."""

    @property
    def margin(self) -> float:
        """How far above ½ a figure must be to count, at ALPHA over the whole audit."""
        return self.on.margin(self.chance)

    @property
    def detectable(self) -> float:
        """The figure that would be found with a chance of 80 %; above 1 where none would."""
        return self.on.found_from(self.chance)

    @property
    def why_unknown(self) -> str:
        """Why nothing can be said on these clips; empty where something can."""
        if self.halves.why_same and not self.anew:
            return f"its answers belong to the clips, {self.halves.why_same}"
        if self.margin >= 0.5:
            return "no figure would count, so few and so different are the groups of these clips"
        return ""

    def tells(self, judged: Judged | None) -> bool:
        """Whether the probes tell the answer in one setting."""
        if judged is None or (self.halves.why_same and not self.anew):
            return False
        return judged.best - 0.5 > judged.margin(self.chance) + _TINY

    @property
    def leaks(self) -> bool:
        """Whether something tells the answer as the task is set."""
        return self.tells(self.on)

    @property
    def unbeaten(self) -> bool:
        """Whether the probe tells something and the network is not shown to know more."""
        beside = self.network
        return (
            self.leaks
            and beside is not None
            and beside.network_auc is not None
            and not beside.beats
        )

    @property
    def fails(self) -> bool:
        """Whether it is not as the task says, beyond the uncertainty."""
        return (
            (self.leaks and self.shortcut.kind == "bookkeeping")
            or (self.cut is not None and self.cut.short)
            or (self.network is not None and self.network.worse)
            or self.unbeaten
        )

    @property
    def verdict(self) -> str:
        """In words."""
        if self.on.error < _TINY and self.tells(self.off):
            return "its numbers are all alike: the guard leaves nothing of them"
        if self.on.error < _TINY:
            return "nothing to probe: its numbers are all alike on these clips"
        if self.why_unknown:
            return f"**cannot be judged**: {self.why_unknown}"
        if not self.leaks and self.on.best - 0.5 > self.on.guess(self.chance) + _TINY:
            return f"no more than {self.on.num_groups} groups may show by chance"
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
            "counts_above": _reachable(0.5 + self.margin),
            "detectable": _reachable(self.detectable),
            "fitted_to": "the same clips" if self.halves.why_same else "other groups",
            "answers_drawn_anew": self.anew,
            "leaks": self.leaks,
            "verdict": self.verdict,
            "advice": self.advice,
            "cut": self.cut and {**asdict(self.cut), "short": self.cut.short},
            "network": self.network and {**asdict(self.network), "beats": self.network.beats},
            "fails": self.fails,
        }


def flag(name: str, value: Any) -> str:
    """Gives a field as it is typed: "--task.crop-jitter 0.1", "--task.no-flip"."""
    if isinstance(value, bool):
        return name if value else name.replace("--task.", "--task.no-")
    if isinstance(value, (tuple, list)):
        return " ".join([name, *map(str, value)])
    return f"{name} {value}"


def _reachable(value: float) -> float | None:
    """Gives a figure, None where no figure is as large."""
    return value if value <= 1 else None


def num_to_fit(num_samples: int) -> int:
    """Gives how many more samples the classifiers are fitted to: half as many as are judged."""
    return num_samples // 2


def cut_of(one: Audited, units: Mapping[str, NDArray[np.int64]]) -> Cut | None:
    """Measures what the guard takes away, where there is a leak without it.

    The share is a ratio of two figures: how much a sample moves it is linear in how much it moves
    each, near enough where the leak is well above a guess.

    Args:
        one: of the audit.
        units: "on", "off", "closed" → int64 [N], what is independent among its judged samples.
    """
    name = "closed" if one.closed is not None else "on"
    guarded, off = one.closed or one.on, one.off
    if off is None or not one.tells(off) or one.settings["off"] == one.settings[name]:
        return None
    left, whole = guarded.best - 0.5, off.best - 0.5
    measured = 1 - max(left, 0.0) / whole
    parts = [
        -true_parts(guarded.label, guarded.sure) / whole,
        true_parts(off.label, off.sure) * left / whole**2,
    ]
    low, high = interval(
        measured, np.concatenate(parts), np.concatenate([units[name], units["off"]])
    )
    return Cut(stated=one.shortcut.cut_share, measured=measured, low=low, high=min(high, 1.0))
