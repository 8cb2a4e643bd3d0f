"""Sounds start when the truth says, and picture and sound keep one clock in the file."""

from pathlib import Path

import av
import numpy as np
import pytest

from avssl.world import ClipSpec
from avssl.world.clip import stage
from avssl.world.make import sound_of
from avssl.world.synth import KINDS, RATE_HZ, Note, draw_voice, play


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(3))
def test_energy_rises_within_5_ms_of_the_note_and_not_before(kind: str, seed: int):
    rng = np.random.default_rng(seed)
    voice = draw_voice(rng, kind)
    at_s = 0.4 + 0.01 * seed
    note = Note(time_s=at_s, strength=0.8, pitch=0.3)
    sound = play(rng, kind, voice, [note], num_samples=RATE_HZ)
    start, window = round(at_s * RATE_HZ), RATE_HZ // 200
    assert not np.any(sound[:start])
    peak = np.abs(sound).max()
    assert np.abs(sound[start : start + window]).max() > 0.1 * peak


@pytest.mark.parametrize("index", [0, 1, 4, 6, 9])
def test_onsets_of_the_truth_are_where_the_sound_gets_louder(index: int):
    staged = stage(ClipSpec(seed=2, split="train", index=index, short_side_px=64, duration_s=4.0))
    notes = [note for placed in staged.things for note in placed.notes] or list(staged.steps)
    sound = sound_of(staged)[0]
    assert len(sound) == round(len(staged.times_s) / 25 * RATE_HZ)
    window = RATE_HZ // 200  # 5 ms
    rising = 0
    used = [note for note in notes if 0.05 < note.time_s < len(sound) / RATE_HZ - 0.05]
    for note in used:
        start = round(note.time_s * RATE_HZ)
        high = np.diff(sound)  # differences lift the attack over what still rings
        before = np.abs(high[start - window : start]).max()
        after = np.abs(high[start : start + window]).max()
        rising += after > 1.2 * before
    assert len(used) >= 3
    assert rising >= 0.8 * len(used)


def test_the_mp4_plays_every_sample_and_frame_at_its_time(small_world: Path):
    """The decoded sound matches the synthesised one best at a lag below 1 ms."""
    for index in (0, 1, 2):
        spec = ClipSpec(seed=5, split="train", index=index, short_side_px=64, duration_s=2.0)
        made = sound_of(stage(spec))[0]
        with av.open(str(small_world / "train" / f"{spec.clip_id}.mp4")) as container:
            audio = container.streams.audio[0]
            pieces, start_s = [], None
            for frame in container.decode(audio):
                assert frame.pts is not None and frame.time is not None
                start_s = frame.time if start_s is None else start_s
                pieces.append(frame.to_ndarray()[0])
        heard = np.concatenate(pieces)
        assert start_s is not None
        # Put both on one clock, then look for the shift at which they agree best.
        offset = round(start_s * RATE_HZ)
        length = min(len(made), len(heard) + offset) - 2 * RATE_HZ // 10
        lags = range(-96, 97)
        part = made[4800 : 4800 + length - 4800]
        scores = [float(np.dot(part, heard[4800 - offset + lag :][: len(part)])) for lag in lags]
        assert abs(lags[int(np.argmax(scores))]) <= RATE_HZ // 1000
        with av.open(str(small_world / "train" / f"{spec.clip_id}.mp4")) as container:
            times = [frame.time for frame in container.decode(video=0)]
        np.testing.assert_allclose(times, np.arange(len(times)) / 25, atol=1e-6)
        assert len(times) == len(stage(spec).times_s)


def test_what_is_seen_meets_what_is_heard():
    """At every bounce of a ball its lowest point is on the floor (100 frames a second)."""
    checked = 0
    for index in range(40):
        spec = ClipSpec(
            seed=4, split="train", index=index, short_side_px=64, fps=100, duration_s=2.0
        )
        if index % 10 != 4:  # clips of things alone
            continue
        staged = stage(spec)
        for placed in staged.things:
            own = np.flatnonzero(staged.solids.owners == placed.owner)
            if placed.thing.kind != "ball" or not placed.notes:
                continue
            height = staged.solids.centres[:, own[0], 1] - staged.solids.sizes[own[0], 1]
            for note in placed.notes:
                if note.time_s < staged.times_s[-1]:
                    frame = round(note.time_s * 100)
                    low = height[max(frame - 1, 0) : frame + 2].min()
                    assert low < 0.035  # the ball moves up to 4 cm in 10 ms
                    checked += 1
    from avssl.world.clip import pool_thing
    from avssl.world.shapes import Standing, add_thing
    from avssl.world.solids import SolidBuilder
    from avssl.world.things import draw_rhythm, strike_point

    times_s = np.arange(400) / 100
    for kind in ("drum", "xylophone", "cymbal", "ball"):
        thing = pool_thing(0, "train", kind, 1)
        notes = draw_rhythm(np.random.default_rng(3), kind, duration_s=4.0)
        at = np.array([note.time_s for note in notes if note.time_s < 3.9])
        builder = SolidBuilder(num_frames=len(times_s))
        add_thing(builder, thing, Standing(place=np.zeros(3), turn=np.eye(3)), notes, times_s)
        solids = builder.build()
        if kind == "ball":
            gap = solids.centres[:, 0, 1] - solids.sizes[0, 1]
        else:
            head = next(
                n for n in range(len(solids.kinds))
                if np.allclose(solids.sizes[n], 0.032)
            )  # fmt: skip
            top = strike_point(thing, np.zeros(1))[0, 1]
            gap = solids.centres[:, head, 1] - 0.032 - top
        found = np.interp(at, times_s, gap)
        assert np.abs(found).max() < 0.03, kind
        assert gap.max() > 0.15, kind
        checked += len(at)
    assert checked > 20
