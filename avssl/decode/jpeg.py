"""Motion-JPEG pictures by libjpeg-turbo, several times faster than FFmpeg's decoder; PNG."""

import numpy as np
from numpy.typing import NDArray

from avssl.errors import MediaError


def decode_jpeg(data: bytes, *, name: str, buffer: bytearray | None = None) -> NDArray[np.uint8]:
    """Decodes one JPEG picture to uint8 [3, H, W] RGB (a view of interleaved memory).

    With `buffer` (at least 3 x H x W bytes) the picture lies in it until its next use; fresh memory
    for every picture would cost a fifth of the time.

    Colour is doubled, not smoothed, from its half resolution (`fastupsample`): that is what
    FFmpeg's converter does, so that both ways to read a file agree.

    Raises:
        MediaError: it is damaged.
    """
    import simplejpeg

    try:
        picture = simplejpeg.decode_jpeg(
            data, colorspace="RGB", fastdct=False, fastupsample=True, buffer=buffer
        )
    except ValueError as error:
        raise MediaError(f"{name}: a JPEG picture cannot be decoded ({error})") from error
    return picture.transpose(2, 0, 1)


def decode_png(data: bytes, *, name: str) -> NDArray[np.uint8]:
    """Decodes a PNG to uint8 [3, H, W] RGB (a view of interleaved memory).

    Raises:
        MediaError: it is damaged.
    """
    import cv2

    picture = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), cv2.IMREAD_COLOR)
    if picture is None:
        raise MediaError(f"{name}: a PNG picture cannot be decoded")
    return np.asarray(picture[..., ::-1], dtype=np.uint8).transpose(2, 0, 1)
