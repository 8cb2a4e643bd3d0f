"""Masked autoencoding: which patches, the loss against plain loops, its figure by hand."""

import dataclasses
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from avssl.catalog import Catalog
from avssl.errors import InputError
from avssl.model import build_encoder
from avssl.pretext.masked_autoencoding import MaskedAutoencoding
from avssl.task import Learner, widths_of

Batch = dict[str, torch.Tensor]


def make_batch(task: MaskedAutoencoding, catalog: Catalog, fetch: Callable, *, num: int) -> Batch:
    rng = np.random.default_rng(3)
    items = task.items(catalog)
    shown = []
    for index in items[:: len(items) // num][:num]:
        plan = task.sample(catalog, int(index), rng)
        shown.append(task.transform(fetch(catalog, plan), plan, rng).arrays)
    return {key: torch.from_numpy(np.stack([one[key] for one in shown])) for key in shown[0]}


def make_learner(task: MaskedAutoencoding) -> Learner:
    encoders = {"vision": build_encoder("small-vit", seed=0)}
    torch.manual_seed(0)
    return Learner(task=task, encoders=encoders, widths=widths_of(encoders))


def patch_of(batch: Batch, sample: int, number: int, *, patch_px: int) -> np.ndarray:
    """[p, p, 3], 0 to 1, by plain slices."""
    frame = batch["frames"][sample].numpy() / 255
    row, column = divmod(number, frame.shape[2] // patch_px)
    top, left = row * patch_px, column * patch_px
    return frame[:, top : top + patch_px, left : left + patch_px].transpose(1, 2, 0)


def test_three_quarters_are_hidden_and_each_patch_as_often(
    catalog: Catalog, fetch: Callable
) -> None:
    task = MaskedAutoencoding(size_px=32)
    assert (task.num_patches, task.num_visible) == (16, 4)
    plan = task.sample(catalog, 0, np.random.default_rng(0))
    clips = fetch(catalog, plan)
    count = np.zeros(16)
    for seed in range(600):
        arrays = task.transform(clips, plan, np.random.default_rng(seed)).arrays
        joined = np.concatenate([arrays["visible"], arrays["hidden"]])
        assert sorted(joined) == list(range(16)) and len(arrays["visible"]) == 4
        assert (np.diff(arrays["visible"]) > 0).all() and (np.diff(arrays["hidden"]) > 0).all()
        count[arrays["visible"]] += 1
    # binomial of 600 at ¼: deviation 10.6
    assert np.abs(count - 150).max() < 4.5 * 10.6


@pytest.mark.parametrize("normalise", [True, False])
def test_the_loss_is_that_of_plain_loops(
    normalise: bool, catalog: Catalog, fetch: Callable
) -> None:
    task = MaskedAutoencoding(size_px=32, normalise_patches=normalise)
    batch = make_batch(task, catalog, fetch, num=3)
    answers = torch.randn(3, 12, 192, generator=torch.Generator().manual_seed(0))
    errors, trivial = np.zeros((3, 12)), np.zeros((3, 12))
    for b in range(3):
        seen = [patch_of(batch, b, int(n), patch_px=8) for n in batch["visible"][b]]
        if normalise:
            seen = [(one - one.mean()) / np.sqrt(one.var() + 1e-6) for one in seen]
        color = np.mean(seen, axis=(0, 1, 2))
        for k, number in enumerate(batch["hidden"][b]):
            patch = patch_of(batch, b, int(number), patch_px=8)
            if normalise:
                wanted = (patch - patch.mean()) / np.sqrt(patch.var() + 1e-6)
                guess = color
            else:
                wanted, guess = (patch - 0.45) / 0.25, (color - 0.45) / 0.25
            errors[b, k] = np.mean((answers[b, k].numpy().reshape(8, 8, 3) - wanted) ** 2)
            trivial[b, k] = np.mean((guess - wanted) ** 2)
    out = {"patches": answers}
    assert float(task.loss(out, batch)) == pytest.approx(errors.mean(), rel=1e-5)
    columns = {key: value.numpy() for key, value in task.metrics(out, batch).items()}
    np.testing.assert_allclose(columns["squared_error"], errors.mean(axis=1), rtol=1e-5)
    np.testing.assert_allclose(columns["variance"], trivial.mean(axis=1), rtol=1e-5)
    explained = task.scores(columns)["explained"]
    assert explained == pytest.approx(1 - errors.mean() / trivial.mean(), rel=1e-4)


def test_the_control_asks_for_the_next_picture(catalog: Catalog, fetch: Callable) -> None:
    task = MaskedAutoencoding(size_px=32, normalise_patches=False, random_labels=True)
    batch = make_batch(task, catalog, fetch, num=3)
    asked = task.answer(batch).numpy()
    for sample in range(3):
        for place, number in enumerate(batch["hidden"][sample].tolist()):
            wanted = (patch_of(batch, (sample + 1) % 3, number, patch_px=8) - 0.45) / 0.25
            assert np.allclose(asked[sample, place], wanted.reshape(-1), atol=1e-5)


def test_the_control_refuses_a_batch_whose_next_picture_is_itself(
    catalog: Catalog, fetch: Callable
) -> None:
    task = MaskedAutoencoding(size_px=32, random_labels=True)
    encoder = build_encoder("small-vit", seed=0)
    head = task.head(widths_of({"vision": encoder}))
    batch = make_batch(task, catalog, fetch, num=1)
    with pytest.raises(InputError, match=r"random_labels: .* 1 picture .*--batch-size"):
        task.predict({"vision": encoder}, head, batch)
    task.predict({"vision": encoder}, head.eval(), batch)  # a report may draw one alone


def test_the_truth_explains_all_and_one_colour_nothing(catalog: Catalog, fetch: Callable) -> None:
    task = MaskedAutoencoding(size_px=32, normalise_patches=False)
    batch = make_batch(task, catalog, fetch, num=6)
    colors = []
    for b in range(6):
        seen = [patch_of(batch, b, int(n), patch_px=8) for n in batch["visible"][b]]
        colors.append((np.mean(seen, axis=(0, 1, 2)) - 0.45) / 0.25)
    even = torch.tensor(np.array(colors), dtype=torch.float32)[:, None].repeat(1, 12, 64)
    for patches, wanted in ((even, 0.0), (task.answer(batch), 1.0)):
        columns = task.metrics({"patches": patches}, batch)
        found = task.scores({key: value.double().numpy() for key, value in columns.items()})
        assert found["explained"] == pytest.approx(wanted, abs=1e-5)


def test_what_is_hidden_does_not_reach_the_answer(catalog: Catalog, fetch: Callable) -> None:
    """Of the loss it is the target, of the network nothing."""
    task = MaskedAutoencoding(size_px=32)
    batch = make_batch(task, catalog, fetch, num=2)
    learner = make_learner(task).eval()
    frames = batch["frames"].clone()
    for b in range(2):
        for number in batch["hidden"][b].tolist():
            top, left = 8 * (number // 4), 8 * (number % 4)
            frames[b, :, top : top + 8, left : left + 8] ^= 255
    with torch.no_grad():
        one = learner.outputs(batch)["patches"]
        other = learner.outputs({**batch, "frames": frames})["patches"]
    assert torch.equal(one, other)


def test_a_small_batch_is_learned_by_heart(catalog: Catalog, fetch: Callable) -> None:
    """Well below the 0.7 and more at which all patches get what they have in common."""
    task = MaskedAutoencoding(
        size_px=32, flip=False, decoder_depth=2, decoder_width=128, decoder_heads=4
    )
    batch = make_batch(task, catalog, fetch, num=2)
    learner = make_learner(task).train()
    optimiser = torch.optim.Adam(learner.parameters(), lr=1e-3)
    losses = []
    for _ in range(250):
        optimiser.zero_grad()
        loss = learner(batch).loss
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
        if losses[-1] < 0.4:
            break
    assert losses[-1] < 0.4, losses[::10]


def test_drawings_show_what_is_seen_the_answer_and_the_truth(
    catalog: Catalog, fetch: Callable
) -> None:
    task = MaskedAutoencoding(size_px=32)
    batch = make_batch(task, catalog, fetch, num=2)
    for picture, frame in zip(
        task.drawn({"patches": task.answer(batch)}, batch), batch["frames"], strict=True
    ):
        truth = frame.numpy().transpose(1, 2, 0).repeat(4, axis=0).repeat(4, axis=1)
        below = picture[-128:]
        assert picture.dtype == np.uint8 and picture.shape[1] == 3 * 128 + 2 * 4
        assert np.abs(below[:, -128:].astype(int) - truth).max() <= 1
        assert np.abs(below[:, 132:260].astype(int) - truth).max() <= 1  # the answer was right
        grey = (below[:, :128] == round(0.6 * 255)).all(axis=2).mean()
        assert grey == pytest.approx(0.75, abs=0.01)


def test_encoders_that_are_no_vit_and_other_patches_are_refused() -> None:
    task = MaskedAutoencoding()
    for name, message in (
        ("small", "no vision transformer; take --vision small-vit"),
        ("vit_tiny_patch16_224", "give --task.patch-px 16"),
    ):
        encoders = {"vision": build_encoder(name, seed=0)}
        with pytest.raises(InputError, match=message):
            Learner(task=task, encoders=encoders, widths=widths_of(encoders))


@pytest.mark.parametrize(
    "wrong",
    [
        {"size_px": 60},
        {"mask_share": 0.0},
        {"mask_share": 0.999},
        {"decoder_depth": 0},
        {"decoder_width": 130},
        {"decoder_heads": 5},
        {"patch_px": 0},
    ],
)
def test_knobs_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        MaskedAutoencoding(**wrong)


def test_smooth_filling_is_told_by_its_probe_and_cut_by_the_guard(
    catalog: Catalog, fetch: Callable
) -> None:
    """Soft light: the neighbours say how bright a patch is, but not what is in it."""
    task = MaskedAutoencoding(brightness=0.0, contrast=0.0, crop_scale=(0.5, 0.5))
    shortcut = next(one for one in task.shortcuts if one.name == "smooth filling")
    rng = np.random.default_rng(0)
    links = {}
    for normalise in (True, False):
        variant = dataclasses.replace(task, normalise_patches=normalise)
        told, asked = [], []
        for position in range(60):
            index = int(task.items(catalog)[position])
            plan = variant.sample(catalog, index, rng)
            example = variant.transform(fetch(catalog, plan), plan, rng)
            light = cv2.resize(rng.uniform(40, 200, size=(3, 3)), (64, 64))
            halves = np.repeat(rng.choice([-10, 10], size=(8, 8)), 8, axis=1)  # each patch its own
            inside = np.stack([halves] * 4 + [-halves] * 4, axis=1).reshape(64, 64)
            shown = np.broadcast_to(light + inside, (3, 64, 64)).astype(np.uint8)
            example = dataclasses.replace(example, arrays={**example.arrays, "frames": shown})
            told.append(float(shortcut.probe(plan, example)[0]))
            asked.append(float(shortcut.answer(plan, example)))
        links[normalise] = abs(float(np.corrcoef(told, asked)[0, 1]))
    assert links[False] > 0.7 and links[True] < 0.5


SHARDED = """
import torch, torch.distributed as dist
from avssl.model import build_encoder
from avssl.pretext.masked_autoencoding import MaskedAutoencoding
from avssl.run.parallel import Processes, wrap
from avssl.task import Learner, widths_of

dist.init_process_group("gloo")
rank, task = dist.get_rank(), MaskedAutoencoding(size_px=32)
encoders = {"vision": build_encoder("small-vit", seed=0)}
torch.manual_seed(0)
learner = Learner(task=task, encoders=encoders, widths=widths_of(encoders)).train()
order = torch.stack([torch.randperm(16) for _ in range(4)])
frames = torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8)
batch = {"frames": frames, "visible": order[:, :4], "hidden": order[:, 4:]}
whole = learner(batch).loss.detach()
here = Processes(rank=rank, num=2, device=torch.device("cpu"))
sharded = wrap(learner, parallel="fsdp2", processes=here)
step = sharded({name: value[2 * rank : 2 * rank + 2] for name, value in batch.items()})
step.loss.backward()
loss = step.loss.detach().clone()
dist.all_reduce(loss)
torch.testing.assert_close(loss / 2, whole)
assert all(weight.grad is not None for weight in learner.parameters())
dist.destroy_process_group()
print("equal")
"""


@pytest.mark.slow
def test_an_encoder_in_shards_runs_on_visible_patches(tmp_path: Path) -> None:
    """`tokens` is another way through the encoder than forward(): FSDP2 must be told."""
    script = tmp_path / "sharded.py"
    script.write_text(SHARDED)
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port",
         "0", "--rdzv-backend", "c10d", "--rdzv-endpoint", "localhost:0", str(script)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=240,
    )  # fmt: skip
    assert done.returncode == 0 and done.stdout.count("equal") == 2, done.stderr
