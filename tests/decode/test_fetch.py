"""Byte ranges give what the file gives; every group is decoded at most once."""

import dataclasses
import pickle
from pathlib import Path

import av
import numpy as np
import pytest

from avssl.catalog import ClipRow
from avssl.decode import open_video
from avssl.decode.fetch import Fetcher
from avssl.decode.packets import packet_table
from avssl.errors import InputError, MediaError

SIZE = (208, 120)
NUM_FRAMES, NUM_SAMPLES = 40, 70000


def write_video(path, codec, options, pix_fmt):
    rng = np.random.default_rng(0)
    colours = rng.integers(20, 230, (SIZE[1] // 8, SIZE[0] // 8, 3))
    coarse = np.asarray(colours.repeat(8, 0).repeat(8, 1), dtype=np.uint8)
    full = 2 if codec == "mjpeg" else 1
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=20, options=options)
        stream.width, stream.height, stream.pix_fmt = *SIZE, pix_fmt
        stream.codec_context.color_range = full
        for k in range(NUM_FRAMES):
            frame = av.VideoFrame.from_ndarray(np.roll(coarse, k * 3, 1), format="rgb24")
            frame = frame.reformat(format=pix_fmt, dst_color_range=full)
            frame.pts = k
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def write_sound(path, samples):
    with av.open(str(path), "w") as container:
        stream = container.add_stream("flac", rate=48000, layout="mono", format="s16")
        for i in range(0, len(samples), 4096):
            frame = av.AudioFrame.from_ndarray(samples[None, i : i + 4096], "s16", "mono")
            frame.sample_rate, frame.pts = 48000, i
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


@pytest.fixture(scope="module", params=["gop 8", "gop 1"])
def made(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("store")
    if request.param == "gop 8":
        path = folder / "video.mp4"
        write_video(path, "libx264", {"g": "8", "bf": "0", "sc_threshold": "0"}, "yuv420p")
    else:
        path = folder / "video.mov"
        write_video(path, "mjpeg", {"qmin": "2", "qmax": "2"}, "yuvj420p")
    samples = np.random.default_rng(1).integers(-9000, 9000, NUM_SAMPLES).astype(np.int16)
    write_sound(folder / "sound.flac", samples)
    video, sound = path.read_bytes(), (folder / "sound.flac").read_bytes()
    (folder / "shard.tar").write_bytes(b"h" * 512 + video + b"p" * 100 + sound)
    table, heard = packet_table(path), packet_table(sound, kind="audio")
    at = 512 + len(video) + 100
    row = ClipRow(
        clip_id="clip", source="clip", source_sha256="", source_start_s=0.0, source_end_s=2.0,
        group_id="g", split="train", store="shard.tar", video_offset=512,
        video_num_bytes=len(video), video_suffix=path.suffix, codec=table.codec,
        codec_config=table.codec_config, width_px=SIZE[0], height_px=SIZE[1], start_s=0.0,
        step_s=0.05, num_frames=NUM_FRAMES, last_frame_s=0.05, packet_offsets=table.offsets + 512,
        packet_num_bytes=table.num_bytes, key_frames=table.key_frames, sound_state="present",
        sound_offset=at, sound_num_bytes=len(sound), sound_suffix=".flac", sound_rate_hz=48000,
        sound_start_s=0.25, sound_num_samples=NUM_SAMPLES, sound_config=heard.codec_config,
        sound_packet_offsets=heard.offsets + at, sound_packet_num_bytes=heard.num_bytes,
        sound_packet_num_samples=int(heard.num_samples[0]), window_s=1.0,
    )  # fmt: skip
    return folder, path, row, samples


def test_packets_are_where_the_table_says(made):
    _, path, row, _ = made
    table = packet_table(path)
    data = path.read_bytes()
    with av.open(str(path)) as container:
        packets = [bytes(p) for p in container.demux(video=0) if p.size]
    pairs = zip(table.offsets, table.num_bytes, strict=True)
    assert [data[a : a + n] for a, n in pairs] == packets
    assert np.allclose(table.pts_s, row.frame_times_s)
    step = 8 if row.codec == "h264" else 1
    assert table.key_frames.tolist() == list(range(0, NUM_FRAMES, step))


def test_frames_equal_those_of_the_file(made):
    folder, path, row, _ = made
    fetcher = pickle.loads(pickle.dumps(Fetcher(folder)))
    times_s = [1.5, 0.0, 0.51, 1.5, 1.99, 0.07]
    clip = fetcher.frames(row, times_s)
    with open_video(path) as video:
        expected = video.frames_at(times_s)
    difference = np.abs(clip.frames.astype(int) - expected)
    if row.codec == "h264":
        assert difference.max() == 0
    else:
        # Two decoders of JPEG: their inverse transforms round differently.
        assert (difference > 2).mean() < 0.005 and difference.max() <= 5
    assert clip.times_s == pytest.approx([1.5, 0.0, 0.5, 1.5, 1.95, 0.05])
    for crop in ((10, 20, 128, 90), (11, 21, 63, 33), (80, 0, 128, 120), (207, 119, 1, 1)):
        left, top, width, height = crop
        part = fetcher.frames(row, times_s, crop=crop).frames
        assert np.array_equal(part, clip.frames[:, :, top : top + height, left : left + width]), (
            crop
        )
    small = fetcher.frames(row, times_s, short_side_px=60, crop=(4, 4, 32, 32)).frames
    assert small.shape == (6, 3, 32, 32)
    whole = fetcher.frames(row, times_s, short_side_px=60).frames
    assert np.array_equal(small, whole[:, :, 4:36, 4:36])
    fetcher.close()


def test_each_group_is_decoded_once(made):
    folder, _, row, _ = made
    fetcher = Fetcher(folder)
    indices = [9, 14, 12, 3, 9, 30]
    fetcher.frames(row, row.frame_times_s[indices])
    expected = (7 + 4 + 7) if row.codec == "h264" else len(set(indices))
    assert fetcher.num_decoded == expected


def test_sound_is_exact_to_the_sample(made):
    folder, _, row, samples = made
    fetcher = Fetcher(folder)
    truth = np.zeros(4 * 48000, dtype=np.float32)  # from -1 s
    start = 48000 + 12000
    truth[start : start + NUM_SAMPLES] = samples / 32768
    for start_s, duration_s in ((0.0, 1.0), (0.5, 0.013), (0.25, 1.0), (-0.5, 0.4), (1.6, 1.0)):
        sound = fetcher.sound(row, start_s, duration_s, 48000).sound
        first, count = round((start_s + 1) * 48000), round(duration_s * 48000)
        assert sound.samples.shape == (1, count)
        assert np.array_equal(sound.samples[0], truth[first : first + count])
        before = min(max(0, start - first), count)
        assert sound.padded_before == before
        after = min(max(0, first + count - start - NUM_SAMPLES), count)
        assert sound.padded_after == after
    assert fetcher.sound(row, 0.3, 0.5, 16000).sound.samples.shape == (1, 8000)


def test_refusals(made, tmp_path):
    folder, _, row, _ = made
    fetcher = Fetcher(folder)
    with pytest.raises(InputError, match="no frame at"):
        fetcher.frames(row, [2.0])
    assert fetcher.frames(row, [5.0], edge="clamp").times_s == pytest.approx([1.95])
    with pytest.raises(InputError, match="crop"):
        fetcher.frames(row, [0.0], crop=(100, 0, 128, 120))
    shorter = (folder / "shard.tar").read_bytes()[: int(row.packet_offsets[20])]
    (tmp_path / "shard.tar").write_bytes(shorter)
    with pytest.raises(MediaError, match="cut off"):
        Fetcher(tmp_path).frames(row, [1.9])
    damaged = bytearray((folder / "shard.tar").read_bytes())
    at = int(row.packet_offsets[0])
    damaged[at : at + int(row.packet_num_bytes[0])] = b"\x00" * int(row.packet_num_bytes[0])
    (tmp_path / "shard.tar").write_bytes(damaged)
    with pytest.raises(MediaError):
        Fetcher(tmp_path).frames(row, [0.0])
    with pytest.raises(MediaError, match="cannot be read"):
        Fetcher(tmp_path / "nowhere").frames(row, [0.0])


def test_few_files_stay_open(made, tmp_path):
    import dataclasses

    folder, _, row, _ = made
    data = (folder / "shard.tar").read_bytes()
    rows = []
    for k in range(6):
        (tmp_path / f"{k}.tar").write_bytes(data)
        rows.append(dataclasses.replace(row, store=f"{k}.tar"))
    fetcher = Fetcher(tmp_path, max_open=2)
    before = sum(1 for _ in Path("/proc/self/fd").iterdir())
    for row in rows * 2:
        fetcher.frames(row, [0.5])
    assert sum(1 for _ in Path("/proc/self/fd").iterdir()) <= before + 2


def test_a_set_behind_a_url_is_read_by_the_same_ranges(made):
    """fsspec's file system in memory stands for any store that it speaks to."""
    import fsspec

    folder, _, row, _ = made
    place = f"memory://{folder.name}"
    with fsspec.open(f"{place}/shard.tar", "wb") as stream:
        stream.write((folder / "shard.tar").read_bytes())
    times_s = [1.5, 0.1, 0.75]
    there, here = Fetcher(place), Fetcher(folder)
    np.testing.assert_array_equal(
        there.frames(row, times_s).frames, here.frames(row, times_s).frames
    )
    one, other = (f.sound(row, 0.5, 0.4, 48000).sound for f in (there, here))
    np.testing.assert_array_equal(one.samples, other.samples)
    with pytest.raises(MediaError, match=r"gone\.tar"):
        there.frames(dataclasses.replace(row, store="gone.tar"), [0.5])
