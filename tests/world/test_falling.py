"""Thrown balls against the laws of motion: energy, times of flight, rest."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avssl.world.clip import ClipSpec, stage
from avssl.world.falling import GRAVITY_M_S2, Throw, draw_throw, path_of


def test_a_dropped_ball_bounces_as_the_worked_example_says() -> None:
    throw = Throw(start_s=1.0, from_m=(0.0, 1.22625), speed_m_s=(0.0, 0.0), bounce=0.7, drag=1.0,
                  brake_m_s2=1.0)  # fmt: skip
    times_s = np.arange(0, 4, 1e-4)
    way, height = path_of(throw, times_s)
    assert np.isnan(way[times_s < 1.0 - 1e-9]).all() and (way[times_s > 1.0] == 0).all()
    after = times_s - 1.0
    assert height[np.searchsorted(after, 0.25)] == pytest.approx(
        1.22625 - 0.5 * GRAVITY_M_S2 * 0.0625, abs=1e-3
    )
    first = (after > 0.5) & (after < 0.5 + 0.7)
    assert height[first].max() == pytest.approx(0.6009, abs=1e-3)  # 1.22625 · 0.7²
    assert after[first][height[first].argmax()] == pytest.approx(0.5 + 0.35, abs=2e-3)
    second = (after > 1.2) & (after < 1.2 + 0.49)
    assert height[second].max() == pytest.approx(0.2944, abs=1e-3)


@given(seed=st.integers(0, 10_000))
def test_energy_never_rises_and_all_comes_to_rest(seed: int) -> None:
    throw = draw_throw(np.random.default_rng(seed), start_s=0.0, middle_x=0.0)
    step_s = 1e-3
    way, height = path_of(throw, np.arange(0, 20, step_s))
    assert (height >= 0).all()
    assert np.abs(np.diff(way)).max() / step_s <= abs(throw.speed_m_s[0]) + 1e-6  # no jumps
    speed = np.stack([np.diff(way), np.diff(height)]) / step_s
    middle = (height[1:] + height[:-1]) / 2
    energy = GRAVITY_M_S2 * middle + (speed**2).sum(axis=0) / 2
    hits = np.abs(np.diff(speed[1])) > 0.05  # steps that hold a bounce have no one speed
    calm = np.ones(len(energy), bool)
    calm[1:][hits] = False
    calm[:-1][hits] = False
    assert (np.diff(energy[calm]) < 1e-3).all()
    assert way[-1] == way[-1000] and height[-1000:].max() == 0


def test_balls_are_thrown_in_this_theme_alone() -> None:
    found = {
        theme: [stage(ClipSpec(seed=0, split="train", index=n, short_side_px=64, theme=theme))
                for n in range(6)]
        for theme in ("falls", "sounds")
    }  # fmt: skip
    thrown = [clip.distractors.count("thrown ball") for clip in found["falls"]]
    assert min(thrown) >= 16 and max(thrown) <= 24 and len(set(thrown)) > 1
    assert not any("thrown ball" in clip.distractors for clip in found["sounds"])
    assert all(len(clip.things) == 1 and clip.things[0].notes for clip in found["falls"])
