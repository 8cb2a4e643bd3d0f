"""Every back end on every kind of file: the right frame, or a refusal; sound within 1 ms."""

import sys

import numpy as np
import pytest

from avssl.decode import open_video
from avssl.decode.backends import missing_part
from avssl.errors import MediaError

conformance = sys.modules["conformance"]  # loaded by conftest.py
NAMES = [case.name for case in conformance.CASES]
BACKENDS = ("auto", "pyav", "decord", "torchcodec")
# Kinds for which a back end is known to give wrong frames: it must refuse them.
MUST_REFUSE = {
    "decord": (
        "h264 open GOP", "h264 intra refresh", "h265", "av1", "mpeg4 avi, B-frames",
        "mpeg4 avi, packed B-frames", "h264 MPEG-TS", "mpeg2 MPEG-TS", "mpeg2 MPEG-PS", "wmv",
        "edit list", "mirrored", "wide pixels", "10 bit h264", "10 bit h265", "truncated mp4",
    ),
    "torchcodec": (
        "h264 open GOP", "mpeg4 avi, B-frames", "mpeg4 avi, packed B-frames", "h264 MPEG-TS",
        "mpeg2 MPEG-TS", "mpeg2 MPEG-PS", "mirrored", "wide pixels", "truncated mp4",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("backend", BACKENDS)
def test_every_frame_is_the_right_one_or_refused(backend, name, files, kinds):
    if missing_part(backend if backend != "auto" else "pyav"):
        pytest.skip(f"{backend} does not work here: {missing_part(backend)}")
    case = kinds[name]
    if name in MUST_REFUSE.get(backend, ()):
        with pytest.raises(MediaError, match=r"refused|cannot open"):
            open_video(files[name], backend=backend)
        return
    try:
        video = open_video(files[name], backend=backend)
    except MediaError as error:
        assert backend not in ("auto", "pyav"), error
        assert "refused" in str(error)
        return
    with video:
        times_s = video.frame_times_s
        numbers = case.numbers
        if case.truncated:
            numbers = tuple(n for n in numbers if case.time_s(n) <= times_s[-1] + 1e-3)[
                : len(times_s)
            ]
            assert 30 < len(times_s) < len(case.numbers)
            assert video.damage
            # The last pictures before the cut may lack the ones they refer to.
            numbers = numbers[: len(times_s) - 3]
        else:
            assert len(times_s) == len(numbers)
            assert video.damage is None
        for index, number in enumerate(numbers):
            assert times_s[index] == pytest.approx(case.time_s(number), abs=case.tick_s)
        rng = np.random.default_rng(5)
        for places in (rng.permutation(len(numbers))[:30], [7, 3, 7, len(numbers) - 1]):
            pictures = video.frames_by_index(places)
            assert [case.number_of(picture) for picture in pictures] == [
                numbers[place] for place in places
            ]
        for place in rng.permutation(len(numbers))[:12]:
            middle_s = times_s[place] + 0.5 * video.frame_durations[place]
            (picture,) = video.frames_at([middle_s], short_side_px=96)
            assert min(picture.shape[1:]) == 96
            assert case.number_of(picture) == numbers[place]


@pytest.mark.parametrize("name", NAMES)
def test_sequential_and_random_reading_agree(name, files, kinds):
    case = kinds[name]
    with open_video(files[name], backend="pyav") as video:
        in_order = list(video.iter_frames())
        assert [time for time, _ in in_order] == pytest.approx(list(video.frame_times_s))
        height, width = in_order[0][1].shape[1:]
        assert (width, height) == (video.info.width_px, video.info.height_px)
        places = np.random.default_rng(3).permutation(len(in_order))[:15]
        pictures = video.frames_by_index(places)
        for place, picture in zip(places, pictures, strict=True):
            assert np.array_equal(picture, in_order[place][1])
        if not case.truncated:
            assert [case.number_of(picture) for _, picture in in_order] == list(case.numbers)


@pytest.mark.parametrize(
    "name", [case.name for case in conformance.CASES if case.sound and not case.truncated]
)
def test_sound_is_within_a_millisecond(name, files, kinds):
    case = kinds[name]
    with open_video(files[name]) as video:
        for true_s in case.bursts_s:
            for rate_hz in (16000, 44100):
                for before_s in (0.4, 0.123):
                    sound = video.sound(start_s=true_s - before_s, duration_s=0.5, rate_hz=rate_hz)
                    assert sound.samples.shape == (1, rate_hz // 2)
                    error_s = conformance.burst_error_s(
                        sound.samples[0], rate_hz=rate_hz, start_s=sound.start_s, true_s=true_s
                    )
                    assert abs(error_s) <= 1e-3
        blocks = list(video.iter_sound(rate_hz=16000, block_s=0.25))
        assert all(block.samples.shape == (1, 4000) for block in blocks[:-1])
        starts = [block.start_s for block in blocks]
        assert np.allclose(np.diff(starts), 0.25)
        whole = np.concatenate([block.samples[0] for block in blocks])
        for true_s in case.bursts_s:
            first = round((true_s - 0.3 - starts[0]) * 16000)
            error_s = conformance.burst_error_s(
                whole[first : first + 9600],
                rate_hz=16000,
                start_s=starts[0] + first / 16000,
                true_s=true_s,
            )
            assert abs(error_s) <= 1e-3


@pytest.mark.parametrize("backend", ["decord", "torchcodec"])
@pytest.mark.parametrize("name", ["h264 GOP 250", "vp9 webm", "h264 mkv", "turned 90"])
def test_back_ends_agree_within_two_levels(backend, name, files):
    if missing_part(backend):
        pytest.skip(f"{backend} does not work here: {missing_part(backend)}")
    with open_video(files[name], backend="pyav") as one, open_video(
        files[name], backend=backend
    ) as two:  # fmt: skip
        assert two.backend == backend
        places = [70, 3, 44]
        difference = one.frames_by_index(places).astype(int) - two.frames_by_index(places)
        assert np.abs(difference).max() <= 2
        # Scaled before or after the conversion: the same but for edges of colour.
        one_small, two_small = (
            video.frames_by_index(places, short_side_px=64).astype(int) for video in (one, two)
        )
        assert (
            np.abs(one_small - two_small).mean() < 4
        )  # hard coloured edges everywhere: the worst case
