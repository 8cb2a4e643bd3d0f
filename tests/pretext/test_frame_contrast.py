"""Frame contrast: the loss against plain sums, what is drawn, and that processes share a batch."""

import dataclasses
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from avssl.catalog import Catalog, ClipRow
from avssl.errors import InputError
from avssl.model.contrast import Standardised, info_nce
from avssl.pretext.frame_contrast import FrameContrast
from avssl.records import Plan
from avssl.sample import sample_rng
from avssl.transform.pair_rows import bits_class

MakeRow = Callable[..., ClipRow]


def embeddings(num: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    both = torch.randn(2, num, 8, generator=torch.Generator().manual_seed(seed))
    one, other = functional.normalize(both, dim=2)
    return one, other


def plans(task: FrameContrast, catalog: Catalog, num: int) -> list[Plan]:
    items = task.items(catalog)
    return [
        task.sample(catalog, int(items[k % len(items)]), sample_rng(0, 0, k)) for k in range(num)
    ]


def test_info_nce_is_the_cross_entropy_of_the_partner_among_all() -> None:
    """Without groups in common: torch's cross-entropy over both views, row by row."""
    one, other = embeddings(5)
    group = torch.arange(5)
    found = info_nce(one, other, groups=(group, group), label=torch.ones(5), temperature=0.2)
    frames = torch.cat([one, other])
    losses = []
    for k in range(10):
        rest = [j for j in range(10) if j != k]
        logits = torch.stack([frames[k] @ frames[j] for j in rest]) / 0.2
        losses.append(functional.cross_entropy(logits, torch.tensor(rest.index((k + 5) % 10))))
    torch.testing.assert_close(found, torch.stack(losses).mean())


def test_frames_of_the_same_group_are_no_negatives() -> None:
    one, other = embeddings(5, seed=1)
    group, other_group = torch.tensor([0, 1, 0, 2, 3]), torch.tensor([0, 1, 0, 2, 1])
    label = torch.tensor([1, 1, 1, 1, 0])  # the last pair is of two clips: only a negative
    found = info_nce(one, other, groups=(group, other_group), label=label, temperature=0.5)
    frames = torch.cat([one, other]).double().numpy()
    groups = [*group.tolist(), *other_group.tolist()]
    losses = []
    for k in range(10):
        partner = (k + 5) % 10
        if label[k % 5] == 0:
            continue
        counted = [j for j in range(10) if j == partner or groups[j] != groups[k]]
        total = sum(np.exp(frames[k] @ frames[j] / 0.5) for j in counted)
        losses.append(-np.log(np.exp(frames[k] @ frames[partner] / 0.5) / total))
    assert float(found) == pytest.approx(np.mean(losses), rel=1e-5)


def test_standardised_is_batch_norm_without_its_weights() -> None:
    ours, theirs = Standardised(6), torch.nn.BatchNorm1d(6, affine=False)
    for seed in range(3):
        x = 3 + 2 * torch.randn(16, 6, generator=torch.Generator().manual_seed(seed))
        torch.testing.assert_close(ours(x), theirs(x))
    torch.testing.assert_close(ours.mean, theirs.running_mean)
    torch.testing.assert_close(ours.eval()(x), (x - ours.mean) / (ours.variance + 1e-5).sqrt())
    parts = torch.randn(4, 9, 6)
    torch.testing.assert_close(ours.train()(parts).flatten(0, 1), ours(parts.flatten(0, 1)))


def test_training_pairs_are_of_one_clip_and_no_further_apart(catalog: Catalog) -> None:
    task = FrameContrast(min_gap_s=0.3, max_gap_s=1.0)
    gaps_s = []
    for plan in plans(task, catalog, 300):
        one, other = plan.spans
        assert plan.target["label"] == 1 and one.row == other.row
        assert plan.target["group"] == plan.target["other_group"]
        gaps_s.append(other.times_s[0] - one.times_s[0])
    assert np.abs(gaps_s).min() > 0.29 and np.abs(gaps_s).max() < 1.01
    assert 0.4 < np.mean(np.array(gaps_s) > 0) < 0.6


def test_held_out_pairs_are_an_even_mix_of_the_same_places(held_out: Catalog) -> None:
    """Where the second frame is from has one distribution for both labels."""
    made = plans(FrameContrast(), held_out, 2000)
    label = np.array([plan.target["label"] for plan in made])
    assert abs(label.mean() - 0.5) < 4 * 0.5 / np.sqrt(2000)
    for plan in made:
        one, other = plan.spans
        assert (plan.target["label"] == 1) == (one.row == other.row)
    heard = np.array([plan.spans[1].row for plan in made])
    counts = [np.bincount(heard[label == kind], minlength=6) for kind in (0, 1)]
    # six clips of equal length: each a sixth in both kinds
    for kind in counts:
        assert np.abs(kind - kind.sum() / 6).max() < 4.5 * np.sqrt(kind.sum() * 5 / 36)
    from scipy import stats

    for name in ("gop_phases", "places"):
        values = np.array([plan.target[name] for plan in made])
        off = values[:, 1] - values[:, 0]
        assert stats.ks_2samp(off[label == 0], off[label == 1]).pvalue > 1e-3
    loose = plans(FrameContrast(match_place=False), held_out, 600)
    label = np.array([plan.target["label"] for plan in loose])
    places = np.array([plan.target["places"] for plan in loose])
    far = np.abs(places[:, 1] - places[:, 0])
    assert far[label == 0].mean() > 1.5 * far[label == 1].mean()  # the leak that it guards


def test_bits_a_pixel_are_those_of_packets_or_of_the_file(make_row: MakeRow) -> None:
    """60 frames of 128 x 96 px: 737280 pixels; 92160 bytes are one bit on each."""
    size = {"num_frames": 60, "width_px": 128, "height_px": 96}
    assert bits_class(make_row(**size, video_num_bytes=92_160)) == 0
    assert bits_class(make_row(**size, video_num_bytes=92_159)) == -1
    assert bits_class(make_row(**size, video_num_bytes=400_000)) == 2
    listed = np.full(60, 92_160 // 60)
    assert bits_class(make_row(**size, video_num_bytes=10**6, packet_num_bytes=listed)) == 0


def test_files_of_as_many_bits_and_edges_that_stay_out(make_row: MakeRow) -> None:
    rows = [
        make_row(number=k, num_frames=60, split="validation", video_num_bytes=20_000 * 4 ** (k % 2))
        for k in range(8)
    ]
    catalog, task = Catalog.from_rows(rows), FrameContrast()
    for matched, expected in ((False, {False, True}), (True, {True})):
        made = plans(dataclasses.replace(task, match_bits=matched), catalog, 300)
        bits = [plan.target["bits"] for plan in made if plan.target["label"] == 0]
        assert {one == other for one, other in bits} == expected  # type: ignore[misc]
    barred = Catalog.from_rows([dataclasses.replace(row, borders_px=(0, 30, 0, 0)) for row in rows])
    for margin, expected in ((0.0, (0, 30, 0, 0)), (0.25, (24, 30, 24, 24))):
        (plan,) = plans(dataclasses.replace(task, margin=margin), barred, 1)
        assert plan.target["borders_px"] == plan.target["other_borders_px"] == expected


def test_other_videos_are_of_the_same_format_where_there_are_two(make_row: MakeRow) -> None:
    rows = [
        make_row(number=k, num_frames=60, split="validation", width_px=128 if k < 4 else 160)
        for k in range(7)
    ]
    catalog = Catalog.from_rows(rows)
    for matched in (True, False):
        same = [
            plan.target["formats"][0] == plan.target["formats"][1]
            for plan in plans(FrameContrast(match_format=matched), catalog, 300)
            if plan.target["label"] == 0
        ]
        assert all(same) == matched


def test_one_group_is_refused_unless_clips_count(make_row: MakeRow) -> None:
    rows = [make_row(number=k, num_frames=60, group_id="rig") for k in range(3)]
    catalog = Catalog.from_rows(rows)
    with pytest.raises(InputError, match=r"all clips are of one group.*--task.others clips"):
        FrameContrast().items(catalog)
    task = FrameContrast(others="clips")
    assert set(task.items(catalog)) == {0, 1, 2}
    assert len({plan.target["group"] for plan in plans(task, catalog, 20)}) == 3
    for others in ("groups", "clips"):  # neither helps where there is no second clip
        with pytest.raises(InputError, match=r"one clip alone .*prepare more videos") as refused:
            FrameContrast(others=others).items(Catalog.from_rows(rows[:1]))
        assert "--task.others" not in str(refused.value)
    short = Catalog.from_rows([make_row(number=k, num_frames=3) for k in range(3)])
    with pytest.raises(InputError, match="none of 3 clips has two pictures"):
        FrameContrast().items(short)


def test_views_are_cut_and_coloured_by_themselves(catalog: Catalog, fetch: Callable) -> None:
    """The same frame twice: two views differ with the guards, and not without any."""
    task = FrameContrast(max_gap_s=0.0, min_gap_s=0.0)
    plain = dataclasses.replace(
        task, crop_scale=(1.0, 1.0), flip=False, brightness=0.0, contrast=0.0, saturation=0.0,
        grey_probability=0.0,
    )  # fmt: skip
    for variant, alike in ((task, False), (plain, True)):
        plan = variant.sample(catalog, 2, np.random.default_rng(0))
        clips = fetch(catalog, plan)
        if alike:  # the short side is kept whole, but where along the long side is drawn
            clips = [
                dataclasses.replace(clip, frames=clip.frames[..., : clip.frames.shape[2]])
                for clip in clips
            ]
        arrays = variant.transform(clips, plan, np.random.default_rng(1)).arrays
        assert np.array_equal(arrays["frames"], arrays["others"]) == alike


def test_a_jigsaw_holds_the_nine_parts_of_one_picture(catalog: Catalog, fetch: Callable) -> None:
    task = FrameContrast(jigsaw=True, jigsaw_px=96, jigsaw_patch_px=32)
    whole = dataclasses.replace(task, jigsaw=False, size_px=96)
    plan = task.sample(catalog, 1, np.random.default_rng(4))
    clips = fetch(catalog, plan)
    orders = set()
    for seed in range(8):
        parts = task.transform(clips, plan, np.random.default_rng(seed)).arrays["others"]
        # same draws up to the size of the first view: both pictures come out as without
        other = whole.transform(clips, plan, np.random.default_rng(seed)).arrays["others"]
        cells = [
            other[:, 32 * r : 32 * r + 32, 32 * c : 32 * c + 32] for r in range(3) for c in range(3)
        ]
        keys = [cell.tobytes() for cell in cells]
        assert sorted(keys) == sorted(part.tobytes() for part in parts)
        orders.add(tuple(keys.index(part.tobytes()) for part in parts))
    assert len(orders) > 5


def test_scores_do_not_depend_on_the_batch(held_out: Catalog, fetch: Callable) -> None:
    from avssl.model import build_encoder
    from avssl.task import Learner, widths_of

    for task in (FrameContrast(), FrameContrast(jigsaw=True, hidden=0)):
        encoders = {"vision": build_encoder("small", seed=0)}
        torch.manual_seed(0)
        learner = Learner(task=task, encoders=encoders, widths=widths_of(encoders)).eval()
        examples = [
            task.transform(fetch(held_out, plan), plan, np.random.default_rng(0)).arrays
            for plan in plans(task, held_out, 6)
        ]
        batch = {
            key: torch.from_numpy(np.stack([one[key] for one in examples])) for key in examples[0]
        }
        with torch.no_grad():
            whole = learner.outputs(batch)["score"]
            part = learner.outputs({key: value[:2] for key, value in batch.items()})["score"]
        torch.testing.assert_close(part, whole[:2], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("jigsaw", [False, True])
def test_drawings_are_framed_by_whether_the_answer_is_right(
    jigsaw: bool, held_out: Catalog, fetch: Callable
) -> None:
    task = FrameContrast(jigsaw=jigsaw)
    examples = [
        task.transform(fetch(held_out, plan), plan, np.random.default_rng(0)).arrays
        for plan in plans(task, held_out, 4)
    ]
    batch = {key: torch.from_numpy(np.stack([one[key] for one in examples])) for key in examples[0]}
    right = [True, False, True, False]
    sign = torch.where(torch.tensor(right), 1.0, -1.0)
    drawn = task.drawn({"score": sign * (2.0 * batch["label"] - 1)}, batch)
    for picture, is_right in zip(drawn, right, strict=True):
        assert picture.dtype == np.uint8 and picture.shape[0] >= 96 and picture.shape[2] == 3
        red, green, _ = picture[-100, 0].astype(int)
        assert (green > red) == is_right


@pytest.mark.parametrize(
    "wrong",
    [
        {"min_gap_s": 3.0},
        {"temperature": 0.0},
        {"embedding": 0},
        {"others": "files"},
        {"jigsaw_patch_px": 33},
    ],
)
def test_knobs_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        FrameContrast(**wrong)


SHARED = """
import torch, torch.distributed as dist
from avssl.model.contrast import Projections
from avssl.pretext.frame_contrast import FrameContrast

dist.init_process_group("gloo")
rank, task = dist.get_rank(), FrameContrast()
torch.manual_seed(0)
head = Projections(width=8, hidden=16, embedding=8, num_patches=0).train()
seen, again = 3 + torch.randn(6, 8), 3 + torch.randn(6, 8)

def loss_of(part):
    one, other, calibration = head(seen[part], again[part])
    out = {"one": one, "other": other, "calibration": calibration}
    group = torch.arange(6)[part] % 4
    label = torch.ones(len(group), dtype=torch.int64)
    return task.loss(out, {"group": group, "other_group": group, "label": label})

loss = loss_of(slice(3 * rank, 3 * rank + 3))
loss.backward()
shared = []
for weight in head.parameters():
    dist.all_reduce(weight.grad)
    shared.append(weight.grad / 2)
    weight.grad = None
dist.destroy_process_group()
whole = loss_of(slice(0, 6))
whole.backward()
torch.testing.assert_close(loss, whole)
for weight, gradient in zip(head.parameters(), shared):
    torch.testing.assert_close(gradient, weight.grad)
print("equal")
"""


@pytest.mark.slow
def test_two_processes_compare_with_the_whole_batch(tmp_path: Any) -> None:
    """Loss and gradient of two halves are those of one process with all."""
    script = tmp_path / "shared.py"
    script.write_text(SHARED)
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port",
         "0", "--rdzv-backend", "c10d", "--rdzv-endpoint", "localhost:0", str(script)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=240,
    )  # fmt: skip
    assert done.returncode == 0 and done.stdout.count("equal") == 2, done.stderr
