"""One pass through a file's pictures from front to back: the truth that all else is held to."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction

from av.container import InputContainer
from av.error import EOFError as FFmpegEOFError
from av.error import FFmpegError
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from avssl.decode.info import reason_of

NO_CLOCK_FORMATS = frozenset({"avi"})
"""Containers without presentation times: the order of decoding counts."""
CLAIMING_FORMATS = frozenset({"matroska", "mov"})
"""Containers whose header states the length (elsewhere FFmpeg guesses it)."""
MAX_BAD_PACKETS_AT_START = 2000
"""A recording may begin in the middle of a group of pictures; what cannot be decoded is skipped."""
MAX_STEP_BACK_S = 1.0


@dataclass(kw_only=True)
class Pass:
    """What a pass has seen so far."""

    damage: str | None = None
    """Why it ended early; None while it is well."""
    num_decoded: int = 0
    num_packets: int = 0
    num_hidden: int = 0
    """Packets that an edit list keeps from being shown."""
    end_s: float = 0.0
    """Where the last packet of picture or sound ends."""
    packet_dts: deque[int | None] = field(default_factory=deque)
    """Decoding times of the packets whose pictures are still to come, where they are kept."""


def has_clock(container: InputContainer) -> bool:
    """Tells whether the container carries presentation times."""
    return not NO_CLOCK_FORMATS.intersection(container.format.name.split(","))


def frame_step(stream: VideoStream) -> int:
    """Gives the usual distance of two frames in ticks, at least 1."""
    rate = stream.average_rate or stream.guessed_rate or Fraction(25)
    time_base = stream.time_base or Fraction(1, 1000)
    return max(1, round(1 / (rate * time_base)))


def missing_end(container: InputContainer, state: Pass) -> str | None:
    """Says so where the container claims to be longer than its streams turned out to be."""
    formats = container.format.name.split(",")
    if container.duration is None or not CLAIMING_FORMATS.intersection(formats):
        return None
    claimed_s = container.duration / 1e6  # Matroska counts it from 0, MP4 from its start
    if claimed_s - state.end_s > max(0.5, 0.02 * claimed_s):
        return f"the container claims to end at {claimed_s:.2f} s and ends at {state.end_s:.2f} s"
    return None


def decode_forward(
    container: InputContainer, stream: VideoStream, *, state: Pass, keep_dts: bool = False
) -> Iterator[VideoFrame]:
    """Yields the decoder's frames from the current position to the end or the first damage.

    Pictures that the decoder marks as damaged before the first good one are skipped; afterwards
    they end the pass, since what follows refers to them.

    Args:
        container: open, at the position to start from.
        stream: its picture.
        state: filled on the way.
        keep_dts: note the packets' decoding times in `state` (someone must take them out).
    """
    num_bad = 0
    # Sound is passed over: it tells where a file that ends with the picture missing should end.
    demuxed = container.demux([stream, *container.streams.audio[:1]])
    at_end = False
    while not at_end:
        packet = None
        try:
            packet = next(demuxed, None)
        except FFmpegError as error:
            state.damage = f"the container breaks off ({reason_of(error)})"
        if packet is not None and packet.size and packet.pts is not None:
            end = (packet.pts + (packet.duration or 0)) * float(packet.time_base)
            state.end_s = max(state.end_s, end)
        if packet is not None and packet.stream_index != stream.index:
            continue
        if packet is not None and not packet.size:
            if packet.pts is not None:
                continue  # "as before" (Theora, AVI): the frame before is shown for longer
            packet = None
        if packet is not None and packet.is_corrupt and state.num_decoded:
            state.damage = "the last picture is cut off"
            packet = None
        at_end = packet is None
        try:
            frames = stream.codec_context.decode(packet)
        except FFmpegEOFError:
            return
        except FFmpegError as error:
            num_bad += 1
            if state.num_decoded or num_bad > MAX_BAD_PACKETS_AT_START:
                state.damage = state.damage or f"a picture cannot be decoded ({reason_of(error)})"
                return
            continue
        if packet is not None:
            state.num_packets += 1
            state.num_hidden += packet.is_discard
            if keep_dts:
                state.packet_dts.append(packet.dts)
        for frame in frames:
            if not frame.is_corrupt:
                state.num_decoded += 1
                yield frame
            elif state.num_decoded:
                state.damage = state.damage or "a picture is damaged"
                return


def decode_with_times(
    container: InputContainer, stream: VideoStream, *, state: Pass
) -> Iterator[tuple[int, VideoFrame]]:
    """Yields (ticks, frame) from the start of the file, ticks strictly ascending.

    Where the container has no presentation times, frame k is shown when packet k is due. A frame
    without a time follows the one before by the usual step. A frame that would be shown no later
    than the one before is left out; a clock that jumps back ends the pass.
    """
    clocked = has_clock(container)
    step = frame_step(stream)
    time_base = stream.time_base or Fraction(1, 1000)
    last: int | None = None
    for frame in decode_forward(container, stream, state=state, keep_dts=not clocked):
        ticks = frame.pts
        if not clocked:
            ticks = state.packet_dts.popleft() if state.packet_dts else None
        if ticks is None:
            ticks = 0 if last is None else last + step
        if last is not None and ticks <= last:
            if (last - ticks) * time_base > MAX_STEP_BACK_S:
                state.damage = f"the clock jumps back by {float((last - ticks) * time_base):.3f} s"
                return
            continue
        last = ticks
        yield ticks, frame
    state.damage = state.damage or missing_end(container, state)
