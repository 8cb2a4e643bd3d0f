"""The tasks and recipes by name, and how several tasks at once look to flags, JSON and Python.

Several tasks are one object with a tuple of tasks; what a person sets has names. So it is *opened*
before flags, JSON or `replaced` look at it, and closed again afterwards:

    Multi(balance="uniform", tasks=(Rotation(size_px=96), RelativePosition()))
      ⇅
    balance  rotation.size_px  relative_position.gap_px …     --task.relative-position.gap-px 48
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from avssl import downstream, pretext
from avssl.errors import InputError
from avssl.pretext.multi import Multi, MultiKnobs
from avssl.pretext.multi_recipes import RECIPES as SEVERAL
from avssl.task import Recipe
from avssl.typed_json import from_json, known_name, to_json


def task_classes() -> dict[str, type]:
    """Gives name → class of all tasks, pretext (several at once among them) and downstream."""
    return {**pretext.TASKS, Multi.name: Multi, **getattr(downstream, "TASKS", {})}


def recipes(task_name: str) -> dict[str, Recipe]:
    """Gives recipe name → recipe of one task.

    Raises:
        InputError: there is no such task; names the nearest.
    """
    known_name("task", task_name, list(task_classes()), "see `avssl tasks`")
    if task_name == Multi.name:
        return {
            name: Recipe(
                task=_joined(joint.tasks, joint.knobs), settings=joint.settings, about=joint.about
            )
            for name, joint in SEVERAL.items()
            if set(joint.tasks) <= set(pretext.TASKS)
        }
    table = {**pretext.RECIPES, **getattr(downstream, "RECIPES", {})}
    return dict(table.get(task_name, {}))


def recipe_of_several(recipe: Recipe, names: Sequence[str]) -> Recipe:
    """Gives a recipe of several tasks with the tasks `names`, each as its own first recipe has it.

    The networks are those of the first of these recipes that names one of the kind.

    Raises:
        InputError: no such task, one that cannot be one of several, or a recipe with tasks.
    """
    if not isinstance(recipe.task, Multi):
        raise InputError(f"--tasks {' '.join(names)}: only `avssl train {Multi.name}` takes it")
    if recipe.task.tasks:
        raise InputError(f"--tasks {' '.join(names)}: this recipe has its own tasks; leave one out")
    known = {name: kind for name, kind in task_classes().items() if name != Multi.name}
    networks: dict[str, str] = {}
    for name in names:
        known_name("task", name, list(known), "see `avssl tasks`")
        first = _first_recipe(name)
        for stream in first.task.streams:
            if stream in first.settings:
                networks.setdefault(stream, first.settings[stream])
    return Recipe(
        task=_joined({name: {} for name in names}, _knobs(recipe.task)),
        settings={**recipe.settings, **networks},
        about=recipe.about,
    )


def _joined(tasks: Mapping[str, Mapping[str, Any]], knobs: Mapping[str, Any]) -> Multi:
    """Joins tasks as their own first recipes have them, but for the knobs given."""
    parts = []
    for name, own in tasks.items():
        parts.append(dataclasses.replace(_first_recipe(name).task, **own))
    return Multi(tasks=tuple(parts), **knobs)


def default_recipe(known: Mapping[str, Recipe]) -> str:
    """Gives the name of the recipe taken where none is asked for; "" where there is none."""
    return "small" if "small" in known else next(iter(known), "")


def _first_recipe(task_name: str) -> Recipe:
    known = recipes(task_name)
    if not known:
        return Recipe(task=task_classes()[task_name](), settings={}, about="")
    return known[default_recipe(known)]


def _knobs(task: MultiKnobs) -> dict[str, Any]:
    return {item.name: getattr(task, item.name) for item in dataclasses.fields(MultiKnobs)}


# --- open and closed --------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Opened(MultiKnobs):
    """Several tasks, each a field of its own; see `opened`."""


def _field_name(task_name: str) -> str:
    return task_name.replace("-", "_")


def _opened_class(kinds: Mapping[str, type], defaults: Mapping[str, Any]) -> type:
    fields = [
        (
            _field_name(name),
            kind,
            dataclasses.field(default=defaults.get(name, dataclasses.MISSING)),
        )
        for name, kind in kinds.items()
    ]
    return dataclasses.make_dataclass(
        "Several", fields, bases=(_Opened,), frozen=True, kw_only=True,
        namespace={"__doc__": Multi.__doc__},
    )  # fmt: skip


def opened(task: Any) -> Any:
    """Gives several tasks as an object with a field for each; anything else as it is."""
    if not isinstance(task, Multi):
        return task
    kinds = {name: type(part) for name, part in task.parts.items()}
    return _opened_class(kinds, task.parts)(**_knobs(task))


def closed(task: Any) -> Any:
    """Gives back what was opened; anything else as it is."""
    if not isinstance(task, _Opened):
        return task
    own = {item.name for item in dataclasses.fields(MultiKnobs)}
    parts = [getattr(task, f.name) for f in dataclasses.fields(task) if f.name not in own]
    return Multi(tasks=tuple(parts), **_knobs(task))


def task_to_json(task: Any) -> dict[str, Any]:
    """Gives a task as JSON values, an object with its name; of several, also their names."""
    if not isinstance(task, Multi):
        return {"name": task.name, **to_json(task)}
    return {"name": task.name, "tasks": list(task.parts), **to_json(opened(task))}


def task_from_json(value: Any) -> Any:
    """Reads what `task_to_json` gave.

    Raises:
        InputError: no such task, or an unknown, missing or wrong knob.
    """
    if not isinstance(value, dict) or "name" not in value:
        raise InputError(f"configuration: task {value!r}: must be an object with a name")
    knobs = {key: inner for key, inner in value.items() if key != "name"}
    classes = task_classes()
    known_name("task", value["name"], list(classes), "see `avssl tasks`")
    if value["name"] != Multi.name:
        return from_json(classes[value["name"]], knobs, "task")
    names = from_json(list[str], knobs.pop("tasks", None), "task.tasks")
    for name in names:
        known_name("task", name, [n for n in classes if n != Multi.name], "see `avssl tasks`")
    return closed(from_json(_opened_class({n: classes[n] for n in names}, {}), knobs, "task"))
