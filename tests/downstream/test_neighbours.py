"""Search against a program that looks at every pair, votes, recalls in closed form, turned hue."""

import colorsys

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier

from avssl.downstream.neighbours import (
    Found,
    draw_windows,
    first_of_each,
    hits,
    overlap,
    random_recall,
    search,
    turn_hue,
    votes,
)


def slow(queries, gallery, top, groups, gallery_groups, *, cosine):
    """Every pair, one by one."""
    lists = []
    for query, group in zip(queries.astype(float), groups, strict=True):
        near = []
        for number, (one, other) in enumerate(
            zip(gallery.astype(float), gallery_groups, strict=True)
        ):
            if other == group:
                continue
            value = -((query - one) ** 2).sum()
            if cosine:
                value = query @ one / np.linalg.norm(query) / np.linalg.norm(one)
            near.append((value, number))
        near.sort(reverse=True)
        found = [number for _, number in near[:top]]
        lists.append(found + [-1] * (top - len(found)))
    return np.array(lists)


@pytest.mark.parametrize("cosine", [True, False])
@pytest.mark.parametrize("part", [7, 1000])
def test_search_against_every_pair(cosine: bool, part: int) -> None:
    rng = np.random.default_rng(0)
    queries = rng.standard_normal((9, 5)).astype(np.float32)
    gallery = rng.standard_normal((40, 5)).astype(np.float32)
    own, theirs = rng.integers(0, 4, 9), rng.integers(0, 4, 40)
    found = search(
        queries, gallery, top=6, query_groups=own, gallery_groups=theirs, cosine=cosine, part=part
    )
    wanted = slow(queries, gallery, 6, own, theirs, cosine=cosine)
    np.testing.assert_array_equal(found.indices, wanted)
    assert (theirs[found.indices] != own[:, None]).all()
    assert (np.diff(found.near, axis=1) <= 0).all()
    # more than there is: -1 behind the last
    most = search(
        queries, gallery, top=50, query_groups=own, gallery_groups=theirs, cosine=cosine, part=part
    )
    np.testing.assert_array_equal(
        most.indices, slow(queries, gallery, 40, own, theirs, cosine=cosine)
    )


def test_votes_are_the_library_s() -> None:
    rng = np.random.default_rng(0)
    gallery = rng.standard_normal((60, 3)).astype(np.float32)
    queries = rng.standard_normal((30, 3)).astype(np.float32)
    classes = rng.integers(0, 2, 60)
    found = search(queries, gallery, top=5, cosine=False)
    model = KNeighborsClassifier(n_neighbors=5).fit(gallery, classes)  # odd, two classes: no ties
    np.testing.assert_array_equal(
        votes(found, classes, num_classes=2, num=5), model.predict(queries)
    )


def test_equal_votes_go_to_the_nearer() -> None:
    indices = np.array([[0, 1, 2, 3], [3, 2, 1, 0], [2, -1, -1, -1]])
    found = Found(indices=indices, near=np.zeros((3, 4), dtype=np.float32))
    classes = np.array([1, 0, 0, 1])  # two each: 1 is at places 1 and 4, 0 at 2 and 3
    assert votes(found, classes, num_classes=2, num=3).tolist() == [0, 0, 0]
    assert votes(found, classes, num_classes=2, num=2).tolist() == [1, 1, 0]
    right = hits(found, classes, np.array([0, 0, 1]), top=1)
    assert right.tolist() == [False, False, False]
    assert hits(found, classes, np.array([0, 0, 1]), top=2).tolist() == [True, True, False]


def test_chance_of_a_hit_is_what_shuffling_gives() -> None:
    rng = np.random.default_rng(0)
    classes, groups = rng.integers(0, 4, 30), rng.integers(0, 5, 30)
    own, own_groups = np.array([0, 1, 3]), np.array([2, 0, 9])
    for top in (1, 5):
        found = random_recall(classes, own, top=top, query_groups=own_groups, gallery_groups=groups)
        for k in range(3):
            allowed = np.flatnonzero(groups != own_groups[k])
            drawn = [(classes[rng.permutation(allowed)[:top]] == own[k]).any() for _ in range(3000)]
            assert found[k] == pytest.approx(np.mean(drawn), abs=0.03)


def test_overlap_and_one_of_each_clip() -> None:
    one = Found(
        indices=np.array([[3, 1, 4, 5], [0, -1, -1, -1]]), near=np.zeros((2, 4), np.float32)
    )
    other = Found(indices=np.array([[4, 3, 9, 1], [0, -1, -1, -1]]), near=one.near)
    assert overlap(one, other, top=2).tolist() == [0.5, 1.0]
    assert overlap(one, other, top=3).tolist() == [pytest.approx(2 / 3), 1.0]
    assert overlap(one, one, top=4).tolist() == [1.0, 1.0]
    clips = np.array([0, 0, 1, 1, 2, 2])
    assert first_of_each([3, 2, 5, 4, 0, -1], clips, num=2) == [3, 5]
    assert first_of_each([3, 2, -1], clips, num=2) == [3]


def test_turned_hue() -> None:
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (3, 8, 6), dtype=np.uint8)
    for degrees in (60.0, 120.0, 180.0):
        turned = turn_hue(picture, degrees)
        for y, x in np.ndindex(8, 6):
            hue, *rest = colorsys.rgb_to_hsv(*(picture[:, y, x] / 255))
            wanted = np.array(colorsys.hsv_to_rgb((hue + degrees / 360) % 1, *rest)) * 255
            assert np.abs(turned[:, y, x] - wanted).max() <= 1
        back = turn_hue(turned, -degrees).astype(int)
        assert np.abs(back - picture).max() <= 2  # two roundings
    half = turn_hue(turn_hue(picture, 180.0), 180.0).astype(int)
    assert np.abs(half - picture).max() <= 2
    np.testing.assert_array_equal(turn_hue(picture, 360.0), picture)
    grey = np.repeat(picture[:1], 3, axis=0)
    np.testing.assert_array_equal(turn_hue(grey, 77.0), grey)
    red = np.zeros((3, 1, 1), dtype=np.uint8)
    red[0] = 200
    assert turn_hue(red, 120.0).ravel().tolist() == [0, 200, 0]


def test_windows_lie_inside() -> None:
    frames = np.arange(2 * 3 * 20 * 20, dtype=np.uint32).reshape(2, 3, 20, 20).astype(np.uint8)
    rng = np.random.default_rng(0)
    for window in draw_windows(50, side=0.35, rng=rng):
        cut = window.cut(frames)
        assert cut.shape == (2, 3, 7, 7)
        left, top = round(window.left * 20), round(window.top * 20)
        np.testing.assert_array_equal(cut, frames[:, :, top : top + 7, left : left + 7])
