"""Splits: whole groups, official ones kept, contiguous blocks with gaps."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avssl.catalog import SPLITS
from avssl.errors import InputError
from avssl.labels.records import LabelledImage, LabelledSet, Skeleton, person_of
from avssl.labels.splits import DEFAULT_GAP, assign_splits, hold_out_validation

PERSON = person_of([[1.0, 2.0]])
FRACTIONS = st.sampled_from(
    [(0.8, 0.1, 0.1), (0.5, 0.25, 0.25), (0.7, 0.3, 0), (0.4, 0, 0.6), (1, 0, 0)]
)


def labelled(images: list[LabelledImage]) -> LabelledSet:
    return LabelledSet(skeleton=Skeleton(names=("nose",)), root=Path(), images=images)


def image(number: int, **fields) -> LabelledImage:
    return LabelledImage(path=f"{number:05d}.png", people=(PERSON,), **fields)


@given(
    sizes=st.lists(st.integers(1, 30), min_size=2, max_size=40),
    fractions=FRACTIONS,
    seed=st.integers(0, 1000),
)
@settings(deadline=None)
def test_whole_groups(sizes: list[int], fractions: tuple[float, ...], seed: int) -> None:
    groups = [f"g{number}" for number, size in enumerate(sizes) for _ in range(size)]
    images = [image(number, group=group) for number, group in enumerate(groups)]
    order = np.random.default_rng(seed).permutation(len(images))
    found = assign_splits(labelled([images[n] for n in order]), fractions, seed)
    assert [i.path for i in found.images] == [images[n].path for n in order]  # all are there
    where: dict[str, set[str]] = {}
    for i in found.images:
        where.setdefault(i.group, set()).add(i.split)
    assert all(len(splits) == 1 for splits in where.values())
    used = set().union(*where.values())
    wanted = {name for name, share in zip(SPLITS, fractions, strict=True) if share}
    assert used <= wanted
    assert len(used) == min(len(wanted), len(sizes))
    # Each split is off by at most a largest group, or by what an empty one had to be given.
    for name, share in zip(SPLITS, fractions, strict=True):
        count = sum(i.split == name for i in found.images)
        if len(sizes) >= len(wanted):
            assert abs(count - share * len(images)) <= 3 * max(sizes) + 1e-6
    same = assign_splits(labelled(images), fractions, seed)
    by_path = {i.path: i.split for i in same.images}
    assert all(by_path[i.path] == i.split for i in found.images)  # order of rows is nothing


def test_many_groups_come_out_by_the_fractions_and_the_seed_matters() -> None:
    source = labelled([image(n, group=str(n)) for n in range(1000)])
    one, two = assign_splits(source, seed=0), assign_splits(source, seed=1)
    assert [sum(i.split == s for i in one.images) for s in SPLITS] == [800, 100, 100]
    assert [i.split for i in one.images] != [i.split for i in two.images]
    assert one.notes == ()


@given(
    count=st.integers(1, 120),
    fractions=FRACTIONS,
    gap=st.integers(0, 5),
    seed=st.integers(0, 1000),
    cameras=st.integers(1, 2),
)
@settings(deadline=None)
def test_blocks_of_one_group(
    count: int, fractions: tuple[float, ...], gap: int, seed: int, cameras: int
) -> None:
    rng = np.random.default_rng(seed)
    moments = np.cumsum(rng.integers(1, 50, count)).tolist()
    images = [
        image(10 * place + camera, group="day", order=order)
        for place, order in enumerate(moments)
        for camera in range(cameras)
    ]
    if count == 1 and cameras == 2:  # no order in it: goes by name
        moments = moments * 2
    shuffled = [images[n] for n in rng.permutation(len(images))]
    num_splits = sum(share > 0 for share in fractions)
    if (count if count > 1 else cameras) < num_splits + gap * (num_splits - 1):
        with pytest.raises(InputError, match="too few"):
            assign_splits(labelled(shuffled), fractions, seed, gap)
        return
    found = assign_splits(labelled(shuffled), fractions, seed, gap)
    if count == 1:
        assert len(found.images) == cameras - gap * (num_splits - 1)
        return
    split_of: dict[int, set[str]] = {}
    for i in found.images:
        split_of.setdefault(i.order, set()).add(i.split)
    line = ["".join(split_of.get(order, {""})) for order in moments]
    assert all(len(splits) == 1 for splits in split_of.values())
    runs = [(line[0], 1)]
    for split in line[1:]:
        last, length = runs[-1]
        runs = [*runs[:-1], (last, length + 1)] if split == last else [*runs, (split, 1)]
    blocks = [split for split, _ in runs if split]
    gaps = [length for split, length in runs if not split]
    assert len(blocks) == len(set(blocks)) == num_splits  # each is one contiguous block
    assert gaps == ([gap] * (num_splits - 1) if gap else [])
    spare = count - gap * (num_splits - 1)
    for name, share in zip(SPLITS, fractions, strict=True):
        length = sum(size for split, size in runs if split == name)
        assert abs(length - share * spare) <= 2.5


def test_the_default_gap_and_its_note() -> None:
    source = labelled([image(n, group="day", order=n) for n in range(90)])
    found = assign_splits(source)
    assert DEFAULT_GAP == 2
    assert len(found.images) == 86
    assert found.notes == ("4 pictures between the blocks of one group (left out)",)
    sequences = set()
    for seed in range(20):
        splits = [i.split for i in assign_splits(source, seed=seed).images]
        sequences.add(tuple(dict.fromkeys(splits)))
    assert len(sequences) > 3


def test_without_order_the_names_count() -> None:
    source = labelled([image(n, group="day") for n in (3, 1, 2, 0, 4, 5, 6, 7)])
    found = assign_splits(source, (0.5, 0.5, 0))
    by_name = [i.split for i in sorted(found.images, key=lambda i: i.path)]
    assert len(set(by_name[:3])) == len(set(by_name[3:])) == 1 and len(by_name) == 6


def test_official_splits_are_kept() -> None:
    images = [
        image(0, group="a", split="train"),
        image(1, group="a", split="test"),  # official, though the group is torn
        image(2, group="b", split="test"),
        image(3, group="a"),
        image(4, group="b"),
        image(5, group="c"),
    ]
    found = assign_splits(labelled(images))
    assert [(int(i.path[:5]), i.split) for i in found.images] == [
        (0, "train"),
        (1, "test"),
        (2, "test"),
        (4, "test"),
        (5, "train"),
    ]
    assert "1 pictures whose group lies in several splits (left out)" in found.notes


def test_two_groups_for_three_splits() -> None:
    images = [image(n, group="big" if n < 7 else "small") for n in range(10)]
    found = assign_splits(labelled(images))
    assert {(i.group, i.split) for i in found.images} == {("big", "train"), ("small", "validation")}
    assert found.notes == ("2 groups for 3 splits: none for test",)


@pytest.mark.parametrize("fractions", [(0.5, 0.5), (0.5, 0.4, 0.2), (1.2, -0.1, -0.1), (1, 0)])
def test_fractions_that_are_none(fractions: tuple[float, ...]) -> None:
    with pytest.raises(InputError, match="fractions"):
        assign_splits(labelled([image(0)]), fractions)
    with pytest.raises(InputError, match="gap"):
        assign_splits(labelled([image(0)]), gap=-1)


def test_a_validation_is_held_out_of_train_alone() -> None:
    images = [
        image(n, group=str(n // 10), split="train" if n < 300 else "test") for n in range(400)
    ]
    source = labelled(images)
    found = hold_out_validation(source, 0.2, seed=3)
    held = [i for i in found.images if i.split == "validation"]
    assert len(held) == 60 and len({i.group for i in held}) == 6
    assert all(int(i.path[:5]) < 300 for i in held)
    assert [i for i in found.images if i.split == "test"] == images[300:]
    rest = {i.group for i in found.images if i.split == "train"}
    assert not rest & {i.group for i in held}
    assert found.notes == ("60 pictures of the official training set held out for validation",)
    assert hold_out_validation(source, 0) is source
    assert hold_out_validation(found) is found  # it has one now
    assert [i.path for i in assign_splits(found).images] == [i.path for i in found.images]
    with pytest.raises(InputError, match="validation 1"):
        hold_out_validation(source, 1.0)
