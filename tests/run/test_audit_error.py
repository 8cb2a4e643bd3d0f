"""Errors over groups: against slow second ways, and false alarms counted in simulations."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import roc_auc_score

from avssl.run.audit_error import (
    belongs_to_groups,
    found_from,
    group_error,
    guess_error,
    guess_parts,
    interval,
    macro_auc,
    margin,
    num_alike,
    true_parts,
)
from avssl.run.audit_probes import Asked, classes_of, judge

Samples = tuple[np.ndarray, np.ndarray, np.ndarray]
"""label [N], sure [N, K], group [N]."""


def area(label: np.ndarray, sure: np.ndarray, weight: np.ndarray) -> float:
    """The macro AUC pair by pair, samples counted by weight."""
    found = []
    for k in range(sure.shape[1]):
        own, other = np.flatnonzero(label == k), np.flatnonzero(label != k)
        above = np.sign(sure[own, k][:, None] - sure[other, k]) / 2 + 0.5
        pair = weight[own][:, None] * weight[other]
        found.append((above * pair).sum() / pair.sum())
    return float(np.mean(found))


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 4), st.booleans())
def test_parts_are_what_each_sample_adds_and_how_it_moves_the_figure(
    seed: int, count: int, tied: bool
) -> None:
    rng = np.random.default_rng(seed)
    label = np.r_[np.arange(count), rng.integers(0, count, 25)]
    sure = rng.random((len(label), count))
    sure = np.round(3 * sure) if tied else sure
    even = np.ones(len(label))
    truth = np.mean([roc_auc_score(label == k, sure[:, k]) for k in range(count)])
    assert area(label, sure, even) == pytest.approx(truth)
    assert guess_parts(label, sure).sum() == pytest.approx(truth - 0.5)
    assert macro_auc(label, sure) == pytest.approx(truth)
    found = true_parts(label, sure)
    assert found.sum() == pytest.approx(0)
    for one in range(len(label)):  # the slope of the figure over a sample's weight
        moved = [area(label, sure, even + step * (np.arange(len(label)) == one))
                 for step in (-1e-4, 1e-4)]  # fmt: skip
        assert found[one] == pytest.approx((moved[1] - moved[0]) / 2e-4, abs=1e-6)


def test_for_two_classes_and_like_groups_the_error_is_obuchowskis() -> None:
    rng = np.random.default_rng(0)
    num, each = 12, 8
    group = np.repeat(np.arange(num), each)
    label = np.tile(np.r_[np.zeros(3, int), np.ones(5, int)], num)
    score = rng.normal(size=num)[group] + label + rng.normal(size=len(label))
    ones, zeros = score[label == 1], score[label == 0]
    auc = np.mean(ones[:, None] > zeros)
    of_ones, of_zeros = np.zeros(num), np.zeros(num)
    for k in range(num):
        of_ones[k] = sum(np.mean(x > zeros) for x in score[(group == k) & (label == 1)])
        of_zeros[k] = sum(np.mean(ones > y) for y in score[(group == k) & (label == 0)])
    a, b = of_ones - 5 * auc, of_zeros - 3 * auc
    scale = num / (num - 1)
    m, n = len(ones), len(zeros)
    variance = scale * ((a @ a) / m**2 + (b @ b) / n**2 + 2 * (a @ b) / (m * n))
    error, freedom = group_error(true_parts(label, np.stack([-score, score], 1)), group)
    assert error == pytest.approx(np.sqrt(variance)) and freedom == pytest.approx(num - 2)


def test_groups_of_different_sizes_count_as_fewer() -> None:
    assert num_alike(np.array([5, 5, 5])) == pytest.approx(3)
    assert num_alike(np.array([90, 5, 5])) == pytest.approx(100**2 / (90**2 + 50))
    parts, one = np.ones(40) / 40, np.zeros(40, int)
    assert group_error(parts, one)[0] == np.inf  # of one group nothing can be said
    assert margin(0.05, error=0.01, grouped=np.inf, freedom=0.5) == np.inf
    # alike in every group, in proportion to its size: no spread, whatever the sizes
    sizes = np.repeat(np.arange(4), [4, 8, 12, 16])
    assert group_error(parts, sizes)[0] == pytest.approx(0, abs=1e-15)


def drawn(num: int, each: int, rng: np.random.Generator, *, even: bool) -> np.ndarray:
    share = np.ones(num) if even else rng.exponential(1, num) + 0.2
    return np.sort(rng.choice(num, num * each, p=share / share.sum()))


def per_sample(group: np.ndarray, count: int, rng: np.random.Generator) -> Samples:
    """Answers drawn anew; the numbers name the clip, but for a little."""
    sure = rng.normal(size=(group.max() + 1, count))[group]
    sure += 0.3 * rng.normal(size=sure.shape)
    return rng.integers(0, count, len(group)), sure, group


def per_clip(group: np.ndarray, count: int, rng: np.random.Generator) -> Samples:
    """Answers and numbers are the clip's."""
    label = rng.permutation(np.arange(group.max() + 1) % count)[group]
    return label, rng.normal(size=(group.max() + 1, count))[group], group


def sizes(group: np.ndarray, count: int, rng: np.random.Generator) -> Samples:
    """A number that is much the clip's, above its median or not."""
    size = rng.normal(size=group.max() + 1)[group] + 0.3 * rng.normal(size=len(group))
    guess = rng.normal(size=group.max() + 1)[group]
    return classes_of(size.tolist()).label, np.stack([-guess, guess], axis=1), group


def alarms(
    make: Callable[..., Samples], num: int, count: int, *, chance: float, even: bool
) -> tuple[float, float]:
    """How often a guess counts: by the larger of both errors, and by the exact one alone."""
    rng = np.random.default_rng([num, count, even])
    larger, alone, tries = 0, 0, 500
    for _ in range(tries):
        label, sure, group = make(drawn(num, 12, rng, even=even), count, rng)
        if len(np.unique(label)) < count:
            continue
        above, error = macro_auc(label, sure) - 0.5, guess_error(label, sure)
        grouped, freedom = group_error(guess_parts(label, sure), group)
        larger += above > margin(chance, error=error, grouped=grouped, freedom=freedom)
        alone += above > margin(chance, error=error, grouped=0.0, freedom=0.0)
    return larger / tries, alone / tries


@pytest.mark.parametrize("even", [True, False])
@pytest.mark.parametrize("num", [5, 30])  # the judged half of 10 and of 60 clips
@pytest.mark.parametrize(
    ("make", "count"), [(per_sample, 2), (per_sample, 4), (per_clip, 2), (per_clip, 4), (sizes, 2)]
)
def test_false_alarms_are_as_rare_as_said(
    make: Callable[..., Samples], count: int, num: int, even: bool
) -> None:
    rate, alone = alarms(make, num, count, chance=0.05, even=even)
    assert rate < 0.05 + 3.5 * np.sqrt(0.05 * 0.95 / 500)
    if make is per_sample:  # the exact error alone is right where answers are drawn anew …
        assert abs(alone - 0.05) < 3.5 * np.sqrt(0.05 * 0.95 / 500)
    else:  # … and wrong where they belong to the clip
        assert alone > 0.2


def asked_of(label: np.ndarray) -> Asked:
    return classes_of(label.tolist())


def told(num: int, *, strength: float, of_clip: bool, seed: int) -> bool:
    """Whether classifiers fitted to half of the clips tell the answer on the others."""
    rng = np.random.default_rng([num, seed])
    clip = np.repeat(np.arange(num), 20)
    own = np.r_[rng.permutation(num // 2) % 2, rng.permutation(num - num // 2) % 2]
    answer = own[clip] if of_clip else rng.integers(0, 2, len(clip))
    number = rng.normal(size=num)[clip] + strength * answer
    one = judge(asked_of(answer), number[:, None], num_fit=len(clip) // 2, groups=clip)
    assert one.num_groups == num // 2
    return one.best - 0.5 > one.margin(0.05 / 2)


@pytest.mark.parametrize("of_clip", [True, False])
@pytest.mark.parametrize("num", [10, 60])
def test_classifiers_on_other_clips_neither_blame_nor_miss(num: int, of_clip: bool) -> None:
    assert sum(told(num, strength=0.0, of_clip=of_clip, seed=k) for k in range(12)) <= 2
    found = sum(told(num, strength=4.0, of_clip=of_clip, seed=k) for k in range(12))
    # of five clips, two against three, one guess in ten is right throughout: nothing can be said
    assert found >= 11 if num == 60 or not of_clip else found <= 8


@pytest.mark.parametrize(("num", "most"), [(8, 1.0), (40, 0.93)])
def test_a_leak_of_the_stated_size_is_found_in_four_of_five(num: int, most: float) -> None:
    """Two normal distributions so far apart that the true figure is the one stated."""
    rng = np.random.default_rng(num)
    group, chance = np.repeat(np.arange(num), 40), 0.01

    def made(apart: float) -> tuple[float, float, float]:
        clip = 0.6 * rng.normal(size=(2, num))  # answers of each clip are shifted by themselves
        label = rng.integers(0, 2, len(group))
        score = apart * label + clip[label, group] + rng.normal(size=len(group))
        sure = np.stack([-score, score], axis=1)
        return (macro_auc(label, sure) - 0.5, *group_error(guess_parts(label, sure), group))

    error = float(np.sqrt(np.mean([made(0.0)[1] ** 2 for _ in range(60)])))
    away = found_from(chance, error=0.0, grouped=error, freedom=num - 2.0)
    apart = float(stats.norm.ppf(0.5 + away)) * np.sqrt(2 * (1 + 0.6**2))
    tries = [made(apart) for _ in range(150)]
    found = [above > margin(chance, error=0.0, grouped=spread, freedom=freedom)
             for above, spread, freedom in tries]  # fmt: skip
    assert 0.67 < np.mean(found) <= most


def test_intervals_hold_over_groups() -> None:
    """95 % of them hold the true difference of two scores, one of which is worse by noise."""
    rng = np.random.default_rng(6)
    num, holds = 15, []
    truth = stats.norm.cdf(1 / np.sqrt(2 * 1.25)) - stats.norm.cdf(1 / np.sqrt(2 * 2.25))
    for _ in range(200):
        group = np.repeat(np.arange(num), 12)
        label = rng.integers(0, 2, len(group))
        clip = 0.5 * rng.normal(size=num)[group]
        good = label + clip + rng.normal(size=len(group))
        poor = good + rng.normal(size=num)[group]
        pair = [np.stack([-x, x], axis=1) for x in (good, poor)]
        value = macro_auc(label, pair[0]) - macro_auc(label, pair[1])
        parts = true_parts(label, pair[0]) - true_parts(label, pair[1])
        low, high = interval(value, parts, group)
        holds.append(low < truth < high)
    assert 0.89 < np.mean(holds) <= 1.0


def test_answers_that_belong_to_clips_are_told_from_those_drawn_anew() -> None:
    rng = np.random.default_rng(7)
    group = np.repeat(np.arange(25), 40)
    anew = [belongs_to_groups(rng.integers(0, 3, 1000), group, seed=k) for k in range(60)]
    assert sum(anew) <= 1
    assert belongs_to_groups(group % 2, group)
    tilted = (rng.random(1000) < (0.5 + 0.3 * rng.normal(size=25).clip(-1, 1))[group]).astype(int)
    assert belongs_to_groups(tilted, group)
