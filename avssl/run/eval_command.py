"""`avssl eval NAME REF --data D`: what a trained network is worth, by the field's own measures."""

import importlib
from collections.abc import Sequence

from avssl.errors import InputError
from avssl.typed_json import known_name

EVALUATORS = {
    "localization": (
        "avssl.run.localization_eval:command",
        "where sound comes from: cIoU, AUC, hit rate beside the trivial rows",
    ),
    "retrieval": (
        "avssl.run.retrieval_eval:command",
        "pictures and sounds by each other: nDCG@30 beside the random row, recall",
    ),
    "pretext": (
        "avssl.run.pretext_eval:command",
        "a run's own question on clips it has never met, beside the blind answer",
    ),
    "sounds": (
        "avssl.run.sounds_eval:command",
        "sound encoders: linear SVM on ESC-50 or class folders beside log-mel and untrained",
    ),
    "propagation": (
        "avssl.run.propagation_eval:command",
        "labels carried along by features: J&F in DAVIS's layout, PCK beside copying the first",
    ),
    "action": (
        "avssl.run.action_eval:command",
        "classes of videos: top-1, top-5, mean over classes beside the commonest class",
    ),
    "normals": (
        "avssl.run.normals_eval:command",
        "surface normals: mean and median angle, shares within 11.25, 22.5 and 30 degrees",
    ),
    "detection": (
        "avssl.run.detection_eval:command",
        "boxes of things: VOC2007's and COCO's mean average precision beside constant boxes",
    ),
    "table": (
        "avssl.run.over_tasks_command:command",
        "RESULT.json…: one table over tasks, the share of the way to ImageNet",
    ),
    "probe": (
        "avssl.run.probe_command:command",
        "every layer read linearly: classes and numbers, few labels, checkpoints",
    ),
    "neighbours": (
        "avssl.run.neighbours_command:command",
        "what looks alike: figures, kNN and recall, whether colour is ignored",
    ),
    "pose": ("avssl.run.pose_eval:command", "keypoints: PCK, PCKh, FLIC's curves, pixel errors"),
}
"""name → (module:function, one line)."""


def command(arguments: Sequence[str]) -> int:
    """Runs one evaluator.

    Raises:
        InputError: there is none of that name.
    """
    words = list(arguments)
    if not words or words[0] in ("-h", "--help"):
        lines = [f"  avssl eval {name:<13} {text}" for name, (_, text) in EVALUATORS.items()]
        print("\n".join(["usage: avssl eval NAME REF --data D …", "", *lines]))
        return 0 if words else 2
    if words[0].startswith("-"):
        raise InputError(f"{words[0]!r} comes before the name; `avssl eval NAME REF --data D`")
    known_name("evaluator", words[0], list(EVALUATORS), f"one of: {', '.join(EVALUATORS)}")
    module, function = EVALUATORS[words[0]][0].split(":")
    return int(getattr(importlib.import_module(module), function)(words[1:]))
