"""Groups never split; splits depend on names alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from avssl.errors import InputError
from avssl.prepare.groups import group_ids, named_groups, splits_of, unit_hash

NAMES = [f"cam{cam}/day{day}.mp4" for cam in range(5) for day in range(4)]


def test_groups_by_folder_and_by_pattern() -> None:
    assert named_groups(["a/b/x.mp4", "y.mp4"], group_by="folder") == {
        "a/b/x.mp4": "a/b",
        "y.mp4": ".",
    }
    assert named_groups(["m12_a.mp4", "m12_b.mp4", "z.mp4"], group_by=r"(m\d+)_") == {
        "m12_a.mp4": "m12",
        "m12_b.mp4": "m12",
    }
    assert named_groups(["m1.mp4"], group_by="none") == {}
    with pytest.raises(InputError, match="matches none"):
        named_groups(["a.mp4"], group_by="mouse")


@given(
    pairs=st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES)), max_size=15),
    by=st.sampled_from(["none", "folder", r"(day\d)"]),
)
def test_groups_are_the_connected_parts(pairs, by) -> None:
    named = named_groups(NAMES, group_by=by)
    groups = group_ids(NAMES, named=named, alike=pairs)
    # slow truth: spread labels until nothing changes
    label = {name: name for name in NAMES}
    links = [
        *pairs,
        *((a, b) for a in NAMES for b in NAMES if a in named and named[a] == named.get(b)),
    ]
    changed = True
    while changed:
        changed = False
        for a, b in links:
            low = min(label[a], label[b])
            changed |= label[a] != low or label[b] != low
            label[a] = label[b] = low
    for a in NAMES:
        for b in NAMES:
            assert (groups[a] == groups[b]) == (label[a] == label[b])


@given(st.sets(st.text(min_size=1, max_size=8), min_size=3, max_size=60))
def test_no_group_is_split_and_no_split_is_empty(ids) -> None:
    groups = {f"{group}/{k}.mp4": group for group in ids for k in range(2)}
    splits, _ = splits_of(groups, split=(0.8, 0.1, 0.1), split_from="fractions")
    for group in ids:
        assert len({splits[name] for name in groups if groups[name] == group}) == 1
    assert set(splits.values()) == {"train", "validation", "test"}


def test_fractions_are_met_and_adding_files_moves_nobody() -> None:
    groups = {f"{k}.mp4": f"{k}.mp4" for k in range(5000)}
    splits, notes = splits_of(groups, split=(0.8, 0.1, 0.1), split_from="fractions")
    share = [sum(where == name for where in splits.values()) / 5000 for name in ("train", "test")]
    assert share[0] == pytest.approx(0.8, abs=0.02) and share[1] == pytest.approx(0.1, abs=0.02)
    assert notes == []
    more = groups | {"new.mp4": "new.mp4"}
    again, _ = splits_of(more, split=(0.8, 0.1, 0.1), split_from="fractions")
    assert all(again[name] == splits[name] for name in groups)
    assert 0 <= unit_hash("x") < 1


@pytest.mark.parametrize("names", [["train"], ["train", "test"], ["train", "test", "validation"]])
def test_few_groups_go_first_to_train_then_to_test(names: list[str]) -> None:
    for start in range(60):  # other groups each time: whatever splits their hashes fall to
        groups = {f"{k}.mp4": f"g{start}-{k}" for k in range(len(names))}
        splits, _ = splits_of(groups, split=(0.6, 0.2, 0.2), split_from="fractions")
        assert sorted(splits.values()) == sorted(names)


def test_all_to_train() -> None:
    groups = {f"{k}.mp4": f"{k}" for k in range(50)}
    splits, _ = splits_of(groups, split=(1.0, 0.0, 0.0), split_from="fractions")
    assert set(splits.values()) == {"train"}


def test_split_folders() -> None:
    groups = {"train/a.mp4": "1", "Val/b.mp4": "2", "test/c.mp4": "3", "train/d.mp4": "3"}
    splits, notes = splits_of(groups, split=(0.8, 0.1, 0.1), split_from="auto")
    assert splits == {
        "train/a.mp4": "train",
        "Val/b.mp4": "validation",
        "test/c.mp4": "test",
        "train/d.mp4": "test",  # a copy of a test file must not be trained on
    }
    assert len(notes) == 1 and "'3'" in notes[0]
    with pytest.raises(InputError, match=r"stray\.mp4"):
        splits_of({**groups, "stray.mp4": "4"}, split=(0.8, 0.1, 0.1), split_from="folders")
