"""Things and answers drawn into pictures, three times as large."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from avssl.downstream.detection_metrics import Truth
from avssl.transform.drawing_boxes import draw_boxes


def with_truth(picture: NDArray[np.uint8], truth: Truth, names: Sequence[str]) -> NDArray[np.uint8]:
    """Gives a picture uint8 [3, H, W] as [3 H, 3 W, 3] with its things drawn in.

    Args:
        picture: as the network sees it.
        truth: in its px.
        names: of the classes.
    """
    words = [
        f"{names[int(c)]}{' (ignored)' if ignored else ''}"
        for c, ignored in zip(truth.classes, truth.ignored, strict=True)
    ]
    return draw_boxes(
        picture,
        truth.boxes,
        classes=truth.classes.tolist(),
        words=words,
        num_classes=len(names),
    )


def with_answers(
    picture: NDArray[np.uint8],
    answer: NDArray[np.float64],
    names: Sequence[str],
    *,
    least: float = 0.3,
) -> NDArray[np.uint8]:
    """Gives the same with detections [D, 6] of the score `least` and more drawn in."""
    sure = answer[answer[:, 4] >= least]
    return draw_boxes(
        picture,
        sure[:, :4],
        classes=sure[:, 5].astype(int).tolist(),
        words=[f"{names[int(one[5])]} {one[4]:.2f}" for one in sure],
        num_classes=len(names),
    )
