"""The table of a prepared data set: one row a clip, with everything that planning needs.

A catalogue is one Parquet file (`catalog.parquet`). Nothing is opened to plan a sample.

    catalog = Catalog.read("prepared")
    train = catalog.select(split="train")
    train.row(0).frame_times_s        # float64 [num_frames], seconds
"""

import dataclasses
import functools
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from avssl.errors import InputError
from avssl.files import replacing

SCHEMA_VERSION = 1
FILE_NAME = "catalog.parquet"
SPLITS = ("train", "validation", "test")
SOUND_STATES = ("present", "silent", "absent")

_EMPTY_FLOATS = np.zeros(0, dtype=np.float64)
_EMPTY_COUNTS = np.zeros(0, dtype=np.int64)


def _no_floats() -> NDArray[np.float64]:
    return _EMPTY_FLOATS


def _no_counts() -> NDArray[np.int64]:
    return _EMPTY_COUNTS


@dataclass(frozen=True, kw_only=True, eq=False)
class ClipRow:
    """One clip. Times are seconds on the clip's own clock (zero at its start when re-encoded)."""

    clip_id: str
    """Unique in the data set; also the stem of the members in the shard."""
    source: str
    """Path of the source file relative to the folder that was prepared."""
    source_sha256: str
    source_start_s: float
    """Where the clip starts on the clock of the source."""
    source_end_s: float
    group_id: str
    """Copies, near-copies and the user's groups share it; splits and negatives go by group."""
    split: str

    # The picture
    store: str
    """File that holds the video's bytes, relative to the data set (a shard), or the absolute path
    of the source (in place)."""
    video_offset: int
    """First byte of the video file inside `store`."""
    video_num_bytes: int
    video_suffix: str
    """Container by file suffix, such as ".mp4"."""
    codec: str
    """Name of FFmpeg's decoder, such as "h264" or "mjpeg"."""
    codec_config: bytes = b""
    """The codec's extra data; with the packets it is all that a decoder needs."""
    width_px: int
    """Upright, square pixels."""
    height_px: int
    start_s: float
    """Time of the first frame."""
    step_s: float
    """Time between frames, 0 where they are not evenly spaced (then see `irregular_times_s`)."""
    num_frames: int
    irregular_times_s: NDArray[np.float64] = field(default_factory=_no_floats)
    last_frame_s: float
    """Duration of the last frame."""
    packet_offsets: NDArray[np.int64] = field(default_factory=_no_counts)
    """Byte of each frame's packet, counted from the start of `store`; empty where the container
    has to be opened. Packets are in presentation order (no B-frames)."""
    packet_num_bytes: NDArray[np.int64] = field(default_factory=_no_counts)
    key_frames: NDArray[np.int64] = field(default_factory=_no_counts)
    """Indices of frames at which decoding can start."""
    video_index: bytes = b""
    """`VideoIndex.to_bytes()` of a file that lies in place, so that opening it scans nothing."""
    repeated_frames: NDArray[np.int64] = field(default_factory=_no_counts)
    """Indices of frames that only repeat the one before (made to reach a constant rate)."""

    # The sound
    sound_state: str
    """"present", "silent" (a track below the silence level throughout) or "absent" (no track)."""
    sound_offset: int = 0
    """First byte of the sound file inside `store`."""
    sound_num_bytes: int = 0
    sound_suffix: str = ""
    sound_rate_hz: int = 0
    sound_start_s: float = 0.0
    """Time of the first sample, on the same clock as the picture."""
    sound_num_samples: int = 0
    sound_config: bytes = b""
    sound_packet_offsets: NDArray[np.int64] = field(default_factory=_no_counts)
    """Byte of each sound packet, counted from the start of `store`."""
    sound_packet_num_bytes: NDArray[np.int64] = field(default_factory=_no_counts)
    sound_packet_num_samples: int = 0
    """Samples in every packet but the last."""

    # What was measured
    window_s: float
    """Length of the windows of `motion` and `loudness_db`; window k covers
    [start_s + k * window_s, start_s + (k + 1) * window_s)."""
    motion: NDArray[np.float64] = field(default_factory=_no_floats)
    """Mean optical flow in a window, in short sides of the picture per second."""
    loudness_db: NDArray[np.float64] = field(default_factory=_no_floats)
    """Root mean square of the sound in a window, dB below full scale, floored at -120."""
    onsets_s: NDArray[np.float64] = field(default_factory=_no_floats)
    cuts_s: NDArray[np.float64] = field(default_factory=_no_floats)
    """Times of the first frame after each cut inside the clip."""
    borders_px: tuple[int, int, int, int] = (0, 0, 0, 0)
    """Width of still bars: left, top, right, bottom."""
    still_spans_s: NDArray[np.float64] = field(
        default_factory=lambda: np.zeros((0, 2), dtype=np.float64)
    )
    """float64 [k, 2]: stretches (start, end) in which no picture changes."""
    truncated: bool = False
    """The source is damaged; the clip is its decodable prefix."""
    labels: dict[str, Any] = field(default_factory=dict)
    """Whatever came with the clip, as JSON: boxes, joints, classes, truth of the world."""

    def __post_init__(self) -> None:
        if self.split not in SPLITS:
            raise InputError(f"split {self.split!r} of {self.clip_id}: must be one of {SPLITS}")
        if self.sound_state not in SOUND_STATES:
            raise InputError(
                f"sound_state {self.sound_state!r} of {self.clip_id}: one of {SOUND_STATES}"
            )

    def __repr__(self) -> str:
        return (
            f"ClipRow({self.clip_id!r}, {self.width_px}x{self.height_px}, {self.num_frames} frames,"
            f" {self.duration_s:.2f} s, sound {self.sound_state}, {self.split})"
        )

    @functools.cached_property
    def frame_times_s(self) -> NDArray[np.float64]:
        """float64 [num_frames]: presentation time of each frame."""
        if self.step_s > 0:
            return self.start_s + self.step_s * np.arange(self.num_frames, dtype=np.float64)
        return self.irregular_times_s

    @property
    def end_s(self) -> float:
        """End of the last frame."""
        last_s = self.start_s
        if self.num_frames:
            last_s = float(self.frame_times_s[-1])
        return last_s + self.last_frame_s

    @property
    def duration_s(self) -> float:
        """From the first frame to the end of the last."""
        return self.end_s - self.start_s


_KINDS: dict[Any, pa.DataType] = {
    str: pa.string(),
    int: pa.int64(),
    float: pa.float64(),
    bool: pa.bool_(),
    bytes: pa.binary(),
    NDArray[np.float64]: pa.list_(pa.float64()),
    NDArray[np.int64]: pa.list_(pa.int64()),
    tuple[int, int, int, int]: pa.list_(pa.int64()),
    dict[str, Any]: pa.string(),  # JSON
}
_FIELDS = {item.name: item for item in dataclasses.fields(ClipRow)}
SCHEMA = pa.schema(
    [pa.field(name, _KINDS[item.type], nullable=False) for name, item in _FIELDS.items()]
)


def _to_cell(value: Any, kind: Any) -> Any:
    if kind == dict[str, Any]:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    if isinstance(value, np.ndarray):
        return value.reshape(-1)
    return list(value) if isinstance(value, tuple) else value


def _reader(name: str, kind: Any) -> Callable[[Any], Any] | None:
    """Gives what makes a field's value of its cell; None where they are the same."""
    if kind == dict[str, Any]:
        return json.loads
    if kind == NDArray[np.float64]:
        shape = (-1, 2) if name == "still_spans_s" else (-1,)
        return lambda cell: np.asarray(cell, dtype=np.float64).reshape(shape)
    if kind == NDArray[np.int64]:
        return lambda cell: np.asarray(cell, dtype=np.int64)
    return tuple if kind == tuple[int, int, int, int] else None


# Made once: to build and compare such types for every cell took two thirds of reading a row.
_READERS = {name: reader for name, item in _FIELDS.items() if (reader := _reader(name, item.type))}

_ROWS_AT_ONCE = 1024


def _row_of(cells: dict[str, Any]) -> ClipRow:
    for name, reader in _READERS.items():
        cells[name] = reader(cells[name])
    return ClipRow(**cells)


class Catalog:
    """The rows of a data set, in a fixed order; cheap to pickle: workers read the file again."""

    def __init__(
        self, table: pa.Table, *, directory: str | os.PathLike[str], source: Path | None = None
    ) -> None:
        self.table = table
        self.directory = Path(directory)
        self._source = source  # the Parquet file that `table` is exactly, for cheap pickling
        self._kept: NDArray[np.int64] | None = None  # rows of the file that are in `table`
        self._cache: dict[int, ClipRow] = {}

    def __len__(self) -> int:
        return self.table.num_rows

    def __repr__(self) -> str:
        return f"Catalog({str(self.directory)!r}, {len(self)} clips)"

    def __getstate__(self) -> dict[str, Any]:
        state = {**self.__dict__, "_cache": {}}
        if self._source is not None:
            state["table"] = None
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if self.table is None:
            table = pq.read_table(self._source, memory_map=True)
            self.table = table if self._kept is None else table.take(self._kept)

    @classmethod
    def read(cls, directory: str | os.PathLike[str]) -> "Catalog":
        """Reads the catalogue of a prepared data set.

        Raises:
            InputError: there is none, it is damaged, or another version wrote it.
        """
        path = Path(directory) / FILE_NAME
        if not path.is_file():
            taken = any(path.parent.glob("*"))  # perhaps by the videos themselves
            way = f"{directory} PREPARED" if taken else f"VIDEOS {directory}"
            raise InputError(f"{directory}: no {FILE_NAME} there; make one: `avssl prepare {way}`")
        try:
            table = pq.read_table(path, memory_map=True)
        except (pa.ArrowInvalid, OSError) as error:
            raise InputError(
                f"{path}: not readable ({error}); run `avssl prepare` again"
            ) from error
        version = int((table.schema.metadata or {}).get(b"schema_version", b"0"))
        if version != SCHEMA_VERSION:
            raise InputError(
                f"{path}: schema version {version}, this avssl reads {SCHEMA_VERSION}; "
                "run `avssl prepare` again"
            )
        if differing := set(table.schema.names) ^ set(SCHEMA.names):
            raise InputError(
                f"{path}: its columns differ ({', '.join(sorted(differing))}), another build of "
                "avssl wrote it; run `avssl prepare` again"
            )
        return cls(table, directory=directory, source=path)

    @classmethod
    def from_rows(
        cls, rows: Sequence[ClipRow], *, directory: str | os.PathLike[str] = "."
    ) -> "Catalog":
        """Builds a catalogue in memory."""
        columns = {
            name: [_to_cell(getattr(row, name), item.type) for row in rows]
            for name, item in _FIELDS.items()
        }
        return cls(pa.table(columns, schema=SCHEMA), directory=directory)

    def write(self, directory: str | os.PathLike[str]) -> Path:
        """Writes `catalog.parquet` into `directory`, all or nothing, and gives its path."""
        path = Path(directory) / FILE_NAME
        table = self.table.replace_schema_metadata({"schema_version": str(SCHEMA_VERSION)})
        with replacing(path) as temporary:
            pq.write_table(table, temporary, compression="zstd")
        return path

    def row(self, index: int) -> ClipRow:
        """Gives row `index` (0 ≤ index < len), kept in memory after its first use."""
        found = self._cache.get(index)
        if found is None:
            if not 0 <= index < len(self):
                raise IndexError(f"row {index} of a catalogue with {len(self)} rows")
            found = self._cache[index] = _row_of(self.table.slice(index, 1).to_pylist()[0])
        return found

    def rows(self) -> list[ClipRow]:
        """Gives all rows; many at a time are read several times as fast as one by one."""
        for start in range(0, len(self), _ROWS_AT_ONCE):
            part = self.table.slice(start, _ROWS_AT_ONCE)
            if not self._cache.keys() >= set(range(start, start + part.num_rows)):
                read = {start + k: _row_of(cell) for k, cell in enumerate(part.to_pylist())}
                self._cache = read | self._cache
        return [self._cache[index] for index in range(len(self))]

    def take(self, indices: NDArray[np.integer[Any]] | Sequence[int]) -> "Catalog":
        """Gives the catalogue of the chosen rows, in the chosen order."""
        chosen = np.asarray(indices, dtype=np.int64)
        part = Catalog(self.table.take(chosen), directory=self.directory, source=self._source)
        part._kept = chosen if self._kept is None else self._kept[chosen]
        found = ((k, self._cache.get(i)) for k, i in enumerate(chosen.tolist()))
        part._cache = {k: row for k, row in found if row is not None}
        return part

    def select(
        self, *, split: str | None = None, keep: Callable[[ClipRow], bool] | None = None
    ) -> "Catalog":
        """Gives the rows of one split, or those for which `keep(row)` holds, in the same order."""
        chosen = np.arange(len(self))
        if split is not None:
            if split not in SPLITS:
                raise InputError(f"split {split!r}: must be one of {', '.join(SPLITS)}")
            chosen = chosen[np.asarray(self.column("split"), dtype=object) == split]
        if keep is not None:
            chosen = np.asarray([i for i in chosen if keep(self.row(int(i)))], dtype=np.int64)
        return self.take(chosen)

    def column(self, name: str) -> list[Any]:
        """Gives one column of plain values, such as "group_id"."""
        return self.table.column(name).to_pylist()

    def fingerprint(self) -> str:
        """Gives a hash of what the rows describe: the same data prepared the same way agree."""
        import hashlib

        digest = hashlib.sha256()
        for name in ("clip_id", "source_sha256", "num_frames", "split", "group_id", "codec"):
            digest.update(json.dumps(self.column(name)).encode())
        return digest.hexdigest()[:16]
