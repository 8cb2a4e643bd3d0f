"""Writes a clip as mp4: H.264, and AAC where there is sound, on one clock that starts at zero."""

from collections.abc import Iterable, Mapping
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

AAC_FRAME = 1024


def write_mp4(
    path: Path,
    frames: Iterable[NDArray[np.uint8]],
    sound: NDArray[np.float32] | None,
    *,
    size_px: tuple[int, int],
    fps: int,
    rate_hz: int = 48_000,
    encoding: Mapping[str, str] | None = None,
) -> None:
    """Encodes frames (each uint8 [H, W, 3]) and mono sound (float32 [1, n], or none) into `path`.

    The encoder's delay is written as an edit list, so sample 0 and frame 0 both play at time 0.
    One thread and fixed settings: the same input gives the same pictures. `encoding` holds options
    of the encoder that differ.
    """
    with av.open(str(path), mode="w", format="mp4", options={"movflags": "+faststart"}) as out:
        video = out.add_stream("libx264", rate=fps)
        video.width, video.height = size_px
        video.pix_fmt = "yuv420p"
        video.time_base = Fraction(1, fps)
        # With B-frames or lookahead, x264's assembly gives other bytes now and then for the same
        # pictures (seen with PyAV 18.1's wheel); without them it was equal in every trial.
        video.options = {"preset": "veryfast", "crf": "20", "bf": "0", "rc-lookahead": "0"}
        video.options |= encoding or {}
        context = video.codec_context
        context.color_primaries = context.color_trc = context.colorspace = 6  # BT.601
        context.color_range = 1  # limited
        context.thread_count = 1
        audio = None
        if sound is not None:
            audio = out.add_stream("aac", rate=rate_hz, layout="mono")
            audio.bit_rate = 96_000
            audio.options = {"aac_coder": "fast"}
        position = 0

        def encode_sound(until: int) -> None:
            nonlocal position
            if audio is None or sound is None:
                return
            while position < min(until, sound.shape[1]):
                piece = sound[:, position : position + AAC_FRAME]
                frame = av.AudioFrame.from_ndarray(
                    np.ascontiguousarray(piece), format="fltp", layout="mono"
                )
                frame.sample_rate = rate_hz
                frame.pts = position
                frame.time_base = Fraction(1, rate_hz)
                position += piece.shape[1]
                out.mux(audio.encode(frame))

        for number, picture in enumerate(frames):
            planes = cv2.cvtColor(picture, cv2.COLOR_RGB2YUV_I420)  # BT.601, limited range
            frame = av.VideoFrame.from_ndarray(np.asarray(planes, np.uint8), format="yuv420p")
            frame.pts = number
            frame.time_base = Fraction(1, fps)
            out.mux(video.encode(frame))
            encode_sound((number + 1) * rate_hz // fps)
        if sound is not None:
            encode_sound(sound.shape[1])
        out.mux(video.encode(None))
        if audio is not None:
            out.mux(audio.encode(None))
