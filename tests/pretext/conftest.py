"""Clips drawn in memory for the tests of tasks (something moves, nothing is decoded), and which
settings of which tasks the tests of the contract walk."""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pytest
import sklearn.metrics  # noqa: F401  (its first import uses Python's generator: not in a test)
import torch

from avssl.catalog import Catalog, ClipRow
from avssl.model import build_encoder
from avssl.pretext import RECIPES, TASKS
from avssl.records import Clip, Example, FrameSpan, Plan, Sound, SoundSpan
from avssl.sample.order import Order, sample_rng
from avssl.task import Learner, widths_of

Fetch = Callable[[Catalog, Plan], list[Clip]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Case:
    """A small recipe, or another form of its task, and how a fixed batch of it is learned."""

    name: str
    """Of the task."""
    form: str = ""
    """What is said of it in a test's name; "": the small recipe."""
    knobs: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """Those that differ from the small recipe's."""
    networks: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Stream → network, where not the small recipe's."""
    by_heart: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """Further knobs of the batch that is learned by heart."""
    num: int = 8
    """Size of that batch."""
    share: float = 0.1
    """What may be left of `watched` after `num_steps` steps of Adam."""
    watched: str = "loss"
    num_steps: int = 160

    def __str__(self) -> str:
        return f"{self.name}, {self.form}" if self.form else self.name

    @property
    def task(self) -> Any:
        """The task itself."""
        return dataclasses.replace(RECIPES[self.name]["small"].task, **self.knobs)


SMALL = {
    "frame-fill-in": {"num": 16},  # in one of eight crops nothing moves: a third is all there is
    "masked-autoencoding": {  # all patches have much in common: 16 pictures of 64 px stay at 0.35
        "by_heart": {"size_px": 32}, "num": 4,
    },
}  # fmt: skip
"""Name → what a small recipe needs beside the defaults of `Case`."""

_CLIPS = {"networks": {"vision": "pytorchvideo:x3d_s"}, "num_steps": 16}
_SHORT = {"size_px": 32, "clip_frames": 3, "clip_step_s": 1 / 30}
OTHERS = (
    Case(name="tracking", form="ranking", knobs={"mode": "ranking", "moving_share": (0.0, 1.0)}),
    Case(name="tracking", form="map", knobs={"nodes": "map"}),
    Case(name="colorization", form="latent", knobs={"mode": "latent"}),
    Case(name="frame-contrast", form="jigsaw of PIRL",
         knobs={"jigsaw": True, "jigsaw_px": 48, "jigsaw_patch_px": 12, "min_gap_s": 0.0,
                "max_gap_s": 0.0, "hidden": 0}),
    # features that move are a target that moves: it stays at about 0.3 for a hundred steps
    Case(name="frame-fill-in", form="predict", knobs={"mode": "predict"}, num=16, share=0.35),
    Case(name="inpainting", form="centre and judge",
         knobs={"mask": "centre", "overlap_px": 4, "bottleneck": "full", "adversarial": 0.001},
         watched="hole_error", share=0.2),  # the judge's loss rises as drawings get better
    Case(name="relative-position", form="pairs",
         knobs={"layout": "pairs", "size_px": 96, "patch_px": 24, "gap_px": 6}),
    Case(name="masked-autoencoding", form="random labels",
         knobs={"size_px": 32, "random_labels": True}, num=4, share=0.3),
    # two orders of three short clips can look alike
    Case(name="shuffle-and-learn", form="clips", knobs=_SHORT, share=0.3, **_CLIPS),
    Case(name="clip-order", form="clips", knobs={**_SHORT, "fusion": "pairs"}, **_CLIPS),
    Case(name="arrow-of-time", form="one clip", **_CLIPS,
         knobs={"size_px": 32, "as_clip": True, "fusion": "concat-mlp", "layer": ""}),
    Case(name="odd-one-out", form="one clip each", **_CLIPS,
         knobs={"size_px": 32, "as_clip": True, "compare": "joined"}),
)  # fmt: skip
"""Other forms of tasks, with other heads, losses or ways through the network."""

CASES = (*(Case(name=name, **SMALL.get(name, {})) for name in sorted(TASKS)), *OTHERS)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that takes `case` is asked of all of them; `-k NAME` picks those of one task."""
    if "case" in metafunc.fixturenames:
        metafunc.parametrize("case", CASES, ids=str)


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


@contextlib.contextmanager
def _from_memory() -> Iterator[None]:
    from avssl.run import audit_samples

    with pytest.MonkeyPatch.context() as patch:
        for name in ("avssl.decode.fetch", audit_samples.__name__):
            patch.setattr(f"{name}.Fetcher", Memory)
        yield


@pytest.fixture(scope="session")
def from_memory() -> Any:
    """Within `with from_memory():` all that reads a prepared set gets what `fetch` draws."""
    return _from_memory


@pytest.fixture
def no_files() -> Iterator[None]:
    """The same for a whole test."""
    with _from_memory():
        yield


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


@pytest.fixture(scope="session")
def shown_frames() -> Callable[[Catalog, Plan], np.ndarray]:
    """Gives which frames a decoder gives, the last with time ≤ t: shown_frames(catalog, plan)."""

    def shown(catalog: Catalog, plan: Plan) -> np.ndarray:
        span = plan.spans[0]
        assert isinstance(span, FrameSpan)
        times_s = catalog.row(span.row).frame_times_s
        return np.searchsorted(times_s, span.times_s, side="right") - 1

    return shown


@pytest.fixture(scope="session")
def make_plans() -> Callable[..., list[Plan]]:
    """Gives plans without decoding: make_plans(task, catalog, num)."""

    def make(task: Any, catalog: Catalog, num: int, seed: int = 0) -> list[Plan]:
        rng, items = np.random.default_rng(seed), task.items(catalog)
        return [task.sample(catalog, int(items[k % len(items)]), rng) for k in range(num)]

    return make


def _make_example(
    task: Any, catalog: Catalog, fetch: Fetch, *, seed: int, position: int
) -> tuple[Plan, Example]:
    items = task.items(catalog)
    epoch, item = Order(len(items), seed).at(position)
    plan_rng, transform_rng = sample_rng(seed, epoch, position).spawn(2)
    plan = task.sample(catalog, int(items[item]), plan_rng)
    return plan, task.transform(fetch(catalog, plan), plan, transform_rng)


@pytest.fixture(scope="session")
def make_example() -> Callable[..., tuple[Plan, Example]]:
    """Gives plan and example: make_example(task, catalog, fetch, seed=…, position=…)."""
    return _make_example


@pytest.fixture(scope="session")
def make_batch() -> Callable[..., dict[str, torch.Tensor]]:
    """Gives a batch: make_batch(task, catalog, fetch, num=…)."""

    def make(task: Any, catalog: Catalog, fetch: Fetch, *, num: int) -> dict[str, torch.Tensor]:
        examples = [
            _make_example(task, catalog, fetch, seed=0, position=position)[1].arrays
            for position in range(num)
        ]
        return {
            key: torch.from_numpy(np.stack([arrays[key] for arrays in examples]))
            for key in examples[0]
        }

    return make


@pytest.fixture(scope="session")
def make_learner() -> Callable[..., Learner]:
    """Gives a learner, with the small recipe's networks where no others are named; GroupNorm where
    those have BatchNorm: make_learner(task, networks={})."""

    def make(task: Any, networks: Mapping[str, str] | None = None) -> Learner:
        known = {"vision": "small", "sound": "small"} | dict(RECIPES[task.name]["small"].settings)
        known |= networks or {}
        encoders = {
            stream: build_encoder(known[stream].removesuffix("-bn"), stream=stream, seed=0)
            for stream in task.streams
        }
        with torch.random.fork_rng():
            torch.manual_seed(0)
            return Learner(task=task, encoders=encoders, widths=widths_of(encoders))

    return make


@pytest.fixture(scope="session")
def told_by() -> Callable[[np.ndarray, np.ndarray], float]:
    """Gives how often trees name the label from numbers, on the half they were not fitted to."""
    from sklearn.ensemble import RandomForestClassifier

    def told(numbers: np.ndarray, labels: np.ndarray) -> float:
        half = len(labels) // 2
        model = RandomForestClassifier(n_estimators=40, min_samples_leaf=5, random_state=0)
        return float(model.fit(numbers[:half], labels[:half]).score(numbers[half:], labels[half:]))

    return told
