"""Pretext tasks: one file is one task; the registry is an explicit dict."""

from collections.abc import Mapping
from typing import Any

from avssl.pretext import (
    audio_visual_contrast,
    audio_visual_correspondence,
    audio_visual_recipes,
    audio_visual_sync,
    reconstruction,
    shuffle_and_learn,
    shuffle_and_learn_recipes,
    tracking,
    tracking_by_colorization,
    tracking_recipes,
)
from avssl.task import Recipe

TASKS: dict[str, type[Any]] = {
    "shuffle-and-learn": shuffle_and_learn.ShuffleAndLearn,
    "audio-visual-correspondence": audio_visual_correspondence.AudioVisualCorrespondence,
    "audio-visual-contrast": audio_visual_contrast.AudioVisualContrast,
    "audio-visual-sync": audio_visual_sync.AudioVisualSync,
    "reconstruction": reconstruction.Reconstruction,
    "tracking": tracking.Tracking,
    "tracking-by-colorization": tracking_by_colorization.TrackingByColorization,
}
"""Name on the command line → class of the task."""

RECIPES: dict[str, Mapping[str, Recipe]] = {
    "shuffle-and-learn": shuffle_and_learn_recipes.RECIPES,
    "audio-visual-correspondence": audio_visual_recipes.CORRESPONDENCE,
    "audio-visual-contrast": audio_visual_recipes.CONTRAST,
    "audio-visual-sync": audio_visual_recipes.SYNC,
    "reconstruction": reconstruction.RECIPES,
    "tracking": tracking_recipes.RECIPES,
    "tracking-by-colorization": tracking_by_colorization.RECIPES,
}
"""Name of the task → name of the recipe → recipe; the first recipe is the one taken by default."""
