"""The index, broken and hostile files, real recordings, colour, sound's arithmetic."""

import numpy as np
import pytest
from av import VideoFrame
from av.video.reformatter import VideoReformatter

from avssl.decode import open_video
from avssl.decode.index import VideoIndex, build_index
from avssl.decode.picture import _PLAIN, Geometry, to_rgb24
from avssl.decode.samples import cut
from avssl.errors import InputError, MediaError, MissingPartError


def test_the_index_comes_back_and_nothing_is_scanned(files, monkeypatch):
    path = files["h264 GOP 15"]
    index = build_index(path)
    again = VideoIndex.from_bytes(index.to_bytes())
    assert again.info == index.info
    for name in ("ticks", "restarts", "key_frames"):
        assert np.array_equal(getattr(again, name), getattr(index, name))
    monkeypatch.setattr("avssl.decode.video.build_index", None)
    monkeypatch.setattr("avssl.decode.video.decode_with_times", None)
    with open_video(path, index=again) as video:
        assert video.num_frames == 90
        # Key frames at 0, 15, 30…: each group once, up to the last frame wanted and B-frames.
        video.frames_by_index([20, 17, 21, 40, 44, 20])
        assert video.num_decoded <= (21 - 15 + 1) + (44 - 30 + 1)
    whole = build_index(path, method="decoding")
    assert np.array_equal(whole.ticks, index.ticks)


def test_a_changed_file_and_a_damaged_index_are_refused(files, tmp_path):
    path = tmp_path / "copy.mp4"
    path.write_bytes(files["h264 GOP 15"].read_bytes())
    index = build_index(path)
    path.write_bytes(files["h264 GOP 250"].read_bytes())
    with pytest.raises(InputError, match="changed"):
        open_video(path, index=index)
    with pytest.raises(InputError, match="not an index"):
        VideoIndex.from_bytes(b"nonsense")


@pytest.mark.parametrize(
    "content", [b"", b"not a video at all\n" * 50, b"\x00" * 5000, b"\x00\x00\x00\x18ftypisom"]
)
def test_what_is_no_video_is_refused(content, tmp_path):
    path = tmp_path / "thing.mp4"
    path.write_bytes(content)
    with pytest.raises(MediaError, match=r"thing\.mp4"):
        open_video(path)


def test_other_refusals(files, tmp_path, monkeypatch):
    with pytest.raises(MediaError, match="cannot be opened"):
        open_video(tmp_path / "absent.mp4")
    with pytest.raises(InputError, match="backend"):
        open_video(files["no sound"], backend="opencv")
    with open_video(files["no sound"]) as video:
        assert not video.info.has_sound
        with pytest.raises(MediaError, match="no sound"):
            video.sound(start_s=0, duration_s=1, rate_hz=16000)
        with pytest.raises(InputError, match="no frame at"):
            video.frames_at([3.0])
        with pytest.raises(InputError, match="no frame at"):
            video.frames_at([-0.01])
        clamped = video.frames_at([-1.0, 99.0], edge="clamp")
        assert np.array_equal(clamped, video.frames_by_index([0, -1]))
    sound = files["h264 GOP 15"].parent / "sound.wav"
    with pytest.raises(MediaError, match="no video stream"):
        open_video(sound)
    monkeypatch.setattr("avssl.decode.backends.importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingPartError, match="pip install"):
        open_video(files["no sound"], backend="torchcodec")


def test_random_damage_never_hangs_or_crashes(files, tmp_path):
    rng = np.random.default_rng(8)
    for kind in ("h264 GOP 15", "h264 mkv", "mpeg4 avi", "h264 MPEG-TS"):
        data = np.frombuffer(files[kind].read_bytes(), np.uint8).copy()
        for _ in range(3):
            bad = data.copy()
            bad[rng.integers(0, len(bad), 200)] = rng.integers(0, 256, 200)
            path = tmp_path / f"bad{files[kind].suffix}"
            path.write_bytes(bad.tobytes())
            try:
                with open_video(path) as video:
                    num_frames = sum(1 for _ in video.iter_frames(short_side_px=32))
                    assert num_frames <= 120
                    video.frames_at([video.frame_times_s[len(video.frame_times_s) // 2]])
            except MediaError as error:
                assert path.name in str(error)


def test_padding_is_counted_and_silent(files):
    with open_video(files["sound 0.7 s late"]) as video:
        sound = video.sound(start_s=0.0, duration_s=1.0, rate_hz=44100)
        assert sound.padded_before == pytest.approx(
            0.7 * 44100, abs=1100
        )  # AAC's run-up is in the file
        assert not sound.samples[0, : sound.padded_before].any()
    with open_video(files["sound ends early"]) as video:
        sound = video.sound(start_s=1.5, duration_s=1.0, rate_hz=16000)
        # AAC frames are 23 ms: what follows the cut inside the last one counts as sound.
        assert sound.padded_after == pytest.approx(0.8 * 16000, abs=0.024 * 16000)
        beyond = video.sound(start_s=2.5, duration_s=0.5, rate_hz=16000)
        assert beyond.padded_after == 8000 and not np.asarray(beyond).any()


@pytest.mark.parametrize("rates", [(48000, 16000), (44100, 16000), (22050, 48000), (8000, 44100)])
def test_a_resampled_tone_lies_on_the_grid(rates):
    native_hz, rate_hz = rates
    margin = round(0.05 * rate_hz)
    first = round((0.3 - margin / rate_hz) * native_hz)
    n = int(np.ceil((rate_hz // 2 + 2 * margin) * native_hz / rate_hz)) + 2
    tone = np.sin(2 * np.pi * 440 * (first + np.arange(n)) / native_hz).astype(np.float32)
    sound = cut(
        tone, native_hz=native_hz, margin=margin, begin=None, end=None, start_s=0.3,
        num_samples=rate_hz // 2, rate_hz=rate_hz,
    )  # fmt: skip
    truth = np.sin(2 * np.pi * 440 * (0.3 + np.arange(rate_hz // 2) / rate_hz))
    late_s = 0.5 / native_hz + 1e-5
    assert np.abs(sound.samples[0] - truth).max() < 2 * np.pi * 440 * late_s


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize(
    ("space", "height", "weights"),
    [
        (1, 64, (0.2126, 0.0722)),
        (5, 64, (0.299, 0.114)),
        (2, 64, (0.299, 0.114)),
        (2, 720, (0.2126, 0.0722)),
        (5, 720, (0.299, 0.114)),
    ],
)
def test_colour_by_its_definition(space, height, weights, full):
    rng = np.random.default_rng(0)
    planes = [
        np.kron(
            rng.integers(*bounds, (height // 16, 8)), np.ones((16 // scale, 16 // scale))
        ).astype(np.uint8)
        for bounds, scale in (((40, 210), 1), ((90, 160), 2), ((90, 160), 2))
    ]
    frame = VideoFrame(128, height, "yuv420p")
    for plane, values in zip(frame.planes, planes, strict=True):
        into = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
        into[:, : values.shape[1]] = values
    frame.colorspace, frame.color_range = space, 2 if full else 1
    y, u, v = (
        values.astype(float) if k == 0 else values.repeat(2, 0).repeat(2, 1).astype(float) - 128
        for k, values in enumerate(planes)
    )
    if not full:
        y, u, v = (y - 16) * 255 / 219, u * 255 / 224, v * 255 / 224
    red, blue = weights
    r, b = y + 2 * (1 - red) * v, y + 2 * (1 - blue) * u
    g = (y - red * r - blue * b) / (1 - red - blue)
    truth = np.clip(np.stack([r, g, b], -1), 0, 255)
    found = to_rgb24(VideoReformatter(), frame, 128, height, _PLAIN)
    assert np.abs(found - truth).max() < 3  # FFmpeg's fast converter rounds three times


def test_geometry():
    from fractions import Fraction

    wide = Geometry(coded_width_px=320, coded_height_px=240, pixel_aspect=Fraction(4, 3))
    assert wide.upright_size == (427, 240) and wide.scaled_size(120) == (214, 120)
    tall = Geometry(coded_width_px=320, coded_height_px=240, pixel_aspect=Fraction(1, 2), turns=1)
    assert tall.upright_size == (480, 320)


def test_turned_pictures_match_the_command_line(files):
    import subprocess

    import imageio_ffmpeg

    for name in ("turned 90", "turned 180", "turned 270", "mirrored"):
        command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", str(files[name]),
                   "-frames:v", "1", "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]  # fmt: skip
        raw = subprocess.run(command, capture_output=True, check=True).stdout
        with open_video(files[name]) as video:
            ours = video.frames_by_index([0])[0].transpose(1, 2, 0)
        theirs = np.frombuffer(raw, np.uint8).reshape(ours.shape).astype(int)
        assert np.abs(theirs - ours).mean() < 4  # their colour conversion smooths chroma


class TestRealFiles:
    def test_broken_ones(self, shared):
        with open_video(shared / "broken" / "corrupted.mp4") as video:
            assert video.info.num_frames_claimed == 50
            assert video.num_frames == 28 and video.damage
            assert sum(1 for _ in video.iter_frames(short_side_px=32)) == 28
        with open_video(shared / "broken" / "unordered.mov") as video:
            assert video.num_frames == 4 and (np.diff(video.frame_times_s) > 0).all()
        sizes = {"0": (568, 320), "90": (320, 568), "180": (568, 320), "270": (320, 568)}
        pictures = {}
        for turn, size in sizes.items():
            with open_video(shared / "broken" / f"video_{turn}.mov") as video:
                assert (video.info.width_px, video.info.height_px) == size
                pictures[turn] = video.frames_by_index([0])[0].astype(int)

    def test_the_band_is_the_same_in_every_container(self, shared):
        times_s = np.asarray([5.0, 20.0, 41.3])
        truth = loud = None
        names = [path for path in sorted((shared / "containers").glob("band.*"))]
        for path in [shared / "videos" / "band.mp4", *names]:
            if path.suffix == ".ogv":
                continue  # FFmpeg itself cannot decode this Theora stream beyond six frames
            with open_video(path) as video:
                start_s = video.frame_times_s[0]
                assert 1440 <= video.num_frames <= 1441
                small = video.frames_at(start_s + times_s + 0.02, short_side_px=48)
                small = small[:, :, :48, :58].astype(int)
                sound = video.sound(start_s=start_s + 10, duration_s=5, rate_hz=8000)
            level = np.abs(sound.samples[0]).reshape(100, -1).mean(1)
            truth, loud = (small, level) if truth is None else (truth, loud)
            assert np.abs(small - truth).mean() < 12, path.name
            # MP3 in AVI comes with its encoder's delay (50 ms, one step here): AVI cannot tell it.
            # Telephone speech coding (3gp) leaves little of the music.
            steps = [np.corrcoef(np.roll(level, -k), loud)[0, 1] for k in (-1, 0, 1)]
            assert max(steps) > (0.3 if path.suffix == ".3gp" else 0.8), path.name
