"""Long files, MJPEG, in place, and the real files beside the repository."""

import dataclasses
import io
import json
import wave
from pathlib import Path

import av
import numpy as np
import pytest

from avssl.catalog import Catalog
from avssl.decode import open_video
from avssl.decode.fetch import Fetcher
from avssl.prepare import PrepareSettings, prepare


def run(source: Path, target: Path, **settings) -> list:
    prepare(source, target, settings=PrepareSettings(**settings), jobs=1, quiet=True)
    return Catalog.read(target).rows()


@pytest.fixture(scope="module")
def long_file(tmp_path_factory, tools) -> Path:
    """14 s: shots of 2, 1.4 and 10.6 s at 25 frames a second, a tone that rises all the while."""
    root = tmp_path_factory.mktemp("long")
    scenes = [tools.background(np.random.default_rng(seed)) for seed in (31, 32, 33)]
    pictures = []
    for k in range(350):
        scene = scenes[(k >= 50) + (k >= 85)]
        left = 160 - abs(k % 320 - 160)  # to and fro
        pictures.append(np.repeat(scene[:, left : left + 160, None], 3, axis=2))
        for bit in range(10):  # a small number, not to disturb the finding of cuts
            value = 235 if k >> bit & 1 else 16
            pictures[-1][:6, 16 * bit : 16 * bit + 16] = value
    time_s = np.arange(14 * 48000) / 48000
    tone = (0.3 * np.sin(2 * np.pi * (200 * time_s + 20 * time_s**2))).astype(np.float32)
    return tools.write_video(root / "long.mov", pictures, fps=25, sound=tone)


def small_number(frame: np.ndarray) -> int:
    blocks = frame[:, 1:4].mean((0, 1)).reshape(10, -1)[:, 4:12].mean(1)
    return sum(int(value > 126) << bit for bit, value in enumerate(blocks))


def test_a_long_file_is_cut_at_shots_then_evenly(long_file, tmp_path) -> None:
    rows = run(long_file.parent, tmp_path / "set", short_side_px=96, max_clip_s=4.0)
    firsts = [round(row.source_start_s * 25) for row in rows]
    # shots [0, 50) and [50, 85) are packed (3.4 s); [85, 350) is cut in three near 88 frames
    assert firsts[:2] == [0, 85] and len(rows) == 4
    lengths = [row.num_frames for row in rows]
    assert sum(lengths) == 350 and max(lengths) <= 100
    assert all(abs(length - 265 / 3) <= 8 for length in lengths[1:])
    assert rows[0].cuts_s.tolist() == [pytest.approx(2.0)]
    assert all(row.cuts_s.size == 0 for row in rows[1:])
    assert len({row.group_id for row in rows}) == 1
    fetcher = Fetcher(tmp_path / "set")
    number = 0
    for row in rows:
        frames = fetcher.frames(row, row.frame_times_s).frames
        assert [small_number(frame) for frame in frames] == list(
            range(number, number + row.num_frames)
        )
        number += row.num_frames
    # the sound of the clips laid end to end is the sound of the file, to the sample
    parts = [
        fetcher.sound(row, row.sound_start_s, row.sound_num_samples / 48000, 48000).sound.samples[0]
        for row in rows
    ]
    with av.open(str(long_file)) as file:
        truth = np.concatenate([f.to_ndarray()[0] for f in file.decode(audio=0)]) / 32768
    np.testing.assert_allclose(np.concatenate(parts), truth, atol=2e-4)
    assert all(row.sound_start_s == pytest.approx(0.0, abs=2.1e-5) for row in rows)


def test_gop_1_is_mjpeg(long_file, tmp_path) -> None:
    [row] = run(long_file.parent, tmp_path / "set", short_side_px=96, gop=1)
    assert (row.codec, row.video_suffix) == ("mjpeg", ".mov")
    assert row.key_frames.tolist() == list(range(350))
    with (tmp_path / "set" / row.store).open("rb") as stream:
        stream.seek(int(row.packet_offsets[7]))
        packet = stream.read(int(row.packet_num_bytes[7]))
    assert packet[:2] == b"\xff\xd8" and packet[-2:] == b"\xff\xd9"
    fetcher = Fetcher(tmp_path / "set")
    shown = fetcher.frames(row, row.frame_times_s[[340, 3, 77]]).frames
    assert [small_number(frame) for frame in shown] == [340, 3, 77]


@pytest.mark.parametrize("gop", [8, 1])
@pytest.mark.parametrize("height", [480, 720])
@pytest.mark.parametrize("full", [False, True])
def test_colours_survive(tmp_path, tools, gop, height, full) -> None:
    """Plain patches in BT.601 and BT.709, both ranges: RGB comes out within 4 levels."""
    colours = np.asarray([[200, 40, 40], [40, 180, 60], [50, 60, 200], [128, 128, 128]], np.uint8)
    picture = np.repeat(colours[None], height, 0).repeat(height // 4, 1)
    path = tmp_path / "in" / "x.mp4"
    path.parent.mkdir()
    matrix = 1 if height >= 720 else 5
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=25, options={"crf": "4"})
        stream.width, stream.height, stream.pix_fmt = picture.shape[1], height, "yuv420p"
        stream.codec_context.color_range = 2 if full else 1
        stream.codec_context.colorspace = matrix
        for k in range(5):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(
                format="yuv420p",
                dst_colorspace="ITU709" if matrix == 1 else "ITU601",
                dst_color_range="JPEG" if full else "MPEG",
            )
            frame.pts = k
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    [row] = run(path.parent, tmp_path / "set", short_side_px=128, gop=gop)
    frame = Fetcher(tmp_path / "set").frames(row, row.frame_times_s[[2]]).frames[0]
    found = frame[:, 64, 16::32].T
    assert np.abs(found.astype(int) - colours).max() <= 4


def test_in_place(long_file, tmp_path) -> None:
    [row] = run(long_file.parent, tmp_path / "set", in_place=True)
    assert row.store == str(long_file) and not (tmp_path / "set" / "shards").exists()
    assert (row.num_frames, row.step_s, row.width_px) == (350, 0.04, 160)
    assert row.sound_state == "present" and row.sound_num_samples == 14 * 48000
    assert row.cuts_s.tolist() == pytest.approx([2.0, 3.4]) and len(row.loudness_db) == 56
    shown = Fetcher(tmp_path / "set").frames(row, row.frame_times_s[[340, 3]]).frames
    assert [small_number(frame) for frame in shown] == [340, 3]


def test_in_place_opens_with_the_kept_index(long_file, tmp_path, monkeypatch) -> None:
    [row] = run(long_file.parent, tmp_path / "set", in_place=True)
    nothing = np.zeros(0, dtype=np.int64)
    # as if packets were not stored as shown (B-frames): the reader opens the file
    by_reader = dataclasses.replace(row, packet_offsets=nothing, packet_num_bytes=nothing)

    def scan(*_: object, **__: object) -> None:
        raise AssertionError("the file was scanned")

    monkeypatch.setattr("avssl.decode.video.build_index", scan)
    shown = Fetcher(tmp_path / "set").frames(by_reader, row.frame_times_s[[340, 3]]).frames
    assert [small_number(frame) for frame in shown] == [340, 3]


@pytest.fixture(scope="module")
def real(shared_data, tmp_path_factory) -> Path:
    """The short real files and the broken ones, and some of the band's, prepared."""
    root = tmp_path_factory.mktemp("real")
    names = [
        *(f"broken/{path.name}" for path in (shared_data / "broken").iterdir()),
        *(
            f"videos/{name}"
            for name in ("action.mp4", "pancake.mkv", "walk_cam02_silent_track.mp4")
        ),
        *(f"containers/band.{suffix}" for suffix in ("avi", "ogv", "mpg", "mpeg")),
        "containers/action.avi",
    ]
    for name in names:
        (root / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "in" / name).symlink_to(shared_data / name)
    prepare(
        root / "in", root / "set", settings=PrepareSettings(short_side_px=96), jobs=2, quiet=True
    )
    return root / "set"


def test_real_broken_files(real, shared_data) -> None:
    rows = {row.source: row for row in Catalog.read(real).rows()}
    corrupted = rows["broken/corrupted.mp4"]  # claims 50 frames
    assert corrupted.truncated and corrupted.num_frames == 28
    for name in ("unordered.mov", "video_0.mov", "video_90.mov", "video_180.mov", "video_270.mov"):
        assert not rows[f"broken/{name}"].truncated
    for turn in (0, 90, 180, 270):
        row = rows[f"broken/video_{turn}.mov"]
        with open_video(shared_data / row.source) as video:
            truth = [frame for _, frame in video.iter_frames(short_side_px=96)]
        found = Fetcher(real).frames(row, row.frame_times_s).frames
        assert len(found) == len(truth) == 3
        assert np.abs(found.astype(int) - np.stack(truth)).mean() < 6


def test_real_copies_and_sound(real) -> None:
    report = json.loads((real / "prepare.json").read_text())
    [(_, members)] = report["groups"].items()
    assert members == [f"containers/band.{suffix}" for suffix in ("avi", "mpeg", "mpg", "ogv")]
    assert report["copies"] == [{"file": "containers/band.mpg", "same_as": "containers/band.mpeg"}]
    rows = {row.source: row for row in Catalog.read(real).rows()}
    assert rows["videos/walk_cam02_silent_track.mp4"].sound_state == "silent"
    assert rows["videos/action.mp4"].sound_state == "absent"
    assert rows["videos/pancake.mkv"].sound_state == "present"
    assert all(row.cuts_s.size == 0 for name, row in rows.items() if "band" not in name)
    assert rows["containers/band.avi"].borders_px[1] > 8  # letterboxed by eye: 16 of 144 lines


def test_variable_rate_cut_into_clips_keeps_sound_and_picture_together(tmp_path, tools) -> None:
    """Each clip's zero is a time of the grid, not that of the older frame that it still shows."""
    from fractions import Fraction

    rng = np.random.default_rng(5)
    times_ms = np.cumsum(rng.integers(20, 70, size=240))
    flashes = [60, 130, 200]
    own = tools.background(np.random.default_rng(41))
    clicks_s = [(times_ms[k] - times_ms[0]) / 1000 for k in flashes]
    tools.write_video(
        tmp_path / "in" / "x.mkv",
        [tools.numbered(k, own, flash=k in flashes) for k in range(240)],
        fps=25,
        times=(times_ms - times_ms[0]).tolist(),
        time_base=Fraction(1, 1000),
        sound=tools.click(11.0, at_s=clicks_s),
        sound_codec="flac",
    )
    rows = run(tmp_path / "in", tmp_path / "set", short_side_px=96, max_clip_s=2.5)
    assert len(rows) > 3
    fetcher = Fetcher(tmp_path / "set")
    errors_s = []
    for row in rows:
        assert row.source_start_s * 1000 == pytest.approx(
            row.step_s * 1000 * round(row.source_start_s / row.step_s), abs=1e-6
        )
        sound = fetcher.sound(row, row.sound_start_s, row.sound_num_samples / 48000, 48000).sound
        loud = np.flatnonzero(np.abs(sound.samples[0]) > 0.3)
        firsts = loud[np.diff(loud, prepend=-(10**6)) > 4800] / 48000 + row.sound_start_s
        frames = fetcher.frames(row, row.frame_times_s).frames
        bright = row.frame_times_s[[frame[:, 40:].mean() > 240 for frame in frames]]
        for click_s in firsts:
            after = bright[bright >= click_s - 1e-3]
            errors_s.append(float(after.min() - click_s))
    # a frame of variable rate is shown at the first time of the grid that is not earlier
    assert len(errors_s) == 3 and min(errors_s) >= -1e-3 and max(errors_s) <= rows[0].step_s


def test_sound_kept_as_wav_is_that_kept_as_flac(long_file, tmp_path) -> None:
    """Any stretch of either is the same; the member is a WAV that others can read."""
    settings = {"short_side_px": 32, "max_clip_s": 4.0}
    kept = {
        form: run(long_file.parent, tmp_path / form, sound_format=form, **settings)
        for form in ("flac", "wav")
    }
    readers = {form: Fetcher(tmp_path / form) for form in kept}
    rng = np.random.default_rng(8)
    for number, row in enumerate(kept["wav"]):
        other = kept["flac"][number]
        assert (row.sound_suffix, other.sound_suffix) == (".wav", ".flac")
        with (tmp_path / "wav" / row.store).open("rb") as shard:
            shard.seek(row.sound_offset)
            member = io.BytesIO(shard.read(row.sound_num_bytes))
        with wave.open(member) as file:
            assert file.getparams()[:4] == (1, 2, 48000, row.sound_num_samples)
            words = np.frombuffer(file.readframes(row.sound_num_samples), "<i2")
        end_s = row.sound_start_s + row.sound_num_samples / 48000
        stretches = [(-1.0, 0.5), (-0.2, 1.0), (end_s - 0.3, 1.0), (end_s + 1, 0.1)]
        stretches += [(float(rng.uniform(0, end_s)), float(rng.uniform(0.01, 2))) for _ in range(9)]
        for start_s, duration_s in stretches:
            for rate_hz in (48000, 16000):
                one = readers["wav"].sound(row, start_s, duration_s, rate_hz).sound
                two = readers["flac"].sound(other, start_s, duration_s, rate_hz).sound
                assert np.array_equal(one.samples, two.samples)
                assert (one.padded_before, one.padded_after) == (
                    two.padded_before,
                    two.padded_after,
                )
        whole = (
            readers["wav"].sound(row, row.sound_start_s, row.sound_num_samples / 48000, 48000).sound
        )
        assert np.array_equal(whole.samples[0] * 32768, words)
        assert np.abs(words).max() > 9000


def test_sound_is_kept_as_wav_where_every_frame_stands_by_itself() -> None:
    assert PrepareSettings(gop=1).sound_suffix == ".wav"
    assert PrepareSettings().sound_suffix == ".flac"
    assert PrepareSettings(gop=1, sound_format="flac").sound_suffix == ".flac"
