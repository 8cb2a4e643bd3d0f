"""How training reads a prepared set: the bytes of the packets it needs, and nothing else.

With packet ranges in the catalogue's row no container is opened: the ranges are read (`os.pread`
on a kept descriptor, or fsspec for URLs) and fed to a decoder. MJPEG frames go to libjpeg-turbo
directly. Rows without ranges (`--in-place`) go through `open_video`.
"""

import functools
import os
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.error import FFmpegError
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from avssl.catalog import ClipRow
from avssl.decode.index import VideoIndex
from avssl.decode.jpeg import decode_jpeg, decode_png
from avssl.decode.picture import Geometry, Painter
from avssl.decode.samples import cut, num_samples_of
from avssl.decode.store import Store
from avssl.decode.stored_sound import PCM_SUFFIX, read_flac, read_pcm
from avssl.decode.times import Edge, frame_indices
from avssl.errors import InputError, MediaError
from avssl.records import Clip, Sound

Crop = tuple[int, int, int, int]
"""(left, top, width, height) in pixels of the frame, after scaling."""
_MARGIN_S = 0.05


class Fetcher:
    """Fetches frames and sound of catalogue rows. Cheap to pickle; what it opens stays behind."""

    def __init__(self, directory: str | os.PathLike[str], *, max_open: int = 16) -> None:
        self.directory = os.fspath(directory)
        self.max_open = max_open
        self._reset()

    def _reset(self) -> None:
        self._store = Store(self.directory, max_open=self.max_open)
        self._readers: OrderedDict[str, Any] = OrderedDict()
        self._decoders: OrderedDict[tuple[str, bytes], Any] = OrderedDict()
        self._painters: dict[tuple[int, int], Painter] = {}
        self._buffer = bytearray()
        self.num_decoded = 0
        """Frames decoded since it was made."""

    def __getstate__(self) -> dict[str, Any]:
        return {"directory": self.directory, "max_open": self.max_open}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.directory, self.max_open = state["directory"], state["max_open"]
        self._reset()

    def close(self) -> None:
        """Closes all files."""
        self._store.close()
        for reader in self._readers.values():
            reader.close()
        self._reset()

    def frames(
        self,
        row: ClipRow,
        times_s: Sequence[float] | NDArray[np.floating],
        *,
        short_side_px: int | None = None,
        crop: Crop | None = None,
        edge: Edge = "raise",
    ) -> Clip:
        """Gives for each time the last frame with time ≤ t.

        Args:
            row: of the catalogue.
            times_s: seconds on the clip's clock, in any order.
            short_side_px: scale the short side to this; None keeps the stored size.
            crop: cut this part out of the (scaled) frames.
            edge: "raise" or "clamp" for times outside the clip.

        Returns:
            Clip with frames uint8 [T, 3, H, W], interleaved in memory, and the times of the
            frames found.

        Raises:
            InputError: a time or the crop is outside.
            MediaError: the data is not what the row says.
        """
        found = frame_indices(
            times_s, frame_times_s=row.frame_times_s, end_s=row.end_s, edge=edge, name=row.clip_id
        )
        if len(row.packet_offsets) == 0:
            frames = _cropped(self._in_place(row, found, short_side_px), crop, row)
        else:
            frames = self._from_packets(row, found, short_side_px, crop)
        return Clip(frames=frames, times_s=row.frame_times_s[found])

    def sound(self, row: ClipRow, start_s: float, duration_s: float, rate_hz: int) -> Clip:
        """Gives a stretch of the clip's sound; silence, counted as padding, where it has none.

        Raises:
            InputError: the length or the rate is nonsense.
            MediaError: the data is not what the row says.
        """
        num_samples = num_samples_of(duration_s=duration_s, rate_hz=rate_hz, name=row.clip_id)
        if row.sound_state == "absent":
            nothing = np.zeros((1, num_samples), dtype=np.float32)
            sound = Sound(
                samples=nothing, rate_hz=rate_hz, start_s=start_s, padded_after=num_samples
            )
        elif len(row.sound_packet_offsets) == 0:
            shift_s = self._shift_s(row)
            sound = self._reader(row).sound(
                start_s=start_s + shift_s, duration_s=duration_s, rate_hz=rate_hz
            )
            sound = Sound(
                samples=sound.samples,
                rate_hz=rate_hz,
                start_s=start_s,
                padded_before=sound.padded_before,
                padded_after=sound.padded_after,
            )
        else:
            sound = self._sound_from_packets(row, start_s, num_samples, rate_hz)
        return Clip(sound=sound)

    def label_map(self, row: ClipRow, name: str) -> Clip:
        """Gives a picture of labels, uint8 [1, 3, H, W]: a PNG in the row's store.

        Where it lies is told by `row.labels[name]`, {"offset", "num_bytes"}.

        Raises:
            MediaError: the row has none, or it is damaged.
        """
        place = row.labels.get(name)
        if not isinstance(place, dict):
            raise MediaError(f"{row.clip_id}: has no {name}; prepare the data set again")
        data = self._store.read(row.store, int(place["offset"]), int(place["num_bytes"]))
        frames = decode_png(data, name=f"{row.clip_id}: {name}")[None]
        return Clip(frames=frames, times_s=np.array([row.start_s]))

    # Rows with packet ranges

    def _from_packets(
        self, row: ClipRow, found: NDArray[np.int64], short_side_px: int | None, crop: Crop | None
    ) -> NDArray[np.uint8]:
        wanted = sorted(set(found.tolist()))
        places: dict[int, list[int]] = {}
        for place, index in enumerate(found.tolist()):
            places.setdefault(index, []).append(place)
        size = _size(row, short_side_px)
        width, height = size if crop is None else _checked(crop, size, row)[2:]
        left, top = (0, 0) if crop is None else crop[:2]
        # Stored interleaved (torch's channels_last): turning it over would cost a tenth.
        stored = np.empty((len(found), height, width, 3), dtype=np.uint8)
        frames = stored.transpose(0, 3, 1, 2)
        decoded = self._jpegs(row, wanted) if row.codec == "mjpeg" else self._h26x(row, wanted)
        for index, picture in zip(wanted, decoded, strict=True):
            if isinstance(picture, VideoFrame):
                if (picture.width, picture.height) != (row.width_px, row.height_px):
                    raise MediaError(f"{row.clip_id}: a frame's size is not what the row says")
                if size == (picture.width, picture.height):
                    area = (left, top, width, height)
                    picture = self._painter(picture).rgb_part(picture, area=area)
                else:
                    picture = self._painter(picture).rgb(picture, short_side_px=short_side_px)
                    picture = picture[:, top : top + height, left : left + width]
            else:
                if picture.shape[1:] != (row.height_px, row.width_px):
                    raise MediaError(f"{row.clip_id}: a frame's size is not what the row says")
                if size != (row.width_px, row.height_px):
                    picture = _scaled(picture, size)
                picture = picture[:, top : top + height, left : left + width]
            for place in places[index]:
                frames[place] = picture
        return frames

    def _jpegs(self, row: ClipRow, wanted: list[int]) -> Iterator[NDArray[np.uint8]]:
        num_bytes = 3 * row.width_px * row.height_px
        if len(self._buffer) < num_bytes:
            self._buffer = bytearray(num_bytes)
        for index in wanted:
            data = self._store.read(
                row.store, int(row.packet_offsets[index]), int(row.packet_num_bytes[index])
            )
            self.num_decoded += 1
            yield decode_jpeg(data, name=row.clip_id, buffer=self._buffer)

    def _h26x(self, row: ClipRow, wanted: list[int]) -> Iterator[VideoFrame]:
        """Decodes each group once, up to the last frame wanted of it."""
        context = self._decoder(row.codec, row.codec_config)
        groups: dict[int, list[int]] = {}
        for index in wanted:
            key = int(np.searchsorted(row.key_frames, index, side="right")) - 1
            if key < 0:
                raise MediaError(f"{row.clip_id}: frame {index} has no key frame before it")
            groups.setdefault(int(row.key_frames[key]), []).append(index)
        for first, inside in groups.items():
            context.flush_buffers()
            found: dict[int, VideoFrame] = {}
            try:
                for index, data in self._store.packets(row, first, inside[-1]):
                    packet = av.Packet(data)
                    packet.pts = packet.dts = index
                    self._keep(context.decode(packet), inside, found)
                if len(found) < len(inside):  # the decoder holds some back
                    self._keep(context.decode(None), inside, found)
            except FFmpegError as error:
                raise MediaError(f"{row.clip_id}: a frame cannot be decoded ({error})") from error
            for index in inside:
                if index not in found:
                    raise MediaError(f"{row.clip_id}: frame {index} is not in its packets")
                yield found[index]

    def _keep(
        self, frames: list[VideoFrame], wanted: list[int], found: dict[int, VideoFrame]
    ) -> None:
        self.num_decoded += len(frames)
        for frame in frames:
            if frame.pts in wanted:
                found[frame.pts] = frame

    def _decoder(self, codec: str, config: bytes) -> Any:
        key = (codec, config)
        context = self._decoders.pop(key, None)
        if context is None:
            context = av.CodecContext.create(codec, "r")
            if config:
                context.extradata = config
            context.thread_count = 1
        self._decoders[key] = context
        while len(self._decoders) > self.max_open:
            self._decoders.popitem(last=False)
        return context

    def _painter(self, frame: VideoFrame) -> Painter:
        size = (frame.width, frame.height)
        if size not in self._painters:
            geometry = Geometry(coded_width_px=size[0], coded_height_px=size[1])
            self._painters[size] = Painter(geometry)
        return self._painters[size]

    def _sound_from_packets(
        self, row: ClipRow, start_s: float, num_samples: int, rate_hz: int
    ) -> Sound:
        native_hz = row.sound_rate_hz
        margin = round(_MARGIN_S * rate_hz) if rate_hz != native_hz else 0
        origin = round(row.sound_start_s * native_hz)
        first = round((start_s - margin / rate_hz) * native_hz) - origin
        length = int(np.ceil((num_samples + 2 * margin) * native_hz / rate_hz)) + 2
        if row.sound_suffix == PCM_SUFFIX:
            native = read_pcm(self._store, row, first=first, length=length)
        else:
            context = self._decoder("flac", row.sound_config)
            native = read_flac(self._store, context, row, first=first, length=length)
        return cut(
            native,
            native_hz=native_hz,
            margin=margin,
            begin=origin if first <= 0 else None,
            end=origin + row.sound_num_samples if first + length >= row.sound_num_samples else None,
            start_s=start_s,
            num_samples=num_samples,
            rate_hz=rate_hz,
        )

    # Rows without

    def _in_place(
        self, row: ClipRow, found: NDArray[np.int64], short_side_px: int | None
    ) -> NDArray[np.uint8]:
        # The clip's clock starts at 0 only when it was re-encoded; in place it is the source's,
        # so the frames are asked for by their own times.
        times_s = row.frame_times_s[found] + self._shift_s(row)
        return self._reader(row).frames_at(times_s, short_side_px)

    def _shift_s(self, row: ClipRow) -> float:
        return row.source_start_s - row.start_s

    def _reader(self, row: ClipRow) -> Any:
        from avssl.decode import open_video

        path = str(Path(self.directory, row.store))
        reader = self._readers.pop(path, None)
        if reader is None:
            index = VideoIndex.from_bytes(row.video_index) if row.video_index else None
            reader = open_video(path, index=index)
        self._readers[path] = reader
        while len(self._readers) > self.max_open:
            self._readers.popitem(last=False)[1].close()
        return reader


@functools.lru_cache(maxsize=1024)
def _scaled_size(width: int, height: int, short_side_px: int | None) -> tuple[int, int]:
    geometry = Geometry(coded_width_px=width, coded_height_px=height)
    return geometry.scaled_size(short_side_px)


def _size(row: ClipRow, short_side_px: int | None) -> tuple[int, int]:
    return _scaled_size(row.width_px, row.height_px, short_side_px)


def _scaled(picture: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    import cv2

    interleaved = np.ascontiguousarray(picture.transpose(1, 2, 0))
    scaled = cv2.resize(interleaved, size, interpolation=cv2.INTER_AREA)
    return np.asarray(scaled, dtype=np.uint8).transpose(2, 0, 1)


def _checked(crop: Crop, size: tuple[int, int], row: ClipRow) -> Crop:
    left, top, width, height = crop
    if not (left >= 0 and top >= 0 and width > 0 and height > 0) or (
        left + width > size[0] or top + height > size[1]
    ):
        raise InputError(f"{row.clip_id}: the crop {crop} is not inside {size[0]}x{size[1]} pixels")
    return crop


def _cropped(frames: NDArray[np.uint8], crop: Crop | None, row: ClipRow) -> NDArray[np.uint8]:
    if crop is None:
        return frames
    left, top, width, height = _checked(crop, (frames.shape[3], frames.shape[2]), row)
    return frames[:, :, top : top + height, left : left + width]
