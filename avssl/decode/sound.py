"""Sound on the container's clock, mono, with exact numbers of samples.

Sample k of a stretch is at start_s + k / rate_hz. Positions come from the timestamps: gaps become
zeros, overlaps are dropped. Nothing is ever shifted to make streams start together.
"""

import contextlib
import os
from collections.abc import Iterator

import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.error import EOFError as FFmpegEOFError
from av.error import FFmpegError
from numpy.typing import NDArray

from avssl.decode.forward import has_clock
from avssl.decode.info import open_container
from avssl.decode.samples import cut, mono, num_samples_of
from avssl.errors import InputError, MediaError
from avssl.records import Sound

_MARGIN_S = 0.05
"""Sound around a stretch that the resampler's filter sees."""
_PREROLL_S = (0.3, 3.0, 20.0)
"""Decoding starts this much early: codecs need a run-up, and seeking may land late."""
_NUM_ANCHORS = 12
"""Frames whose timestamps are compared where ticks are coarse (Matroska: 1 ms)."""
MAX_GAP_S = 600.0
"""A longer hole in the timestamps ends the sound: a lying clock must not make endless zeros."""

_Stamped = tuple[int | None, NDArray[np.float32] | None]


class SoundTrack:
    """The first sound track of a file; opens it when first used."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)
        self.damage: str | None = None
        """Why the sound ends early, where it does."""
        self._container: InputContainer | None = None
        self._stream: AudioStream | None = None
        self._untouched = True

    def close(self) -> None:
        """Closes the file."""
        if self._container is not None:
            self._container.close()
        self._container = self._stream = None

    def read(self, *, start_s: float, duration_s: float, rate_hz: int) -> Sound:
        """Gives round(duration_s × rate_hz) samples from start_s, padded where there are none.

        Raises:
            InputError: nonsense was asked for.
            MediaError: the file has no sound, or it cannot be decoded.
        """
        num_samples = num_samples_of(duration_s=duration_s, rate_hz=rate_hz, name=self.path)
        if not np.isfinite(start_s):
            raise InputError(f"{self.path}: start_s {start_s!r} is not a time")
        native_hz = self.rate_hz
        margin = round(_MARGIN_S * rate_hz) if rate_hz != native_hz else 0
        first = round((start_s - margin / rate_hz) * native_hz)
        length = int(np.ceil((num_samples + 2 * margin) * native_hz / rate_hz)) + 2
        native, begin, end = self._native(first=first, length=length)
        return cut(
            native, native_hz=native_hz, margin=margin, begin=begin, end=end,
            start_s=start_s, num_samples=num_samples, rate_hz=rate_hz,
        )  # fmt: skip

    def blocks(self, *, rate_hz: int, block_s: float = 1.0) -> Iterator[Sound]:
        """Yields contiguous blocks from the first sample to the last one, without padding.

        The memory needed does not depend on the length. A damaged end stops it (see `damage`).
        """
        import soxr

        num_samples = num_samples_of(duration_s=block_s, rate_hz=rate_hz, name=self.path)
        native_hz = self.rate_hz
        resampler = None
        if rate_hz != native_hz:
            resampler = soxr.ResampleStream(native_hz, rate_hz, 1, dtype="float32")
        origin: int | None = None
        waiting: list[NDArray[np.float32]] = []
        num_native = num_waiting = num_out = 0
        pieces = self._contiguous()
        while True:
            piece = next(pieces, None)
            if piece is not None:
                position, samples = piece
                origin = position if origin is None else origin
                num_native += len(samples)
                if resampler is not None:
                    samples = resampler.resample_chunk(samples)
            elif resampler is not None and num_native:
                samples = resampler.resample_chunk(np.zeros(0, np.float32), last=True)
                # The resampler rounds its length up or down; the clock decides.
                keep = round(num_native * rate_hz / native_hz) - num_out - num_waiting
                samples = np.pad(samples, (0, max(0, keep - len(samples))))[: max(0, keep)]
            else:
                samples = np.zeros(0, np.float32)
            waiting.append(samples)
            num_waiting += len(samples)
            while num_waiting >= num_samples or (piece is None and num_waiting):
                assert origin is not None
                whole = np.concatenate(waiting)
                block, rest = whole[:num_samples], whole[num_samples:]
                yield Sound(
                    samples=np.ascontiguousarray(block[None]),
                    rate_hz=rate_hz,
                    start_s=origin / native_hz + num_out / rate_hz,
                )
                num_out += len(block)
                waiting, num_waiting = [rest], len(rest)
            if piece is None:
                return

    @property
    def rate_hz(self) -> int:
        """The track's own rate."""
        return int(self._open()[1].codec_context.sample_rate)

    def _open(self) -> tuple[InputContainer, AudioStream]:
        if self._container is None or self._stream is None:
            container = open_container(self.path)
            stream = next((item for item in container.streams.audio if item.codec_context), None)
            if stream is None or not stream.codec_context.sample_rate:
                container.close()
                raise MediaError(f"{self.path}: has no sound track")
            stream.codec_context.thread_count = 1
            self._container, self._stream = container, stream
            self._untouched = True
        return self._container, self._stream

    def _native(
        self, *, first: int, length: int
    ) -> tuple[NDArray[np.float32], int | None, int | None]:
        """Gives native samples [first, first + length), and where the track begins or ends in it.

        `begin` and `end` are native positions; None where the track goes on beyond the stretch.
        """
        native = np.zeros(length, dtype=np.float32)
        for preroll_s in (*_PREROLL_S, None):
            begin: int | None = None
            end: int | None = None
            position: int | None = None
            for position, samples in self._from(first, preroll_s):
                if begin is None:
                    begin = position
                    if begin > first and preroll_s is not None:
                        break  # too late: it may not be the beginning of the track
                end = position + len(samples)
                low, high = max(position, first), min(end, first + length)
                if low < high:
                    native[low - first : high - first] = samples[low - position : high - position]
                if end >= first + length:
                    return native, begin, None
            if preroll_s is None or (begin is not None and begin <= first):
                return native, begin if begin is not None else first + length, end or first
            native[:] = 0
        raise AssertionError("unreachable")

    def _from(
        self, first: int, preroll_s: float | None
    ) -> Iterator[tuple[int, NDArray[np.float32]]]:
        if preroll_s is None:
            self.close()
        container, stream = self._open()
        if preroll_s is not None:
            if self._untouched:
                # What the codec puts before the start is skipped in the first packet that is read:
                # that must not be one in the middle of the file.
                with contextlib.suppress(FFmpegError):
                    next(container.demux(stream), None)
            self._untouched = False
            if not has_clock(container):
                return
            aim = first / stream.codec_context.sample_rate - preroll_s
            assert stream.time_base is not None
            if stream.start_time is not None and aim < float(stream.start_time * stream.time_base):
                return
            try:
                container.seek(int(aim / stream.time_base), stream=stream, backward=True)
            except FFmpegError:
                return
        yield from self._decode(container, stream)

    def _contiguous(self) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """Yields (native position, samples) without holes."""
        self.close()
        container, stream = self._open()
        expected: int | None = None
        for position, samples in self._decode(container, stream):
            while expected is not None and position > expected:
                hole = min(position - expected, 1 << 16)
                yield expected, np.zeros(hole, dtype=np.float32)
                expected += hole
            yield position, samples
            expected = position + len(samples)

    def _decode(
        self, container: InputContainer, stream: AudioStream
    ) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """Yields (native position, mono samples) in order, without overlaps."""
        rate_hz = int(stream.codec_context.sample_rate)
        time_base = stream.time_base
        assert time_base is not None
        # Timestamps are rounded to ticks: within that, counting samples is more exact.
        tick = float(rate_hz * time_base) if time_base < 1 / 50 else 0.0
        tolerance = max(2, int(np.ceil(1.1 * tick)))
        running: int | None = None
        for frame in _anchored(_frames(container, stream), rate_hz=rate_hz, tolerance=tolerance):
            stamped, samples = frame
            if samples is None:
                self.damage = "the rate of the sound changes"
                return
            position = running if running is not None else 0
            if stamped is not None and (running is None or abs(stamped - running) > tolerance):
                position = stamped
            if running is not None and position - running > MAX_GAP_S * rate_hz:
                self.damage = f"a hole of {(position - running) / rate_hz:.0f} s in its timestamps"
                return
            if running is not None and position < running:
                samples = samples[running - position :]
                position = running
            if len(samples):
                yield position, samples
                running = position + len(samples)


def _anchored(frames: Iterator[AudioFrame], *, rate_hz: int, tolerance: int) -> Iterator[_Stamped]:
    """Yields (position by timestamp, samples); None for samples where the rate changes.

    Where ticks are coarser than samples, the first timestamp is put in the middle of what the
    first frames say, so that its rounding does not shift the sound.
    """
    held: list[_Stamped] = []
    early: list[float] = []
    running = 0
    for frame in frames:
        stamped = None
        if frame.pts is not None and frame.time_base is not None and frame.sample_rate:
            stamped = round(frame.pts * frame.time_base * rate_hz)
        if frame.sample_rate != rate_hz:
            yield from held
            yield stamped, None
            return
        samples = mono(frame)
        if tolerance <= 2 or len(early) >= _NUM_ANCHORS:
            yield stamped, samples
            continue
        held.append((stamped, samples))
        early.append(np.nan if stamped is None else stamped - running)
        running += len(samples)
        if len(early) == _NUM_ANCHORS:
            yield from _centred(held, early, tolerance)
            held = []
    if held:
        yield from _centred(held, early, tolerance)


def _centred(held: list[_Stamped], early: list[float], tolerance: int) -> list[_Stamped]:
    """Moves the first timestamp by what the next ones say, unless they tell of a hole."""
    shifts = np.asarray(early) - early[0]
    shifts = shifts[np.isfinite(shifts)]
    if len(shifts) and np.ptp(shifts) <= 1.1 * tolerance:
        first, samples = held[0]
        assert first is not None
        return [(first + round(float(shifts.min() + shifts.max()) / 2), samples), *held[1:]]
    return held


def _frames(container: InputContainer, stream: AudioStream) -> Iterator[AudioFrame]:
    """Yields what decodes; damaged packets leave holes in the clock."""
    demuxed = container.demux(stream)
    while True:
        packet = None
        with contextlib.suppress(FFmpegError):
            packet = next(demuxed, None)
        if packet is not None and not packet.size:
            packet = None
        frames: list[AudioFrame] = []
        try:
            frames = stream.codec_context.decode(packet)
        except FFmpegEOFError:
            return
        except FFmpegError:
            pass
        yield from frames
        if packet is None:
            return
