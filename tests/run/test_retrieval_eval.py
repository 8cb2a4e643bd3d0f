"""Retrieval of planted embeddings, and a whole run judged from the command line."""

import json

import numpy as np
import pytest

from avssl.cli import main
from avssl.config import config_from_recipe, replaced
from avssl.downstream.retrieval_metrics import relevance
from avssl.labels.sounding import class_path
from avssl.run.retrieval_eval import Embedded, figures_of
from avssl.run.train import train


def test_planted_embeddings() -> None:
    rng = np.random.default_rng(0)
    paths = [("f", "k", str(n // 3)) for n in range(12)]
    worth = relevance(paths, paths)
    centre = rng.standard_normal((4, 16))
    seen = np.stack([centre[n // 3] for n in range(12)]) + 0.01 * rng.standard_normal((12, 16))
    right = figures_of(Embedded(seen=seen, heard=3 * seen), worth)
    # the nearest are the two of the same instance, the others are alike: a perfect order
    for name in ("im-im", "im-aud", "aud-im", "aud-aud", "im-aud recall@1", "aud-im recall@1"):
        assert right[name] == pytest.approx(1.0)
    wrong = figures_of(Embedded(seen=seen, heard=-seen), worth)
    assert wrong["im-im"] == pytest.approx(1.0) and wrong["im-aud recall@1"] == 0.0
    assert wrong["im-aud"] < 0.95
    apart = figures_of(Embedded(seen=seen, heard=seen[:, :8]), worth)
    assert set(apart) == {"im-im", "aud-aud"}  # no common space: nothing to find across


def test_classes(make_row) -> None:
    thing = {"kind": "drum", "name": "train-drum-001", "sounding": True}
    world = {"world_version": 4, "things": [thing], "people": [], "sound_kind": "drum"}
    assert class_path(make_row(labels=world)) == ("struck", "drum", "train-drum-001")
    assert class_path(make_row(labels={"sounding": {"class": "dog"}})) == ("dog",)
    assert class_path(make_row(labels={"class": "cat"})) == ("cat",)
    assert class_path(make_row(labels={"class_path": ["atari", "pong"]})) == ("atari", "pong")
    assert class_path(make_row(labels={"class_path": [3], "class": "cat"})) == ("cat",)
    assert class_path(make_row()) == ()


@pytest.mark.slow
def test_a_run_from_training_to_its_figures(tmp_path, capsys) -> None:
    """A tiny world: train both ways, localise, retrieve; every file is there and reads."""
    from avssl.prepare import PrepareSettings, prepare
    from avssl.world import make_world

    world, data = tmp_path / "world", tmp_path / "data"
    make_world(world, num_train=4, num_validation=2, num_test=3, seed=1, short_side_px=64,
               duration_s=2.0, quiet=True)  # fmt: skip
    prepare(world, data, settings=PrepareSettings(short_side_px=64, gop=1), quiet=True)
    for name, changes in (
        ("audio-visual-contrast", {}),
        ("audio-visual-correspondence", {"task.fusion": "ave"}),
    ):
        run = tmp_path / name
        config = config_from_recipe(name, "small", data=str(data), out=str(run))
        small = {"steps": 2, "batch_size": 4, "task.size_px": 32, "workers": 0,
                 "num_evaluation_samples": 4, "tensorboard": False}  # fmt: skip
        train(replaced(config, {**small, **changes}), quiet=True)
        capsys.readouterr()
        words = [str(run), "--data", str(data), "--quiet"]
        assert main(["eval", "localization", *words, "--per-clip", "1"]) == 0
        assert main(["eval", "retrieval", *words]) == 0
        shown = capsys.readouterr().out
        assert "| centred disc |" in shown and "| random order |" in shown
        for kind in ("localization", "retrieval"):
            found = json.loads((run / f"{kind}_test.json").read_text())
            assert found["data"] == str(data) and "network" in found["rows"]
        out = tmp_path / f"{name}.mp4"
        video = next((world / "test").glob("*.mp4"))
        assert main(["localize", str(run), str(video), "-o", str(out), "--quiet"]) == 0
        assert out.stat().st_size > 10_000
    assert main(["eval", "retrieval", str(run), "--data", str(tmp_path)]) == 2
    assert "no catalog.parquet there" in capsys.readouterr().err
