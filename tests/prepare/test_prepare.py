"""A folder of made files through `prepare`: every frame, every click, every verdict is known."""

import json
import shutil
import tarfile
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from avssl.catalog import Catalog
from avssl.decode.fetch import Fetcher
from avssl.prepare import PrepareSettings, prepare


@pytest.fixture(scope="module")
def source(tmp_path_factory, tools, make) -> Path:
    root = tmp_path_factory.mktemp("videos")

    def clicked(path, *, fps, flashes, num_frames, clicks_s, seed, first_s=0.0, **more):
        own = tools.background(np.random.default_rng(seed))
        pictures = [tools.numbered(k, own, flash=k in flashes) for k in range(num_frames)]
        length_s = num_frames / fps - more.get("sound_start_s", 0.0) + first_s
        sound = tools.click(length_s, at_s=[t - more.get("sound_start_s", 0.0) for t in clicks_s])
        tools.write_video(path, pictures, fps=fps, sound=sound, **more)

    common = {"flashes": (25, 50), "num_frames": 75}
    clicked(root / "a" / "clip.mov", fps=25, clicks_s=[1.0, 2.0], seed=1, **common)
    shutil.copy(root / "a" / "clip.mov", root / "z_again.mov")
    clicked(
        root / "b" / "clip.mov",
        fps=Fraction(30000, 1001),
        clicks_s=[25 * 1.001 / 30, 50 * 1.001 / 30],
        seed=2,
        **common,
    )
    clicked(
        root / "late.mkv",
        fps=25,
        clicks_s=[1.0, 2.0],
        seed=4,
        sound_start_s=0.7,
        sound_codec="flac",
        **common,
    )
    # the picture begins at 0.5 s, the sound at 0.2 s: what is heard before must be cut off
    clicked(
        root / "early.mkv",
        fps=25,
        clicks_s=[1.5, 2.5],
        seed=5,
        sound_start_s=0.2,
        sound_codec="flac",
        first_s=0.5,
        times=[500 + 40 * k for k in range(75)],
        time_base=Fraction(1, 1000),
        **common,
    )
    kept = [k for k in range(70) if k % 7 != 2]
    own = tools.background(np.random.default_rng(6))
    tools.write_video(
        root / "variable.mp4",
        [tools.numbered(k, own) for k in kept],
        fps=30,
        times=[k * 512 for k in kept],
        time_base=Fraction(1, 15360),
    )
    make(root / "fast.mp4", 60, fps=60, scene_seed=7, options={"bf": "2", "g": "250"})
    # the first recording again: smaller picture rate, other codec, container and size, no sound
    import cv2

    first = tools.background(np.random.default_rng(1))
    smaller = [
        cv2.resize(tools.numbered(k, first, flash=k in (25, 50)), (128, 80)) for k in range(75)
    ]
    tools.write_video(root / "near.avi", smaller, fps=25, codec="mpeg4", options={"b": "400k"})
    barred = []
    for k in range(40):
        picture = tools.numbered(k, tools.background(np.random.default_rng(8)), shift_px=2)
        picture[:14] = picture[-18:] = 16
        barred.append(picture)
    tools.write_video(root / "barred.mp4", barred)
    one, other = (tools.background(np.random.default_rng(seed)) for seed in (9, 10))
    panned = [(one if k < 30 else other)[:, k : k + 160] for k in range(60)]
    tools.write_video(root / "cut.mp4", [np.repeat(part[..., None], 3, axis=2) for part in panned])
    still = tools.numbered(0, tools.background(np.random.default_rng(11)))
    tools.write_video(
        root / "silent_still.mov", [still] * 50, sound=np.zeros(96000, dtype=np.float32)
    )
    make(root / "whole.mkv", 100, scene_seed=12, options={"g": "10"})
    data = (root / "whole.mkv").read_bytes()
    (root / "broken.mkv").write_bytes(data[: int(len(data) * 0.6)])
    (root / "short_broken.mkv").write_bytes(data[: int(len(data) * 0.1)])
    (root / "whole.mkv").unlink()
    (root / "noise.mp4").write_bytes(np.random.default_rng(13).bytes(4000))
    (root / "readme.txt").write_text("hello")
    (root / "near.json").write_text('{"who": "mouse"}')
    return root


@pytest.fixture(scope="module")
def prepared(source: Path, tmp_path_factory) -> Path:
    target = tmp_path_factory.mktemp("prepared") / "set"
    settings = PrepareSettings(short_side_px=64, shard_mb=0.3)
    report = prepare(source, target, settings=settings, jobs=2, quiet=True)
    assert report.num_quarantined == 2 and report.num_copies == 1
    return target


@pytest.fixture(scope="module")
def rows(prepared: Path) -> dict:
    return {row.source: row for row in Catalog.read(prepared).rows()}


def member(prepared: Path, row, offset: int, num_bytes: int, suffix: str, folder: Path) -> Path:
    with (prepared / row.store).open("rb") as stream:
        stream.seek(offset)
        path = folder / f"member{suffix}"
        path.write_bytes(stream.read(num_bytes))
    return path


def frames_of(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as file:
        return [
            frame.to_ndarray(format="rgb24").transpose(2, 0, 1) for frame in file.decode(video=0)
        ]


EXPECTED = {
    "a/clip.mov": list(range(75)),
    "b/clip.mov": list(range(75)),
    "late.mkv": list(range(75)),
    "early.mkv": list(range(75)),
    "variable.mp4": [k - (k % 7 == 2) for k in range(70)],
    "fast.mp4": list(range(0, 60, 2)),
    "near.avi": list(range(75)),
}
STEPS = {"b/clip.mov": 1001 / 30000, "variable.mp4": 1 / 30, "fast.mp4": 1 / 30}


@pytest.mark.parametrize("name", EXPECTED)
def test_no_wrong_frame(name, prepared, rows, tools, tmp_path) -> None:
    row = rows[name]
    assert row.step_s == pytest.approx(STEPS.get(name, 0.04), abs=1e-12)
    assert row.start_s == 0.0 and row.num_frames == len(EXPECTED[name])
    path = member(prepared, row, row.video_offset, row.video_num_bytes, row.video_suffix, tmp_path)
    assert [tools.read_number(frame) for frame in frames_of(path)] == EXPECTED[name]
    # and by byte ranges alone, backwards
    fetched = Fetcher(prepared).frames(row, row.frame_times_s[::-1]).frames
    assert [tools.read_number(frame) for frame in fetched] == EXPECTED[name][::-1]


def test_the_stream_is_what_the_design_says(prepared, rows, tmp_path) -> None:
    row = rows["fast.mp4"]
    path = member(prepared, row, row.video_offset, row.video_num_bytes, row.video_suffix, tmp_path)
    with av.open(str(path)) as file:
        stream = file.streams.video[0]
        assert stream.codec_context.name == "h264" and stream.codec_context.pix_fmt == "yuv420p"
        assert stream.start_time == 0 and stream.average_rate == 30
        kinds = [frame.pict_type for frame in file.decode(stream)]
    assert {int(kind) for kind in kinds} <= {1, 2}  # I and P: no B-frames
    assert row.key_frames.tolist() == list(range(0, row.num_frames, 8))
    assert min(row.width_px, row.height_px) == 64
    assert rows["near.avi"].repeated_frames.tolist() == []
    assert rows["variable.mp4"].repeated_frames.tolist() == list(range(2, 70, 7))


@pytest.mark.parametrize("name", ["a/clip.mov", "b/clip.mov", "late.mkv", "early.mkv"])
def test_click_and_flash_stay_together(name, prepared, rows, tmp_path) -> None:
    row = rows[name]
    path = member(prepared, row, row.sound_offset, row.sound_num_bytes, ".flac", tmp_path)
    with av.open(str(path)) as file:
        blocks = [frame.to_ndarray()[0] for frame in file.decode(audio=0)]
    samples = np.concatenate(blocks).astype(float) / 32768
    assert len(samples) == row.sound_num_samples and row.sound_rate_hz == 48000
    assert {len(block) for block in blocks[:-1]} == {row.sound_packet_num_samples}
    assert row.sound_start_s == pytest.approx(0.7 if name == "late.mkv" else 0.0, abs=5e-4)
    assert row.sound_start_s >= -1e-6
    loud = np.flatnonzero(np.abs(samples) > 0.3)
    firsts = loud[np.diff(loud, prepend=-(10**6)) > 4800]
    clicks_s = row.sound_start_s + firsts / row.sound_rate_hz
    video = member(prepared, row, row.video_offset, row.video_num_bytes, ".mp4", tmp_path)
    bright = [k for k, frame in enumerate(frames_of(video)) if frame[:, 30:].mean() > 240]
    assert bright == [25, 50]
    np.testing.assert_allclose(clicks_s, row.frame_times_s[bright], atol=1e-3)
    # the same from byte ranges
    heard = Fetcher(prepared).sound(row, float(clicks_s[0]) - 0.1, 0.2, 48000).sound
    assert heard is not None
    first = int(np.flatnonzero(np.abs(heard.samples[0]) > 0.3)[0])
    assert first == pytest.approx(4800, abs=48)
    # measures: an onset within a hop, loud windows exactly there
    assert all(np.abs(row.onsets_s - time_s).min() < 0.03 for time_s in clicks_s)
    windows = np.flatnonzero(row.loudness_db > -40)
    assert set(windows) <= {int(t / row.window_s) + d for t in clicks_s for d in (0,)}


def test_measures(rows) -> None:
    assert rows["cut.mp4"].cuts_s.tolist() == pytest.approx([30 * 0.04])
    # the number drawn in changes all its blocks from frame 31 to 32 (fast.mp4): that is no cut
    assert {name: rows[name].cuts_s.tolist() for name in EXPECTED if rows[name].cuts_s.size} == {}
    left, top, right, bottom = rows["barred.mp4"].borders_px  # drawn: 14 and 18 of 96 lines
    assert (left, right) == (0, 0)
    assert top == pytest.approx(14 * 64 / 96, abs=1) and bottom == pytest.approx(12, abs=1)
    assert rows["cut.mp4"].borders_px == (0, 0, 0, 0)
    still = rows["silent_still.mov"]
    assert still.sound_state == "silent" and still.loudness_db.max() < -90
    assert still.still_spans_s.tolist() == [pytest.approx([0.0, 2.0])]
    assert still.motion.max() < 1e-3 and rows["near.avi"].sound_state == "absent"
    assert rows["a/clip.mov"].sound_state == "present"
    # the scene pans by 1 px of 96 a frame at 25 frames a second
    panned = np.median(rows["cut.mp4"].motion)
    assert panned == pytest.approx(25 / 96, rel=0.3)


def test_damaged_files(prepared, rows, tools, tmp_path) -> None:
    row = rows["broken.mkv"]
    assert row.truncated and 25 <= row.num_frames < 100
    path = member(prepared, row, row.video_offset, row.video_num_bytes, ".mp4", tmp_path)
    assert [tools.read_number(frame) for frame in frames_of(path)] == list(range(row.num_frames))
    lines = [json.loads(line) for line in (prepared / "quarantine.jsonl").read_text().splitlines()]
    assert [line["file"] for line in lines] == ["noise.mp4", "short_broken.mkv"]
    assert lines[0]["stage"] == "open" and "1 s are needed" in lines[1]["reason"]
    assert not any(row.truncated for name, row in rows.items() if name != "broken.mkv")


def test_copies_groups_and_report(prepared, rows) -> None:
    report = json.loads((prepared / "prepare.json").read_text())
    assert report["copies"] == [{"file": "z_again.mov", "same_as": "a/clip.mov"}]
    assert report["near_copies"] == [["a/clip.mov", "near.avi"]]
    assert rows["a/clip.mov"].group_id == rows["near.avi"].group_id
    others = [row.group_id for name, row in rows.items() if name != "near.avi"]
    assert len(set(others)) == len(others)
    assert {"file": "readme.txt", "reason": "not a video by its name (.txt)"} in report["skipped"]
    assert report["counts"]["truncated"] == 1 and report["seconds"] > 0
    assert report["versions"]["libavcodec"].startswith(str(av.library_versions["libavcodec"][0]))
    assert rows["near.avi"].labels == {"who": "mouse"}
    assert set(report["splits"]) == {"train", "validation", "test"}
    assert all(report["splits"].values())


def test_shards_are_tar_files_for_anyone(prepared, rows, tmp_path) -> None:
    stores = sorted({row.store for row in rows.values()})
    assert len(stores) > 1
    order: list[str] = []
    for store in stores:
        with tarfile.open(prepared / store) as tar:
            infos = tar.getmembers()
        order += list(dict.fromkeys(info.name.split(".")[0] for info in infos))
        by_name = {info.name: info for info in infos}
        for row in rows.values():
            if row.store != store:
                continue
            video = by_name[row.clip_id + row.video_suffix]
            assert (video.offset_data, video.size) == (row.video_offset, row.video_num_bytes)
            with (prepared / store).open("rb") as stream:
                stream.seek(by_name[f"{row.clip_id}.json"].offset_data)
                facts = json.loads(stream.read(by_name[f"{row.clip_id}.json"].size))
            assert facts["group_id"] == row.group_id and facts["num_frames"] == row.num_frames
    assert order == [row.clip_id for row in rows.values()]  # source order
    assert [row.source for row in rows.values()] == sorted(rows)


def test_running_again_does_nothing_and_other_settings_are_refused(
    source, prepared, tmp_path
) -> None:
    from avssl.errors import InputError

    before = {path: path.stat().st_mtime_ns for path in prepared.rglob("*") if path.is_file()}
    settings = PrepareSettings(short_side_px=64, shard_mb=0.3)
    assert prepare(source, prepared, settings=settings, quiet=True).already_done
    assert before == {p: p.stat().st_mtime_ns for p in prepared.rglob("*") if p.is_file()}
    with pytest.raises(InputError, match="short_side_px 64 → 96"):
        prepare(source, prepared, settings=PrepareSettings(short_side_px=96), quiet=True)
    (tmp_path / "mine.txt").write_text("x")
    with pytest.raises(InputError, match="holds something else"):
        prepare(source, tmp_path, quiet=True)


def test_check_of_the_prepared_set(prepared, tmp_path) -> None:
    from avssl.prepare import check

    health = check(prepared, quiet=True)
    assert health.kind == "prepared" and health.num_bad == 0
    copy = tmp_path / "copy"
    shutil.copytree(prepared, copy)
    row = Catalog.read(copy).row(0)
    with (copy / row.store).open("r+b") as stream:
        stream.seek(int(row.packet_offsets[0]))
        stream.write(bytes(int(row.packet_num_bytes[0])))
    bad = {item.name: item.problems for item in check(copy, quiet=True).files if item.problems}
    assert any("sha256" in problem for problem in bad[row.store])
    assert any("do not decode" in problem for problem in bad[row.clip_id])
    assert set(bad) == {row.store, row.clip_id}


def test_check_of_the_folder(source) -> None:
    from avssl.prepare import check

    health = check(source, quiet=True, jobs=2)
    found = {item.name: " | ".join(item.problems) for item in health.files}
    assert "same bytes as a/clip.mov" in found["z_again.mov"]
    assert "near-copy of near.avi" in found["a/clip.mov"]
    assert "variable frame rate" in found["variable.mp4"]
    assert "sound starts 0.700 s after" in found["late.mkv"]
    assert "sound starts 0.300 s before" in found["early.mkv"]
    assert "damaged" in found["broken.mkv"] and "unreadable" in found["noise.mp4"]
    assert (
        "silent sound track" in found["silent_still.mov"] and "still" in found["silent_still.mov"]
    )
    assert "black borders" in found["barred.mp4"] and "no sound" in found["fast.mp4"]
    assert found["b/clip.mov"] == ""
    facts = {item.name: item.facts for item in health.files}
    assert facts["fast.mp4"]["num_frames"] == 60 and facts["fast.mp4"]["fps"] == 60
    assert dict(health.skipped).keys() == {"readme.txt", "near.json"}
