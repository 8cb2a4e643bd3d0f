"""Clips drawn in memory for the tests of tasks: something moves, nothing is decoded."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import sklearn.metrics  # noqa: F401  (its first import uses Python's generator: not in a test)

from avssl.catalog import Catalog, ClipRow
from avssl.records import Clip, FrameSpan, Plan, Sound, SoundSpan

Fetch = Callable[[Catalog, Plan], list[Clip]]


@pytest.fixture(scope="session")
def catalog(make_row: Callable[..., ClipRow]) -> Catalog:
    """Six clips of 6 s at 30 frames a second."""
    return Catalog.from_rows([make_row(number=number, num_frames=180) for number in range(6)])


@pytest.fixture(scope="session")
def held_out(make_row: Callable[..., ClipRow]) -> Catalog:
    """The same clips in the validation split."""
    return Catalog.from_rows(
        [make_row(number=k, num_frames=180, split="validation") for k in range(6)]
    )


def draw_frame(*, row: int, time_s: float, width_px: int, height_px: int) -> np.ndarray:
    """Draws a disc on a lattice before a background of the row's own, uint8 [3, H, W]."""
    rng = np.random.default_rng(row)
    colors = rng.integers(30, 226, size=(3, 3))
    phase, rate, slope = rng.random(3)
    y, x = np.mgrid[:height_px, :width_px]
    lattice = np.sin(x / (3 + 5 * rate)) * np.cos(y / (3 + 5 * slope)) > 0
    frame = np.where(lattice[None], colors[0][:, None, None], colors[1][:, None, None])
    u = phase + (0.15 + 0.2 * rate) * time_s  # wanders through the picture and back
    at_x = width_px * (0.5 + 0.35 * np.sin(2 * np.pi * u / 3))
    at_y = height_px * (0.5 + 0.3 * np.sin(2 * np.pi * u / 5 + slope))
    disc = (x - at_x) ** 2 + (y - at_y) ** 2 < (height_px / 6) ** 2
    return np.where(disc[None], colors[2][:, None, None], frame).astype(np.uint8)


def _frames(row: ClipRow, times_s: Sequence[float], *, number: int) -> Clip:
    """Draws what row `number` shows, with black bars where its row says that there are some."""
    known = row.frame_times_s
    found = known[np.searchsorted(known, np.array(times_s), side="right") - 1]
    size = {"width_px": row.width_px, "height_px": row.height_px}
    frames = np.stack([draw_frame(row=number, time_s=float(one), **size) for one in found])
    left, top, right, bottom = row.borders_px
    for bar in (
        frames[..., :left],
        frames[..., row.width_px - right :],
        frames[..., :top, :],
        frames[..., row.height_px - bottom :, :],
    ):
        bar[:] = 16
    return Clip(frames=frames, times_s=found)


def _sound(start_s: float, duration_s: float, rate_hz: int, *, number: int) -> Clip:
    """Gives a tone of row `number`'s own."""
    at_s = start_s + np.arange(round(duration_s * rate_hz)) / rate_hz
    tone = np.sin(2 * np.pi * (200 + 50 * number) * at_s).astype(np.float32)[None]
    return Clip(sound=Sound(samples=tone, rate_hz=rate_hz, start_s=start_s))


def _fetch(catalog: Catalog, plan: Plan) -> list[Clip]:
    clips = []
    for span in plan.spans:
        if isinstance(span, FrameSpan):
            clips.append(_frames(catalog.row(span.row), span.times_s, number=span.row))
        else:
            assert isinstance(span, SoundSpan)
            clips.append(_sound(span.start_s, span.duration_s, span.rate_hz, number=span.row))
    return clips


class Memory:
    """Stands for `avssl.decode.fetch.Fetcher`: the files of a data set that has none.

    Row "clip0003" shows and sounds what `fetch` draws for row 3.
    """

    def __init__(self, directory: Any) -> None:
        pass

    def frames(self, row: ClipRow, times_s: Sequence[float]) -> Clip:
        return _frames(row, times_s, number=int(row.clip_id[4:]))

    def sound(self, row: ClipRow, start_s: float, duration_s: float, rate_hz: int) -> Clip:
        return _sound(start_s, duration_s, rate_hz, number=int(row.clip_id[4:]))

    def close(self) -> None:
        pass


@pytest.fixture(scope="session")
def data(make_row: Callable[..., ClipRow], tmp_path_factory: pytest.TempPathFactory) -> str:
    """A prepared set without files (`no_files`): six clips to train on, two to validate."""
    directory = tmp_path_factory.mktemp("data")
    rows = [make_row(number=k, num_frames=180) for k in range(6)]
    rows += [make_row(number=k, num_frames=180, split="validation") for k in (6, 7)]
    Catalog.from_rows(rows, directory=directory).write(directory)
    return str(directory)


@pytest.fixture
def no_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything that reads a prepared set gets what `fetch` draws, in this process."""
    from avssl.run import audit_samples

    for name in ("avssl.decode.fetch", audit_samples.__name__):
        monkeypatch.setattr(f"{name}.Fetcher", Memory)


@pytest.fixture(scope="session")
def fetch() -> Fetch:
    """Gives the clips of a plan: fetch(catalog, plan)."""
    return _fetch


@pytest.fixture(scope="session")
def barred(make_row: Callable[..., ClipRow]) -> Catalog:
    """The clips of `held_out` with black bars above and, narrower, below."""
    rows = [
        make_row(number=k, num_frames=180, split="validation", borders_px=(0, 18, 0, 6))
        for k in range(6)
    ]
    return Catalog.from_rows(rows)


@pytest.fixture(scope="session")
def rough_catalog(make_row: Callable[..., ClipRow]) -> Catalog:
    """Clips with cuts, repeats, still stretches, other rates, and times that are not even."""
    rng = np.random.default_rng(5)
    uneven_s = 1.4 + np.cumsum(rng.choice([0.02, 0.04, 0.08], size=300))
    return Catalog.from_rows(
        [
            make_row(number=0, num_frames=300, cuts_s=np.array([4.5])),
            make_row(number=1, num_frames=300, repeated_frames=np.arange(1, 300, 2)),
            make_row(number=2, num_frames=250, fps=23.976, still_spans_s=np.array([[1.0, 1.4]])),
            make_row(
                number=3,
                num_frames=300,
                start_s=float(uneven_s[0]),
                step_s=0.0,
                irregular_times_s=uneven_s,
                last_frame_s=0.04,
                key_frames=np.arange(0, 300, 12),
            ),
        ]
    )


def _shown_frames(catalog: Catalog, plan: Plan) -> np.ndarray:
    span = plan.spans[0]
    assert isinstance(span, FrameSpan)
    times_s = catalog.row(span.row).frame_times_s
    return np.searchsorted(times_s, span.times_s, side="right") - 1


@pytest.fixture(scope="session")
def shown_frames() -> Callable[[Catalog, Plan], np.ndarray]:
    """Gives which frames a decoder gives, the last with time ≤ t: shown_frames(catalog, plan)."""
    return _shown_frames


def _make_plans(task: Any, catalog: Catalog, num: int, seed: int = 0) -> list[Plan]:
    rng = np.random.default_rng(seed)
    items = task.items(catalog)
    return [task.sample(catalog, int(items[k % len(items)]), rng) for k in range(num)]


@pytest.fixture(scope="session")
def make_plans() -> Callable[..., list[Plan]]:
    """Gives plans without decoding: make_plans(task, catalog, num)."""
    return _make_plans


def _told_by(numbers: np.ndarray, labels: np.ndarray) -> float:
    from sklearn.ensemble import RandomForestClassifier

    half = len(labels) // 2
    model = RandomForestClassifier(n_estimators=40, min_samples_leaf=5, random_state=0)
    return float(model.fit(numbers[:half], labels[:half]).score(numbers[half:], labels[half:]))


@pytest.fixture(scope="session")
def told_by() -> Callable[[np.ndarray, np.ndarray], float]:
    """Gives how often trees name the label from numbers, on the half they were not fitted to."""
    return _told_by
