"""The catalogue: what is written is read, rows keep their order, other versions are refused."""

import pickle
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from avssl.catalog import FILE_NAME, Catalog, ClipRow
from avssl.errors import InputError

finite = st.floats(-1e6, 1e6)


def make_row(name: str = "clip", **changes) -> ClipRow:
    values = {
        "clip_id": name,
        "source": f"{name}.mkv",
        "source_sha256": "00",
        "source_start_s": 1.5,
        "source_end_s": 2.5,
        "group_id": "group",
        "split": "train",
        "store": "shards/000000.tar",
        "video_offset": 512,
        "video_num_bytes": 10,
        "video_suffix": ".mp4",
        "codec": "h264",
        "width_px": 340,
        "height_px": 256,
        "start_s": 0.0,
        "step_s": 0.04,
        "num_frames": 25,
        "last_frame_s": 0.04,
        "sound_state": "absent",
        "window_s": 0.25,
    }
    return ClipRow(**(values | changes))


@settings(max_examples=30, deadline=None)
@given(
    offsets=arrays(np.int64, st.integers(0, 20), elements=st.integers(0, 2**60)),
    times=arrays(np.float64, st.integers(0, 20), elements=finite),
    spans=arrays(np.float64, st.tuples(st.integers(0, 4), st.just(2)), elements=finite),
    config=st.binary(max_size=20),
    labels=st.dictionaries(st.text(max_size=5), st.integers() | st.text() | finite, max_size=3),
    borders=st.tuples(*[st.integers(0, 500)] * 4),
)
def test_every_kind_of_cell_survives(
    tmp_path_factory, offsets, times, spans, config, labels, borders
) -> None:
    row = make_row(
        packet_offsets=offsets,
        irregular_times_s=times,
        still_spans_s=spans,
        codec_config=config,
        labels=labels,
        borders_px=borders,
    )
    directory = tmp_path_factory.mktemp("set")
    Catalog.from_rows([row]).write(directory)
    read = Catalog.read(directory).row(0)
    np.testing.assert_array_equal(read.packet_offsets, offsets)
    np.testing.assert_array_equal(read.irregular_times_s, times)
    np.testing.assert_array_equal(read.still_spans_s, spans)
    assert (read.codec_config, read.labels, read.borders_px) == (config, labels, borders)


def test_times_of_frames_follow_from_start_and_step() -> None:
    row = make_row(start_s=1.0, step_s=0.5, num_frames=3, last_frame_s=0.25)
    np.testing.assert_array_equal(row.frame_times_s, [1.0, 1.5, 2.0])
    assert (row.end_s, row.duration_s) == (2.25, 1.25)
    irregular = make_row(step_s=0.0, num_frames=2, irregular_times_s=np.array([0.0, 0.7]))
    np.testing.assert_array_equal(irregular.frame_times_s, [0.0, 0.7])
    assert irregular.end_s == pytest.approx(0.74)


def test_selecting_keeps_the_order_and_pickling_keeps_the_selection(tmp_path: Path) -> None:
    splits = ["train", "test", "train", "validation", "train"]
    rows = [make_row(str(k), split=split) for k, split in enumerate(splits)]
    Catalog.from_rows(rows).write(tmp_path)
    catalog = Catalog.read(tmp_path)
    train = catalog.select(split="train")
    assert train.column("clip_id") == ["0", "2", "4"]
    late = train.select(keep=lambda row: row.clip_id > "0").take([1, 0])
    assert late.column("clip_id") == ["4", "2"]
    copied = pickle.loads(pickle.dumps(late))  # our own object, as a loader's worker gets it
    assert [row.clip_id for row in copied.rows()] == ["4", "2"]
    assert len(pickle.dumps(catalog)) < 1000  # workers read the file themselves


@given(looked=st.lists(st.integers(0, 6), max_size=4), at_once=st.integers(1, 9))
def test_rows_read_in_blocks_are_the_rows_read_one_by_one(looked: list[int], at_once: int) -> None:
    written = [make_row(f"clip{number}", start_s=float(number)) for number in range(7)]
    catalog = Catalog.from_rows(written)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("avssl.catalog._ROWS_AT_ONCE", at_once)
        before = {index: catalog.row(index) for index in looked}
        found = catalog.rows()
    assert [(row.clip_id, row.start_s) for row in found] == [
        (row.clip_id, row.start_s) for row in written
    ]
    assert all(found[index] is row for index, row in before.items())


def test_the_fingerprint_tells_data_sets_apart() -> None:
    rows = [make_row("a"), make_row("b")]
    same = Catalog.from_rows(rows).fingerprint()
    assert Catalog.from_rows(rows, directory="elsewhere").fingerprint() == same
    others = [[rows[1], rows[0]], rows[:1], [rows[0], make_row("b", num_frames=24)]]
    assert len({same, *(Catalog.from_rows(other).fingerprint() for other in others)}) == 4


def test_a_folder_without_one_is_told_from_a_folder_of_videos(tmp_path: Path) -> None:
    """Who gives the videos themselves is not told to prepare into their folder."""
    with pytest.raises(InputError, match=f"avssl prepare VIDEOS {tmp_path}`"):
        Catalog.read(tmp_path)
    (tmp_path / "one.mp4").touch()
    with pytest.raises(InputError, match=f"avssl prepare {tmp_path} PREPARED`"):
        Catalog.read(tmp_path)


def test_what_cannot_be_read_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="avssl prepare"):
        Catalog.read(tmp_path)
    (tmp_path / FILE_NAME).write_bytes(b"PAR1 not really")
    with pytest.raises(InputError, match="not readable"):
        Catalog.read(tmp_path)
    Catalog.from_rows([make_row()]).write(tmp_path)
    path = tmp_path / FILE_NAME
    table = pq.read_table(path)
    pq.write_table(table.replace_schema_metadata({"schema_version": "999"}), path)
    with pytest.raises(InputError, match="version 999"):
        Catalog.read(tmp_path)


@pytest.mark.parametrize(
    "changes", [{"split": "training"}, {"sound_state": "loud"}], ids=["split", "sound"]
)
def test_a_row_checks_itself(changes) -> None:
    with pytest.raises(InputError, match="clip"):
        make_row(**changes)


def test_an_unknown_split_and_a_row_outside_are_refused() -> None:
    catalog = Catalog.from_rows([make_row()])
    with pytest.raises(InputError, match="'dev'"):
        catalog.select(split="dev")
    with pytest.raises(IndexError):
        catalog.row(1)
