"""Pairs of picture and sound: labels, places, distributions, and what the arrays hold."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import stats

from avssl.catalog import Catalog, ClipRow
from avssl.errors import InputError
from avssl.records import Clip, FrameSpan, Plan, Sound, SoundSpan
from avssl.sample import sample_rng
from avssl.transform.audio_visual import (
    MATCHED,
    OTHER_GROUP,
    SAME_FILE,
    AudioVisualPairs,
    middle_box,
)

MakeRow = Callable[..., ClipRow]
PAIRS = AudioVisualPairs()


def plans(task: AudioVisualPairs, catalog: Catalog, num: int, seed: int = 0) -> list[Plan]:
    items = task.items(catalog)
    return [
        task.sample(catalog, int(items[k % len(items)]), sample_rng(seed, 0, k)) for k in range(num)
    ]


def sound_of(plan: Plan) -> SoundSpan:
    span = plan.spans[1]
    assert isinstance(span, SoundSpan)
    return span


@pytest.fixture
def catalog(make_row: MakeRow) -> Catalog:
    """Groups of one, two and three clips, of other lengths and rates."""
    sizes = [(0, 150, 25.0), (1, 200, 25.0), (1, 100, 30.0), (2, 90, 24.0), (2, 120, 25.0),
             (2, 200, 30.0), (3, 175, 25.0), (4, 125, 25.0)]  # fmt: skip
    return Catalog.from_rows(
        [
            make_row(number=k, num_frames=num, fps=fps, group_id=f"g{group}")
            for k, (group, num, fps) in enumerate(sizes)
        ]
    )


def test_sound_of_another_file_can_be_as_late_as_the_picture(catalog: Catalog) -> None:
    """To one spot in both files, where that is asked for; else anywhere."""

    def off(task: AudioVisualPairs) -> np.ndarray:
        """How far the sound's place among its file's spots is from the picture's."""
        found = []
        for plan in plans(task, catalog, 500):
            if plan.target["kind"] != OTHER_GROUP:
                continue
            shares = []
            for index, time_s in (
                (plan.spans[0].row, plan.spans[0].times_s[0]),  # type: ignore
                (sound_of(plan).row, sound_of(plan).start_s + PAIRS.sound_s / 2),
            ):
                row = catalog.row(index)
                own = PAIRS.row_spots(row)
                frame = np.searchsorted(row.frame_times_s, time_s + 1e-6, side="right") - 1
                shares.append((np.searchsorted(own, frame) + 0.5) / len(own))
            found.append(shares[0] - shares[1])
        return np.abs(found)  # fmt: skip

    assert off(PAIRS).mean() > 0.2
    least = min(len(PAIRS.row_spots(catalog.row(k))) for k in range(len(catalog)))
    assert off(dataclasses.replace(PAIRS, match_place=True)).max() <= 1 / least


def test_mismatched_sound_is_from_the_beginning_only_to_show_the_leak(catalog: Catalog) -> None:
    """Clips of 3.3 to 8 s: half a second, and a quarter of the spots after it."""
    early = dataclasses.replace(PAIRS, balanced_places=False)
    latest = []
    for task in (PAIRS, early):
        made = plans(task, catalog, 500)
        latest.append(max(p.target["sound_place"] for p in made if p.target["kind"] == OTHER_GROUP))  # type: ignore[type-var]
    assert latest[0] > 0.8 and latest[1] < (0.5 + 0.25 * (3.3 - 1)) / 3.3 + 0.02


def test_pairs_are_what_their_label_says(catalog: Catalog) -> None:
    kinds = []
    for plan in plans(dataclasses.replace(PAIRS, same_file_share=0.4), catalog, 600):
        seen, heard = plan.spans
        assert isinstance(seen, FrameSpan) and isinstance(heard, SoundSpan)
        picture, source = catalog.row(seen.row), catalog.row(heard.row)
        frame = int(np.searchsorted(picture.frame_times_s, seen.times_s[0], side="right")) - 1
        seen_s = float(picture.frame_times_s[frame])
        middle_s = heard.start_s + heard.duration_s / 2
        # always on the frames of the sound's own file, and all of it inside the track
        on_grid = np.abs(source.frame_times_s - middle_s).min()
        assert on_grid < 1e-9
        assert heard.start_s >= -1e-9 and heard.start_s + 1 <= source.duration_s + 1e-9
        kind = plan.target["kind"]
        kinds.append(kind)
        assert plan.target["label"] == int(kind == MATCHED)
        if kind == MATCHED:
            assert heard.row == seen.row and abs(middle_s - seen_s) < 1e-9
        elif kind == SAME_FILE:
            assert heard.row == seen.row and abs(middle_s - seen_s) >= 2.0 - 1e-9
        else:
            assert source.group_id != picture.group_id
    counts = np.bincount(kinds, minlength=3)
    assert abs(counts[MATCHED] - 300) < 60 and counts[OTHER_GROUP] > counts[SAME_FILE] > 60


def heard_groups(catalog: Catalog, task: AudioVisualPairs, label: int) -> np.ndarray:
    found = [p for p in plans(task, catalog, 8000) if p.target["label"] == label]
    names = [catalog.row(sound_of(p).row).group_id for p in found]
    return np.array([names.count(f"g{k}") for k in range(5)])


def test_every_group_is_heard_as_often_in_both_kinds_of_pairs(catalog: Catalog) -> None:
    together, apart = (heard_groups(catalog, PAIRS, label) for label in (1, 0))
    assert stats.chi2_contingency(np.stack([together, apart])).pvalue > 1e-3
    careless = dataclasses.replace(PAIRS, balanced_groups=False)
    together, apart = (heard_groups(catalog, careless, label) for label in (1, 0))
    assert stats.chi2_contingency(np.stack([together, apart])).pvalue < 1e-6


@pytest.mark.parametrize("name", ["frame_phase", "packet_phase", "sound_place"])
@pytest.mark.parametrize("same_file_share", [0.0, 1.0])
def test_start_times_have_one_distribution(
    make_row: MakeRow, name: str, same_file_share: float
) -> None:
    rows = [make_row(number=k, num_frames=150 + 7 * k, fps=(25.0, 29.97)[k % 2]) for k in range(6)]
    catalog = Catalog.from_rows(rows)
    task = dataclasses.replace(PAIRS, same_file_share=same_file_share)

    def values(task: AudioVisualPairs, label: int) -> np.ndarray:
        found = [p.target for p in plans(task, catalog, 6000) if p.target["label"] == label]
        return np.array([target[name] for target in found], dtype=np.float64)

    def phases_alike(task: AudioVisualPairs) -> float:
        # a phase of 0.9999 and one of 0 are the same: half a turn away from the edge
        one, other = (np.round((values(task, k) + 0.25) % 1, 6) for k in (0, 1))
        return float(stats.ks_2samp(one, other).pvalue)

    assert phases_alike(task) > 1e-3
    if name == "frame_phase":
        assert set(np.round(values(task, 0), 6)) <= {0.0, 1.0}
        assert phases_alike(dataclasses.replace(task, on_grid=False)) < 1e-6


def test_one_group_is_paired_with_other_times_of_its_files(make_row: MakeRow) -> None:
    rows = [make_row(number=k, num_frames=num, fps=25.0, group_id="g")
            for k, num in enumerate((200, 60))]  # fmt: skip
    task, catalog = PAIRS, Catalog.from_rows(rows)
    assert set(task.items(catalog)) == {0}  # the second is too short to have two times
    kinds = {plan.target["kind"] for plan in plans(task, catalog, 50)}
    assert kinds == {MATCHED, SAME_FILE}
    with pytest.raises(InputError, match=r"one group.*smaller apart_s"):
        task.items(Catalog.from_rows(rows[1:]))
    with pytest.raises(InputError, match=r"none of 1 clips has 1 s of sound"):
        task.items(Catalog.from_rows([make_row(sound_state="silent")]))


def test_a_report_says_where_sound_is_of_the_same_file(make_row: MakeRow) -> None:
    long = {"num_frames": 200, "fps": 25.0}
    alone = Catalog.from_rows([make_row(number=k, group_id="g", **long) for k in range(3)])
    assert PAIRS.remark(alone) == (
        "3 of 3 clips have no partner of another group: their mismatched sound is of another time "
        "of the same file, 2 s away or more"
    )
    assert PAIRS.remark(Catalog.from_rows([make_row(number=k, **long) for k in range(3)])) == ""


def test_partners_have_the_same_format_where_they_can(make_row: MakeRow) -> None:
    rates = [48_000, 48_000, 48_000, 16_000, 16_000, 8_000]
    rows = [
        make_row(number=k, num_frames=120, sound_rate_hz=rate, sound_num_samples=4 * rate)
        for k, rate in enumerate(rates)
    ]
    catalog = Catalog.from_rows(rows)
    partners: dict[int, set[int]] = {}
    for plan in plans(PAIRS, catalog, 600):
        if plan.target["kind"] == OTHER_GROUP:
            partners.setdefault(plan.spans[0].row, set()).add(sound_of(plan).row)
    assert partners[0] == {1, 2} and partners[3] == {4} and 5 not in partners
    mixed = plans(dataclasses.replace(PAIRS, match_format=False), catalog, 600)
    assert any(p.spans[0].row == 0 and sound_of(p).row == 4 for p in mixed)


def clips_of(plan: Plan, *, level: float = 0.01, num: int = 1) -> list[Clip]:
    columns = np.broadcast_to(np.arange(128, dtype=np.uint8), (num, 3, 96, 128)).copy()
    wave = level * np.sin(np.arange(16_000) / 5).astype(np.float32) + 0.2
    sound = Sound(samples=wave[None].astype(np.float32), rate_hz=16_000, start_s=0.0)
    return [Clip(frames=columns, times_s=np.zeros(num)), Clip(sound=sound)]


def shown(task: AudioVisualPairs, catalog: Catalog, seed: int = 0, **knobs: Any) -> dict[str, Any]:
    plan = plans(task, catalog, 1)[0]
    rng = np.random.default_rng(seed)
    return dict(task.transform(clips_of(plan, **knobs), plan, rng).arrays)


def test_sound_is_made_equally_loud(catalog: Catalog) -> None:
    quiet = dataclasses.replace(PAIRS, volume_jitter=0.0)
    for level in (0.001, 0.01, 0.3):
        samples = shown(quiet, catalog, level=level)["sound"]
        assert np.sqrt(np.mean(samples.astype(np.float64) ** 2)) == pytest.approx(0.1, rel=1e-5)
        assert abs(samples.mean()) < 1e-6 and samples.dtype == np.float32
    as_it_is = shown(dataclasses.replace(quiet, equal_loudness=False), catalog, level=0.3)
    assert np.array_equal(
        as_it_is["sound"], clips_of(plans(PAIRS, catalog, 1)[0], level=0.3)[1].sound.samples[0]
    )  # type: ignore[union-attr]
    assert not shown(quiet, catalog, level=0.0)["sound"].any()  # silence stays silence
    factors = [
        np.sqrt(np.mean(shown(PAIRS, catalog, seed)["sound"].astype(np.float64) ** 2)) / 0.1
        for seed in range(40)
    ]
    assert 0.9 <= min(factors) < 0.93 and 1.07 < max(factors) <= 1.1


def test_held_out_pictures_are_the_middle_unchanged(make_row: MakeRow) -> None:
    rows = [make_row(number=k, num_frames=120, split="validation") for k in range(3)]
    catalog = Catalog.from_rows(rows)
    task = dataclasses.replace(PAIRS, size_px=96)
    frames = shown(task, catalog)["frames"]
    assert frames.shape == (3, 96, 96)
    assert np.array_equal(frames[0, 0], np.arange(16, 112))  # 96 columns in the middle of 128
    assert np.array_equal(frames, shown(task, catalog, seed=5)["frames"])
    assert middle_box(96, 128, (10, 0, 0, 6)) == (24.0, 0.0, 90.0)


def test_clips_of_pictures(catalog: Catalog) -> None:
    task = dataclasses.replace(PAIRS, clip_frames=5, clip_step_s=0.1)
    plan = plans(task, catalog, 1)[0]
    assert np.allclose(np.diff(plan.spans[0].times_s), 0.1)  # type: ignore[union-attr]
    assert shown(task, catalog, num=5)["frames"].shape == (3, 5, 96, 96)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sound_s": 0.0}, "sound_s"),
        ({"positive_share": 0.0}, "positive_share"),
        ({"same_file_share": 1.5}, "same_file_share"),
        ({"crop_scale": (0.0, 1.0)}, "crop_scale"),
        ({"clip_frames": 0}, "clip_frames"),
    ],
)
def test_knobs_out_of_range_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        AudioVisualPairs(**changes)


def test_what_is_mixed_in_is_of_a_third_group_whatever_the_label(catalog: Catalog) -> None:
    task = dataclasses.replace(PAIRS, mix_share=0.4, mix_db=(-6.0, -6.0))
    mixed: dict[int, list[bool]] = {0: [], 1: []}
    for plan in plans(task, catalog, 3000):
        mixed[int(plan.target["label"])].append(len(plan.spans) == 3)  # type: ignore[arg-type]
        if len(plan.spans) == 3:
            third, heard = plan.spans[2], sound_of(plan)
            assert isinstance(third, SoundSpan) and third.duration_s == heard.duration_s
            groups = [catalog.row(span.row).group_id for span in (third, heard)]
            assert groups[0] != groups[1]
            row = catalog.row(third.row)  # on the grid of its own frames, as all sound
            step = (third.start_s + 0.5 - row.start_s) / row.step_s
            assert step == pytest.approx(round(step), abs=1e-6)
    assert np.mean(mixed[0]) == pytest.approx(0.4, abs=0.05)
    assert np.mean(mixed[1]) == pytest.approx(0.4, abs=0.05)
    # without mixing nothing else is drawn than before
    plain = plans(PAIRS, catalog, 5)
    assert [plan.spans for plan in plain] == [
        plan.spans[:2] for plan in plans(dataclasses.replace(task, mix_share=1e-9), catalog, 5)
    ]


def test_a_background_is_as_loud_as_asked(catalog: Catalog) -> None:
    task = dataclasses.replace(
        PAIRS, mix_share=1.0, mix_db=(-6.0, -6.0), volume_jitter=0.0, equal_loudness=False
    )
    plan = plans(task, catalog, 1)[0]
    time = np.arange(16_000) / 16_000
    tones = [(0.1 * np.sin(2 * np.pi * hz * time)).astype(np.float32) for hz in (440, 1000)]
    tones[1] *= 7
    heard = [Clip(sound=Sound(samples=tone[None], rate_hz=16_000, start_s=0.0)) for tone in tones]
    clips = [clips_of(plan)[0], *heard]
    samples = task.transform(clips, plan, np.random.default_rng(0)).arrays["sound"]
    power = np.abs(np.fft.rfft(samples.astype(float))) ** 2
    assert 10 * np.log10(power[1000] / power[440]) == pytest.approx(-6.0, abs=0.01)
    silence = Clip(sound=Sound(samples=0 * tones[0][None], rate_hz=16_000, start_s=0.0))
    alone = task.transform([clips[0], heard[0], silence], plan, np.random.default_rng(0))
    assert np.array_equal(alone.arrays["sound"], tones[0])
