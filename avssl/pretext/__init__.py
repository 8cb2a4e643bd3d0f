"""Pretext tasks: one file is one task; the registry is an explicit dict."""

from collections.abc import Mapping
from typing import Any

from avssl.pretext import (
    arrow_of_time,
    audio_visual_contrast,
    audio_visual_correspondence,
    audio_visual_recipes,
    audio_visual_sync,
    clip_order,
    colorization,
    colorization_recipes,
    frame_contrast,
    frame_contrast_recipes,
    frame_fill_in,
    inpainting,
    inpainting_recipes,
    jigsaw,
    jigsaw_recipes,
    masked_autoencoding,
    odd_one_out,
    reconstruction,
    relative_position,
    relative_position_recipes,
    rotation,
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
    "relative-position": relative_position.RelativePosition,
    "rotation": rotation.Rotation,
    "jigsaw": jigsaw.Jigsaw,
    "colorization": colorization.Colorization,
    "inpainting": inpainting.Inpainting,
    "arrow-of-time": arrow_of_time.ArrowOfTime,
    "odd-one-out": odd_one_out.OddOneOut,
    "clip-order": clip_order.ClipOrder,
    "frame-fill-in": frame_fill_in.FrameFillIn,
    "masked-autoencoding": masked_autoencoding.MaskedAutoencoding,
    "frame-contrast": frame_contrast.FrameContrast,
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
    "relative-position": relative_position_recipes.RECIPES,
    "rotation": rotation.RECIPES,
    "jigsaw": jigsaw_recipes.RECIPES,
    "colorization": colorization_recipes.RECIPES,
    "inpainting": inpainting_recipes.RECIPES,
    "arrow-of-time": arrow_of_time.RECIPES,
    "odd-one-out": odd_one_out.RECIPES,
    "clip-order": clip_order.RECIPES,
    "frame-fill-in": frame_fill_in.RECIPES,
    "masked-autoencoding": masked_autoencoding.RECIPES,
    "frame-contrast": frame_contrast_recipes.RECIPES,
    "tracking": tracking_recipes.RECIPES,
    "tracking-by-colorization": tracking_by_colorization.RECIPES,
}
"""Name of the task → name of the recipe → recipe; the first recipe is the one taken by default."""
