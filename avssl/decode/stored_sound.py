"""Samples of a prepared clip's sound, from the bytes that hold them: FLAC, or PCM as it is."""

from typing import Any

import av
import numpy as np
from av.error import FFmpegError
from numpy.typing import NDArray

from avssl.catalog import ClipRow
from avssl.decode.samples import mono
from avssl.decode.store import Store
from avssl.errors import MediaError

PCM_SUFFIX = ".wav"
_FULL_SCALE = np.float32(1 / 32768)


def read_flac(
    store: Store, context: Any, row: ClipRow, *, first: int, length: int
) -> NDArray[np.float32]:
    """Gives samples [first, first + length), float32, ±1; 0 where the clip has none.

    Args:
        store: where the bytes are.
        context: a FLAC decoder that knows the row's `sound_config`.
        row: of the catalogue, with the ranges of its sound's packets.
        first: number of the first sample; may be below 0.
        length: how many.

    Raises:
        MediaError: the data is not what the row says.
    """
    native = np.zeros(length, dtype=np.float32)
    per_packet = row.sound_packet_num_samples
    low = max(0, first // per_packet)
    high = min(len(row.sound_packet_offsets) - 1, (first + length - 1) // per_packet)
    if low > high:
        return native
    position = low * per_packet
    context.flush_buffers()
    for data in store.sound_packets(row, low, high):
        try:
            frames = context.decode(av.Packet(data))
        except FFmpegError as error:
            raise MediaError(f"{row.clip_id}: its sound cannot be decoded ({error})") from error
        for frame in frames:
            a, b = max(position, first), min(position + frame.samples, first + length)
            if a < b and frame.format.name == "s16" and frame.layout.nb_channels == 1:
                # straight out of the decoder's memory: the usual case, several times a second
                words = np.frombuffer(frame.planes[0], np.int16, count=frame.samples)
                np.multiply(
                    words[a - position : b - position],
                    _FULL_SCALE,
                    out=native[a - first : b - first],
                )
            elif a < b:
                native[a - first : b - first] = mono(frame)[a - position : b - position]
            position += frame.samples
    return native


def read_pcm(store: Store, row: ClipRow, *, first: int, length: int) -> NDArray[np.float32]:
    """Gives the same of sound that is kept as 16-bit samples (`--sound-format wav`).

    Raises:
        MediaError: the file ends too early.
    """
    native = np.zeros(length, dtype=np.float32)
    a, b = max(0, first), min(row.sound_num_samples, first + length)
    if a < b:
        data = store.read(row.store, int(row.sound_packet_offsets[0]) + 2 * a, 2 * (b - a))
        words = np.frombuffer(data, "<i2")
        np.multiply(words, _FULL_SCALE, out=native[a - first : b - first])
    return native
