"""What an encoder is used for: tasks that are trained, and evaluators. The registry is a dict."""

from collections.abc import Mapping
from typing import Any

from avssl.downstream import (
    action,
    action_recipes,
    detection,
    detection_recipes,
    keypoints,
    keypoints_recipes,
    normals,
    normals_recipes,
)
from avssl.task import Recipe

TASKS: dict[str, type[Any]] = {
    "keypoints": keypoints.Keypoints,
    "action": action.Action,
    "normals": normals.Normals,
    "detection": detection.Detection,
}
"""Name on the command line → class of the task."""

RECIPES: dict[str, Mapping[str, Recipe]] = {
    "keypoints": keypoints_recipes.RECIPES,
    "action": action_recipes.RECIPES,
    "normals": normals_recipes.RECIPES,
    "detection": detection_recipes.RECIPES,
}
"""Name of the task → name of the recipe → recipe; the first recipe is the one taken by default."""
