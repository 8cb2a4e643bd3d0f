"""Strips of pictures with words under them: what a network was shown, and what it answered."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

RIGHT, WRONG, PLAIN = (60, 190, 90), (225, 80, 70), (150, 150, 150)
"""Colours of frames, RGB."""
_LEAST_PX, _RIM_PX, _WORDS_PX = 96, 3, 18


def _words(text: str, width_px: int) -> NDArray[np.uint8]:
    """Gives a line of words on white, as small as it has to be."""
    line = np.full((_WORDS_PX, width_px, 3), 255, np.uint8)
    scale = 0.42
    (wide, _), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, 1)
    scale *= min(1.0, (width_px - 4) / max(wide, 1))
    cv2.putText(
        line, text, (2, _WORDS_PX - 5), cv2.FONT_HERSHEY_SIMPLEX, scale, (30, 30, 30), 1,
        cv2.LINE_AA,
    )  # fmt: skip
    return line


def draw_strip(
    frames: NDArray[np.uint8],
    captions: Sequence[str],
    *,
    colors: Sequence[tuple[int, int, int]] | None = None,
) -> NDArray[np.uint8]:
    """Gives pictures side by side, each framed and with its caption below.

    Args:
        frames: uint8 [N, 3, S, S]; small ones are enlarged to 96 px or more.
        captions: one for each, ASCII.
        colors: RGB of each frame; grey where not given.

    Returns:
        uint8 [H, W, 3].
    """
    columns = []
    for k, frame in enumerate(frames):
        picture = np.ascontiguousarray(frame.transpose(1, 2, 0))
        times = max(1, -(-_LEAST_PX // picture.shape[0]))
        picture = cv2.resize(picture, None, fx=times, fy=times, interpolation=cv2.INTER_NEAREST)
        color = PLAIN if colors is None else colors[k]
        framed = cv2.copyMakeBorder(
            picture, _RIM_PX, _RIM_PX, _RIM_PX, _RIM_PX, cv2.BORDER_CONSTANT, value=color
        )
        columns.append(np.vstack([framed, _words(captions[k], framed.shape[1])]))
    return np.hstack(columns).astype(np.uint8)


def draw_sheet(strips: Sequence[NDArray[np.uint8]], title: str) -> NDArray[np.uint8]:
    """Gives strips one below the other under a line of words, uint8 [H, W, 3]."""
    width = max(strip.shape[1] for strip in strips)
    padded = [
        np.pad(strip, ((0, 0), (0, width - strip.shape[1]), (0, 0)), constant_values=255)
        for strip in strips
    ]
    return np.vstack([_words(title, width), *padded]).astype(np.uint8)


def verdict(odds: float, label: int, names: Sequence[str]) -> tuple[str, tuple[int, int, int]]:
    """Gives what an answer of two classes says, in words, and the colour of its frame.

    Args:
        odds: log odds of label 1, in an even mix of both.
        label: what is so, 0 or 1.
        names: of the two labels.
    """
    says = int(odds > 0)
    surely = 1 / (1 + np.exp(-min(abs(odds), 50.0)))
    words = f"it says {names[says]} ({surely:.0%}), it is {names[label]}"
    return words, RIGHT if says == label else WRONG


def draw_verdicts(
    frames: NDArray[np.uint8],
    odds: NDArray[np.floating],
    labels: NDArray[np.integer],
    names: Sequence[str],
) -> list[NDArray[np.uint8]]:
    """Gives runs of pictures as they were shown, each with what the network says and what is so.

    Args:
        frames: uint8 [B, N, 3, S, S].
        odds: float [B], log odds of label 1 in an even mix.
        labels: int [B], 0 or 1.
        names: of the two labels.
    """
    sheets = []
    for pictures, own, label in zip(frames, odds.tolist(), labels.tolist(), strict=True):
        title, color = verdict(own, int(label), names)
        captions = [f"shown {k + 1}." for k in range(len(pictures))]
        strip = draw_strip(pictures, captions, colors=[color] * len(pictures))
        sheets.append(draw_sheet([strip], title))
    return sheets
