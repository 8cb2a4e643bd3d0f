"""The samples of an audit, drawn as in training, and what the probes say of each.

Sample number n of a setting is a pure function of the audit's seed and n: it can be made again, for
a trained network or for a picture, and with a guard off it differs by that guard alone.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avssl.catalog import Catalog
from avssl.data import make_example
from avssl.decode.fetch import Fetcher
from avssl.errors import InputError
from avssl.progress import Bar
from avssl.records import Example, Plan, Shortcut
from avssl.sample import sample_rng

SEED = 20_260_102


class _NeedsPicturesError(Exception):
    """A probe wants to see what the plan does not say."""


class _Unseen(Mapping[str, Any]):
    """Stands for the arrays of a sample that was only planned."""

    def __getitem__(self, name: str) -> Any:
        raise _NeedsPicturesError

    def __iter__(self) -> Iterator[str]:
        raise _NeedsPicturesError

    def __len__(self) -> int:
        raise _NeedsPicturesError


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """What one shortcut's probe says of N samples."""

    answers: list[Any]
    """What the probe must not tell, N numbers."""
    numbers: NDArray[np.float64]
    """float64 [N, k]."""
    rows: NDArray[np.int64]
    """int64 [N]: row of the catalogue of each sample's first span."""
    groups: NDArray[np.int64]
    """int64 [N]: number of that row's group, the same for all settings that one catalogue is asked
    about."""
    asked: NDArray[np.int64]
    """int64 [N]: which question of the sample it is; 0 where it asks one."""

    def __add__(self, other: "Drawn") -> "Drawn":
        """Gives the samples of both, in this order; groups of the two are not the same."""
        return Drawn(
            answers=self.answers + other.answers,
            numbers=np.concatenate([self.numbers, other.numbers]),
            rows=np.concatenate([self.rows, other.rows]),
            groups=np.concatenate([self.groups, other.groups]),
            asked=np.concatenate([self.asked, other.asked]),
        )


class Maker:
    """Makes the samples of one setting by their numbers.

    Args:
        task: set as it is to be judged.
        catalog: the rows that samples are drawn from.
        num_samples: how many there are.
        seed: of the samples.
        first: number of the first of them; other numbers are other samples.
    """

    def __init__(
        self,
        task: Any,
        catalog: Catalog,
        *,
        num_samples: int,
        seed: int = SEED,
        first: int = 0,
    ) -> None:
        self.task, self.catalog, self._seed, self._first = task, catalog, seed, first
        # With replacement: were every clip shown once, one that was heard with its own picture in
        # four folds could only be a mismatch in the fifth, and the classifiers would tell less
        # than nothing.
        rng = np.random.default_rng((seed, first) if first else seed)
        self._rows = rng.choice(task.items(catalog), num_samples)
        self._fetcher: Any = None

    def row(self, number: int) -> int:
        """Gives the row of the catalogue that sample `number` is drawn of."""
        return int(self._rows[number - self._first])

    def plan(self, number: int) -> Plan:
        """Plans sample `number`; nothing is decoded."""
        plan_rng, _ = sample_rng(self._seed, 0, number).spawn(2)
        return self.task.sample(self.catalog, self.row(number), plan_rng)

    def example(self, number: int) -> tuple[Plan, Example]:
        """Makes sample `number`."""
        return make_example(
            self.task,
            self.catalog,
            self._open,
            index=self.row(number),
            rng=sample_rng(self._seed, 0, number),
        )

    def which(self, number: int, count: int) -> int:
        """Draws which of its `count` questions is asked of sample `number`."""
        return int(sample_rng(self._seed, 1, number).integers(count))

    def _open(self) -> Any:
        if self._fetcher is None:
            self._fetcher = Fetcher(self.catalog.directory)
        return self._fetcher

    def __enter__(self) -> "Maker":
        return self

    def __exit__(self, *_: object) -> None:
        if self._fetcher is not None:
            self._fetcher.close()


def answer_of(shortcut: Shortcut, task: Any) -> Callable[[Plan, Example], Any]:
    """Gives what tells the answer that a probe must not tell.

    Raises:
        InputError: when it is called, where there is no answer.
    """
    if shortcut.answer is not None:
        return shortcut.answer

    def label(plan: Plan, example: Example) -> Any:
        if "label" not in plan.target:
            raise InputError(
                f"{task.name}, {shortcut.name}: its plans have no label; it needs `answer`"
            )
        return plan.target["label"]

    return label


def planned_answer(answer: Callable[[Plan, Example], Any], plan: Plan) -> Any:
    """Gives the answer that a plan alone says; None where pictures or sound are looked at."""
    try:
        return answer(plan, _unseen())
    except _NeedsPicturesError:
        return None


def _unseen() -> Example:
    return Example(arrays=_Unseen())


def draw(
    task: Any,
    catalog: Catalog,
    *,
    shortcuts: Sequence[Shortcut],
    num_samples: int,
    seed: int = SEED,
    first: int = 0,
    bar: Bar | None = None,
) -> list[Drawn]:
    """Draws samples and asks the probe of each shortcut.

    Where no probe looks at more than the plan, nothing is decoded.

    Args:
        task: set as it is to be judged.
        catalog: the rows that samples are drawn from.
        shortcuts: whose probes are asked.
        num_samples: N.
        seed: of the samples.
        first: number of the first of them, see `Maker`.
        bar: is moved on by one a sample.

    Raises:
        InputError: a shortcut of a task without labels says no `answer`.
    """
    known = [answer_of(one, task) for one in shortcuts]
    answers: list[list[Any]] = [[] for _ in shortcuts]
    numbers: list[list[Any]] = [[] for _ in shortcuts]
    which = np.zeros((len(shortcuts), num_samples), dtype=np.int64)
    rows = np.zeros(num_samples, dtype=np.int64)
    decoded = False
    with Maker(task, catalog, num_samples=num_samples, seed=seed, first=first) as maker:
        for number in range(num_samples):
            while True:
                if decoded:
                    plan, example = maker.example(first + number)
                else:
                    plan, example = maker.plan(first + number), _unseen()
                try:
                    said = [
                        (answer(plan, example), np.asarray(one.probe(plan, example), dtype=float))
                        for one, answer in zip(shortcuts, known, strict=True)
                    ]
                    break
                except _NeedsPicturesError:
                    decoded = True
            for place, (answer, found) in enumerate(said):
                which[place, number] = plan.target.get("asked", 0)
                if found.ndim == 2:  # one of its questions, so that samples stay independent
                    which[place, number] = maker.which(first + number, len(found))
                    answer = np.asarray(answer)[which[place, number]]
                    found = found[which[place, number]]
                answers[place].append(answer.item() if isinstance(answer, np.generic) else answer)
                numbers[place].append(found)
            rows[number] = plan.spans[0].row if plan.spans else maker.row(first + number)
            if bar is not None:
                bar.advance()
    names = np.asarray(catalog.column("group_id"), dtype=object).astype(str)
    groups = np.unique(names, return_inverse=True)[1][rows]
    return [
        Drawn(
            answers=answers[place],
            numbers=np.stack(numbers[place]),
            rows=rows,
            groups=groups,
            asked=which[place],
        )
        for place in range(len(shortcuts))
    ]
