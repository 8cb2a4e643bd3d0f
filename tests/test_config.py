"""The configuration: checks, JSON round trip, recipes."""

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

import avssl.pretext
from avssl.config import (
    OptimConfig,
    TrainConfig,
    config_from_json,
    config_from_recipe,
    config_to_json,
    differences,
    read_config,
    replaced,
    task_classes,
    write_config,
)
from avssl.errors import InputError
from avssl.task import Recipe


@dataclass(frozen=True, kw_only=True)
class Inner:
    """A group of knobs."""

    gap_px: int = 3
    """A gap."""
    when_s: float | None = None
    """A time, or none."""


@dataclass(frozen=True, kw_only=True)
class Knobs:
    """A task as far as the configuration looks at one."""

    name: ClassVar[str] = "knobs"
    summary: ClassVar[str] = "for tests"

    span_s: float = 2.0
    """A time."""
    kind: Literal["a", "b"] = "a"
    """A choice."""
    sizes_px: tuple[int, ...] = ()
    """Any number of sizes."""
    pair: tuple[float, float] = (0.25, 0.75)
    """Exactly two."""
    flag: bool = False
    """On or off."""
    inner: Inner = field(default_factory=Inner)
    """A group."""

    def __post_init__(self) -> None:
        if self.span_s < 0:
            raise InputError(f"task.span_s {self.span_s}: must be 0 or more")


@pytest.fixture(autouse=True)
def knobs_registered():
    settings = {"steps": 7, "optim.lr": 0.5, "optim.schedule": "constant"}
    patch = pytest.MonkeyPatch()
    patch.setitem(avssl.pretext.TASKS, "knobs", Knobs)
    small = Recipe(task=Knobs(span_s=1.0), settings=settings, about="small")
    paper = Recipe(task=Knobs(kind="b"), settings={}, about="paper")
    patch.setitem(avssl.pretext.RECIPES, "knobs", {"paper": paper, "small": small})
    yield
    patch.undo()


finite = st.floats(0, 1e6)
tasks = st.builds(
    Knobs,
    span_s=finite,
    kind=st.sampled_from(["a", "b"]),
    sizes_px=st.lists(st.integers(0, 999), max_size=4).map(tuple),
    pair=st.tuples(finite, finite),
    flag=st.booleans(),
    inner=st.builds(Inner, gap_px=st.integers(), when_s=st.none() | finite),
)
optims = st.builds(
    OptimConfig,
    name=st.sampled_from(["adamw", "adam", "sgd"]),
    lr=finite,
    weight_decay=finite,
    momentum=st.floats(0, 1, exclude_max=True),
    schedule=st.sampled_from(["constant", "cosine"]),
    warmup_steps=st.integers(0, 100),
    step_at=st.sets(st.integers(0, 100)).map(sorted).map(tuple),
    clip_norm=finite,
)
configs = st.builds(
    TrainConfig,
    task=tasks,
    data=st.text(min_size=1),
    out=st.text(min_size=1),
    init=st.text(),
    seed=st.integers(0, 2**63),
    steps=st.integers(1, 10**9),
    optim=optims,
    ema_decay=st.floats(0, 1, exclude_max=True),
    precision=st.sampled_from(["fp32", "bf16"]),
    workers=st.integers(-1, 64),
)


@given(config=configs)
def test_json_round_trip_gives_an_equal_object_of_the_same_types(config: TrainConfig) -> None:
    text = json.dumps(config_to_json(config), allow_nan=False)
    again = config_from_json(json.loads(text))
    assert again == config
    assert repr(again) == repr(config)  # 1 == 1.0, but they print differently
    assert differences(config, again) == []


@given(config=configs, other=configs)
def test_differences_are_empty_only_for_equal_configurations(
    config: TrainConfig, other: TrainConfig
) -> None:
    assert (differences(config, other) == []) == (config == other)


def test_every_field_is_saved_and_nothing_else() -> None:
    value = config_to_json(config_from_recipe("knobs", data="d", out="o"))
    assert set(value) == {item.name for item in dataclasses.fields(TrainConfig)} | {
        "schema_version"
    }
    assert set(value["task"]) == {item.name for item in dataclasses.fields(Knobs)} | {"name"}


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("stesp",), 5, "no setting 'stesp'; did you mean 'steps'?"),
        (("task", "spn_s"), 5, "no setting 'task.spn_s'; did you mean 'task.span_s'?"),
        (("task", "inner", "gap"), 5, "no setting 'task.inner.gap'"),
        (("task", "name"), "knob", "no task 'knob'; did you mean 'knobs'?"),
        (("task",), 3, "must be an object with a name"),
        (("task", "kind"), "c", "task.kind 'c': must be one of 'a', 'b'"),
        (("task", "span_s"), -1, "task.span_s -1.0: must be 0 or more"),
        (("task", "pair"), [1.0], "task.pair [1.0]: must have 2 values"),
        (("task", "sizes_px"), ["x"], "task.sizes_px 'x': must be int"),
        (("steps",), 1.5, "steps 1.5: must be int"),
        (("steps",), True, "steps True: must be int"),
        (("steps",), 0, "steps 0: must be a whole number, 1 or more"),
        (("optim", "lr"), "fast", "optim.lr 'fast': must be float"),
        (("optim",), [], "optim []: must be an object"),
        (("schema_version",), 99, "schema version 99, this avssl reads 1"),
    ],
)
def test_a_wrong_file_is_refused_with_the_place(path, value, message) -> None:
    whole = config_to_json(config_from_recipe("knobs", data="d", out="o"))
    place = whole
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    with pytest.raises(InputError) as error:
        config_from_json(whole)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_field_is_named() -> None:
    whole = config_to_json(config_from_recipe("knobs", data="d", out="o"))
    del whole["data"]
    with pytest.raises(InputError, match="data is missing"):
        config_from_json(whole)


@pytest.mark.parametrize(
    "changes",
    [
        {"steps": 0}, {"steps": 2.5}, {"batch_size": 0}, {"accumulate": 3}, {"seed": -1},
        {"workers": -2}, {"ema_decay": 1.0}, {"precision": "fp16"}, {"parallel": "dp"},
        {"device": "tpu"}, {"data": ""}, {"out": ""}, {"optim.lr": -1.0},
        {"optim.lr": float("nan")}, {"optim.lr": float("inf")}, {"optim.schedule": "step"},
        {"optim.step_at": (5, 3)}, {"optim.betas": (0.9, 1.0)}, {"optim.name": "lion"},
        {"optim.momentum": 1}, {"log_every": 0}, {"keep_checkpoints": -1}, {"task": int},
    ],
    ids=str,  # the same in every test process

)  # fmt: skip
def test_every_wrong_value_is_refused_in_one_line(changes) -> None:
    config = config_from_recipe("knobs", data="d", out="o")
    with pytest.raises(InputError) as error:
        replaced(config, changes)
    assert "\n" not in str(error.value)


def test_a_recipe_gives_its_settings_and_changes_come_on_top() -> None:
    config = config_from_recipe("knobs", data="d", out="o", seed=3)
    assert config.recipe == "small"  # the default, wherever it stands in the table
    assert (config.task, config.steps, config.optim.lr) == (Knobs(span_s=1.0), 7, 0.5)
    assert config.seed == 3
    over = config_from_recipe(
        "knobs", "paper", data="d", out="o", **{"optim.lr": 0.1, "task.inner.gap_px": 9}
    )
    assert over.task == Knobs(kind="b", inner=Inner(gap_px=9))
    assert over.optim == OptimConfig(lr=0.1)
    with pytest.raises(InputError, match="did you mean 'paper'"):
        config_from_recipe("knobs", "papers", data="d", out="o")
    with pytest.raises(InputError, match="did you mean 'steps'"):
        config_from_recipe("knobs", data="d", out="o", step=3)


def test_file_round_trip_and_damage(tmp_path: Path) -> None:
    config = config_from_recipe("knobs", data="d", out="o")
    write_config(config, tmp_path)
    assert read_config(tmp_path) == config
    (tmp_path / "config.json").write_text('{"schema_version": 1,')
    with pytest.raises(InputError, match=r"config\.json"):
        read_config(tmp_path)
    with pytest.raises(InputError, match="not the folder of a run"):
        read_config(tmp_path / "nothing")


def test_every_field_has_a_docstring() -> None:
    """`--help` is made of them; tyro reads them from the source as we do here."""
    import ast
    import inspect

    for kind in (TrainConfig, OptimConfig, *task_classes().values()):
        documented: set[str] = set()
        for part in filter(dataclasses.is_dataclass, kind.__mro__):  # knobs that tasks share
            (body,) = ast.parse(inspect.getsource(part)).body
            assert isinstance(body, ast.ClassDef)
            documented |= {
                one.target.id
                for one, two in zip(body.body, body.body[1:], strict=False)
                if isinstance(one, ast.AnnAssign)
                and isinstance(one.target, ast.Name)
                and isinstance(two, ast.Expr)
                and isinstance(two.value, ast.Constant)
            }
        fields = {item.name for item in dataclasses.fields(kind)}
        assert fields <= documented, f"{kind.__name__}: {fields - documented}"


def test_every_recipe_of_the_registry_builds_and_survives_json() -> None:
    for task_name in task_classes():
        for recipe_name in avssl.pretext.RECIPES.get(task_name, {}):
            config = config_from_recipe(task_name, recipe_name, data="d", out="o")
            assert config_from_json(config_to_json(config)) == config
