"""Pretext tasks: one file is one task, and one line of the registry makes it known.

From `REGISTRY` follow `TASKS` and `RECIPES`, in its order: a recipe holds its task, so the place of
the recipes is all that has to be said.
"""

import importlib
from collections.abc import Mapping
from typing import Any

from avssl.task import Recipe

REGISTRY: dict[str, str] = {
    "shuffle-and-learn": "shuffle_and_learn_recipes:RECIPES",
    "audio-visual-correspondence": "audio_visual_recipes:CORRESPONDENCE",
    "audio-visual-contrast": "audio_visual_recipes:CONTRAST",
    "audio-visual-sync": "audio_visual_recipes:SYNC",
    "reconstruction": "reconstruction:RECIPES",
    "relative-position": "relative_position_recipes:RECIPES",
    "rotation": "rotation:RECIPES",
    "jigsaw": "jigsaw_recipes:RECIPES",
    "colorization": "colorization_recipes:RECIPES",
    "inpainting": "inpainting_recipes:RECIPES",
    "arrow-of-time": "arrow_of_time:RECIPES",
    "odd-one-out": "odd_one_out:RECIPES",
    "clip-order": "clip_order:RECIPES",
    "frame-fill-in": "frame_fill_in:RECIPES",
    "masked-autoencoding": "masked_autoencoding:RECIPES",
    "frame-contrast": "frame_contrast_recipes:RECIPES",
    "tracking": "tracking_recipes:RECIPES",
    "tracking-by-colorization": "tracking_by_colorization:RECIPES",
}
"""Name on the command line → file of this folder, and what its recipes are called in it."""


def recipes_at(name: str, place: str) -> Mapping[str, Recipe]:
    """Gives the recipes that a line of the registry names.

    Args:
        name: of the task.
        place: "FILE:NAME", such as "rotation:RECIPES".

    Raises:
        ImportError: no such file, no recipes of that name in it, or recipes of another task.
    """
    line = f"avssl/pretext/__init__.py, REGISTRY, {name!r}: {place!r}"
    file, colon, called = place.partition(":")
    if not (file.isidentifier() and colon and called.isidentifier()):
        raise ImportError(f"{line}: must be FILE:NAME, such as 'rotation:RECIPES'")
    module_name = f"{__name__}.{file}"
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name != module_name:  # the file is there, and what it imports is not
            raise
        raise ImportError(f"{line}: there is no avssl/pretext/{file}.py") from error
    found = getattr(module, called, None)
    if not isinstance(found, Mapping) or not found:
        raise ImportError(f"{line}: avssl/pretext/{file}.py needs {called}, a dict with a recipe")
    for recipe_name, recipe in found.items():
        if not isinstance(recipe, Recipe) or recipe.task.name != name:
            held = repr(recipe.task.name) if isinstance(recipe, Recipe) else type(recipe).__name__
            raise ImportError(f"{line}: the recipe {recipe_name!r} is of {held}, not of {name!r}")
    return found


RECIPES: dict[str, Mapping[str, Recipe]] = {
    name: recipes_at(name, place) for name, place in REGISTRY.items()
}
"""Name of the task → name of the recipe → recipe; the first recipe is the one taken by default."""

TASKS: dict[str, type[Any]] = {
    name: type(next(iter(own.values())).task) for name, own in RECIPES.items()
}
"""Name on the command line → class of the task."""
