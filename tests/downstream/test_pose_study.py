"""The rows of the study: statistics by hand, and what is done is not done again."""

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch

from avssl.catalog import Catalog
from avssl.data import make_example
from avssl.decode.fetch import Fetcher
from avssl.errors import InputError
from avssl.model import build_encoder, load_encoder
from avssl.model.storage import save_encoder
from avssl.pretext.reconstruction import Reconstruction
from avssl.run.pose_study import (
    Pretext,
    floors_as_markdown,
    make_recalibrated,
    make_rows,
    recalibrate,
    run_floors,
)


def test_recalibrated_statistics_are_the_mean_over_batches(data) -> None:
    catalog = Catalog.read(data).select(split="train")
    encoder = build_encoder("small-bn", stream="vision", seed=5)
    network: Any = encoder.network
    before = {name: value.clone() for name, value in network.named_parameters()}
    recalibrate(encoder, catalog, seed=7, num_pictures=48, batch_size=16)
    # by hand: the same pictures through the first convolution
    task, rng, fetcher = Reconstruction(), np.random.default_rng(7), Fetcher(catalog.directory)
    rows, means, variances = task.items(catalog), [], []
    for _ in range(3):
        shown = [
            make_example(task, catalog, lambda: fetcher, index=int(k), rng=rng)[1].arrays["frames"]
            for k in rng.choice(rows, 16)
        ]
        with torch.no_grad():
            seen = network.stem(encoder.normalise(torch.from_numpy(np.stack(shown))))
        means.append(seen.mean(dim=(0, 2, 3)).numpy())
        variances.append(seen.var(dim=(0, 2, 3), unbiased=True).numpy())
    layer = network.stem_norm
    assert layer.running_mean.numpy() == pytest.approx(np.mean(means, axis=0), abs=1e-4)
    assert layer.running_var.numpy() == pytest.approx(np.mean(variances, axis=0), rel=1e-3)
    assert layer.momentum == 0.1 and not encoder.training
    for name, value in network.named_parameters():
        assert torch.equal(value, before[name])
    with pytest.raises(InputError, match="no running statistics"):
        recalibrate(build_encoder("small", stream="vision", seed=5), catalog, seed=0)


def test_trained_rows_again_with_the_statistics_of_the_clips(data, tmp_path) -> None:
    for seed in (3, 4):
        encoder = build_encoder("small-bn", stream="vision", seed=seed)
        save_encoder(encoder, tmp_path / f"mine_{seed}", metadata={})
    rows = {"mine": [str(tmp_path / "mine_3"), str(tmp_path / "mine_4")]}
    made = make_recalibrated(rows, data, tmp_path / "out", seeds=[0, 1])
    assert list(made) == ["mine recalibrated"]
    for number, ref in enumerate(made["mine recalibrated"]):
        expected = build_encoder("small-bn", stream="vision", seed=3 + number)
        recalibrate(expected, Catalog.read(data).select(split="train"), seed=number)
        state = load_encoder(ref, stream="vision").state_dict()
        for name, value in expected.state_dict().items():
            assert torch.equal(state[name], value), name
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.*")}
    assert make_recalibrated(rows, data, tmp_path / "out", seeds=[0, 1]) == made
    assert before == {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.*")}
    other = {"mine": rows["mine"][::-1]}
    with pytest.raises(InputError, match=r"made from .*mine_3, not from .*mine_4; give another"):
        make_recalibrated(other, data, tmp_path / "out", seeds=[0, 1])


@pytest.mark.slow
@pytest.mark.parametrize("num_processes", [1, 2])
def test_rows_are_made_once(data, tmp_path, num_processes: int) -> None:
    pretext = Pretext(clips=str(data), steps=2, batch_size=8)

    def made() -> dict[str, list[str]]:
        return make_rows(
            ["random", "recalibrated", "reconstruction"],
            pretext,
            tmp_path,
            seeds=[0, 1],
            num_processes=num_processes,
            quiet=True,
        )

    rows = made()
    assert rows["random"] == [] and len(rows["reconstruction"]) == 2
    stamps = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*/*.safetensors")}
    assert len(stamps) >= 4 and made() == rows
    assert {path: path.stat().st_mtime_ns for path in stamps} == stamps
    other = dataclasses.replace(pretext, steps=3)
    with pytest.raises(InputError, match="holds another run"):
        make_rows(["reconstruction"], other, tmp_path, seeds=[0], quiet=True)
    # the recalibrated row has the weights that the random row of its seed begins with
    fresh = build_encoder("small-bn", stream="vision", seed=1)
    for (name, one), other in zip(
        load_encoder(rows["recalibrated"][1]).network.named_parameters(),
        fresh.network.parameters(),
        strict=True,
    ):
        assert torch.equal(one, other), name
    with pytest.raises(InputError, match="must be one of"):
        make_rows(["magic"], pretext, tmp_path, seeds=[0], quiet=True)


def test_floors_are_kept_and_tabled(data, tmp_path) -> None:
    found = run_floors(data, tmp_path, labels=[10], seeds=[0, 1])
    assert found == run_floors(tmp_path / "gone", tmp_path, labels=[10], seeds=[0, 1])
    table = floors_as_markdown(found)
    values = [one["test"] for one in found if one["kind"] == "HOG"]
    assert f"| HOG | 10 | {np.mean(values):.3f} | {values[0]:.3f} {values[1]:.3f} |" in table
