"""Several tasks as one object: names, what is refused, the shares of the policies."""

import dataclasses
import itertools
import json
import math
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import avssl.pretext
from avssl.config import (
    config_from_json,
    config_from_recipe,
    config_to_json,
    differences,
    recipes,
    replaced,
)
from avssl.data import BatchKey
from avssl.errors import InputError
from avssl.pretext.multi import Multi
from avssl.pretext.multi_recipes import RECIPES
from avssl.pretext.reconstruction import Reconstruction
from avssl.pretext.shuffle_and_learn import ShuffleAndLearn
from avssl.run.feed import batch_keys
from avssl.run.parallel import Processes
from avssl.run.turns import Turns
from avssl.task import describe

TASKS = (Reconstruction(size_px=32, answer_px=16), ShuffleAndLearn(size_px=32))
NAMES = ("reconstruction", "shuffle-and-learn")


def record(*rounds: tuple[tuple[float, int], ...]) -> np.ndarray:
    """Rounds of (mean loss, samples) a task → sums, as `Turns` keeps them."""
    return np.array([[(mean * count, count) for mean, count in one] for one in rounds])


# --- policies ---------------------------------------------------------------------------------


def test_progress_by_hand() -> None:
    task = Multi(tasks=TASKS, balance="progress", compare_rounds=1, least_share=0.4)
    # from 4 to 3 is a fall of ¼, from 1.0 to 0.5 one of ½: a third and two thirds of what is free
    found = task.shares(record(((9.0, 8), (9.0, 8)), ((4.0, 8), (1.0, 16)), ((3.0, 4), (0.5, 8))))
    assert found == pytest.approx([0.2 + 0.6 / 3, 0.2 + 0.6 * 2 / 3])
    # a loss that rises counts as one that stands still; where all do, shares are equal
    assert task.shares(record(((1.0, 8), (1.0, 8)), ((2.0, 8), (0.9, 8)))) == pytest.approx(
        [0.2, 0.8]
    )
    assert task.shares(record(((1.0, 8), (1.0, 8)), ((2.0, 8), (1.0, 8)))).tolist() == [0.5, 0.5]
    assert task.shares(record(((1.0, 8), (1.0, 8)))).tolist() == [0.5, 0.5]  # too few rounds
    # two rounds at a time: means over all their samples
    two = dataclasses.replace(task, compare_rounds=2)
    rounds = ((5.0, 8), (1.0, 8)), ((3.0, 24), (1.0, 8)), ((3.0, 8), (1.0, 8)), ((2.0, 8), (1.0, 8))
    assert two.shares(record(*rounds)) == pytest.approx([0.8, 0.2])  # 3.5 → 2.5, 1 → 1
    assert dataclasses.replace(task, balance="uniform").shares(record(*rounds)).tolist() == [
        0.5, 0.5,
    ]  # fmt: skip


@given(
    losses=st.lists(st.tuples(*[st.floats(0, 1e6)] * 3), min_size=0, max_size=9),
    least=st.floats(0.1, 1),
    width=st.integers(1, 3),
)
def test_shares_add_up_to_one_and_none_falls_below_the_least(losses, least, width) -> None:
    third = config_from_recipe("audio-visual-sync", data="d", out="o").task
    task = Multi(tasks=(*TASKS, third), balance="progress", least_share=least, compare_rounds=width)
    found = task.shares(np.array([[(x * 8, 8) for x in one] for one in losses]).reshape(-1, 3, 2))
    assert found.sum() == pytest.approx(1)
    assert (found >= least / 3 - 1e-12).all()


def _config(**changes):
    given = {"steps": 60, "batch_size": 4, "task.round_steps": 10, "evaluate_every": 0}
    return config_from_recipe(
        "multi", data="d", out="o", tasks=NAMES, **{**given, **changes}
    )  # fmt: skip


def _turns(config) -> Turns:
    return Turns(config, Processes(device=torch.device("cpu")))


def test_each_task_counts_its_own_steps_and_a_run_goes_on_anywhere() -> None:
    config = _config(**{"task.balance": "progress", "task.compare_rounds": 1})
    turns, found, saved = _turns(config), [], {}
    for step in range(60):
        saved[step] = turns.state() and {k: v.clone() for k, v in turns.state().items()}
        name, number = turns.at(step)
        assert number == sum(name == other for other, _ in found)
        found.append((name, number))
        fast = 0.5 ** (step / 10) if name == NAMES[1] else 1.0
        turns.note(name, {"loss": torch.tensor([4 * fast, 4.0], dtype=torch.float64)})
        turns.done(step + 1)
    # rounds 0 to 2 know nothing yet; from round 3 on the one whose loss falls has ¾ of the steps
    counts = [sum(name == NAMES[1] for name, _ in found[r : r + 10]) for r in range(0, 60, 10)]
    assert counts[:3] == [5, 5, 5] and all(count in (7, 8) for count in counts[3:])
    for step in (0, 7, 10, 33, 59):
        again = _turns(config)
        again.restore(saved[step])
        last = min(60, (step // 10 + 2) * 10)
        assert [again.at(k) for k in range(step, last)] == found[step:last]
        with pytest.raises(RuntimeError, match="are over"):
            again.at((step // 10 + 2) * 10)


@settings(max_examples=30)
@given(
    workers=st.integers(0, 30),
    steps=st.integers(4, 20),
    start=st.integers(0, 40),
    sent=st.booleans(),
)
def test_loaders_never_ask_for_a_step_that_is_not_known(workers, steps, start, sent) -> None:
    config = _config(steps=60, **{"task.round_steps": steps, "num_evaluation_samples": 8})
    turns = _turns(config)
    saved = np.zeros((start // steps, 2, 2))
    turns.restore({
        "turns/record": torch.from_numpy(saved), "turns/row": torch.zeros(2, 2),
        "turns/scales": torch.ones(2).double(),
    })  # fmt: skip
    workers, prefetch = turns.workers_and_prefetch(workers)
    keys = batch_keys(config, turns, start=start, evaluated=NAMES if sent else ())
    waiting = list(itertools.islice(keys, workers * prefetch))
    done = start
    while done < 60:  # a loader asks for one more before it hands one over
        waiting.extend([key for key in [next(keys, None)] if key])
        if waiting.pop(0).split == "train":
            done += 1
            turns.done(done)


def test_the_batches_that_are_measured_come_first() -> None:
    config = _config(**{"task.balance": "loss-scale"})
    first = [BatchKey(split="train", task=name, number=0) for name in NAMES]
    keys = batch_keys(config, _turns(config), start=0, evaluated=())
    assert [next(keys), next(keys)] == first
    assert next(keys) in first  # the first step has the same batch again
    config = replaced(config, {"steps": 20})
    again = batch_keys(config, _turns(config), start=3, evaluated=())
    assert len(list(again)) == 17  # none is measured twice


# --- configuration ----------------------------------------------------------------------------


@settings(max_examples=30)
@given(
    balance=st.sampled_from(["uniform", "loss-scale", "progress"]),
    round_steps=st.integers(4, 100),
    weights=st.sampled_from([(), (1.0, 0.03), (2.0, 2.0)]),
    own=st.booleans(),
    of=st.sampled_from(["", *NAMES]),
    size_px=st.integers(16, 96),
    turned=st.booleans(),
)
def test_json_round_trip(balance, round_steps, weights, own, of, size_px, turned) -> None:
    names = NAMES[::-1] if turned else NAMES
    config = config_from_recipe(
        "multi", data="d", out="o", tasks=names,
        **{"task.balance": balance, "task.round_steps": round_steps, "task.statistics_of": of,
           "task.weights": weights, "task.own_statistics": own,
           "task.shuffle_and_learn.size_px": size_px},
    )  # fmt: skip
    value = json.loads(json.dumps(config_to_json(config)))
    assert config_from_json(value) == config
    assert value["task"]["tasks"] == list(names)
    assert value["task"]["weights"] == list(weights)
    assert value["task"]["shuffle_and_learn"]["size_px"] == size_px
    assert pickle.loads(pickle.dumps(config)) == config and hash(config.task)
    # each knob counts as one, and so does the order
    assert differences(config, replaced(config, {"task.reconstruction.hidden": 7})) == [
        "task.reconstruction.hidden: 512 there, 7 here"
    ]
    other = config_from_recipe("multi", data="d", out="o", tasks=names[::-1])
    assert any(line.startswith("task.tasks: ") for line in differences(config, other))


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"tasks": ("reconstruction",)}, "name two or more, each once"),
        ({"tasks": ("reconstruction", "reconstruction")}, "name two or more, each once"),
        ({"tasks": ("reconstructin", "keypoints")}, "did you mean 'reconstruction'?"),
        ({"tasks": ("reconstruction", "keypoints")}, "keypoints cannot be one of several"),
        ({"tasks": ("reconstruction", "multi")}, "no task 'multi'"),
        ({"tasks": NAMES, "task.balance": "fair"}, "must be uniform, loss-scale or progress"),
        ({"tasks": NAMES, "task.round_steps": 3}, "round_steps 3: too few for 2 tasks"),
        ({"tasks": NAMES, "task.least_share": 0}, "least_share 0: must be above 0"),
        ({"tasks": NAMES, "task.weights": (1.0,)}, "weights 1: give one for each of"),
        ({"tasks": NAMES, "task.weights": (1.0, 0.0)}, "weights 1 0: must be above 0"),
        ({"tasks": NAMES, "task.weights": (math.inf, 1.0)}, "weights inf 1: must be above 0"),
        ({"tasks": NAMES, "task.statistics_of": "jigsaw"}, "must be one of reconstruction"),
        ({"tasks": NAMES, "task.shuffle_and_lern.size_px": 3}, "did you mean 'shuffle_and_learn'"),
    ],
    ids=str,
)
def test_what_is_wrong_is_one_line(how, message) -> None:
    with pytest.raises(InputError) as error:
        config_from_recipe("multi", data="d", out="o", **how)
    assert message in str(error.value) and "\n" not in str(error.value)


def test_a_file_with_a_wrong_knob_names_the_place() -> None:
    value = config_to_json(_config())
    value["task"]["reconstruction"]["hiden"] = 3
    with pytest.raises(InputError, match=r"task\.reconstruction\.hiden"):
        config_from_json(value)
    del value["task"]["tasks"]
    with pytest.raises(InputError, match=r"task\.tasks"):
        config_from_json(value)


def test_tasks_and_networks_come_from_the_tasks_own_recipes() -> None:
    config = config_from_recipe("multi", data="d", out="o", tasks=("audio-visual-sync", *NAMES))
    assert config.task.parts == {name: recipes(name)["small"].task for name in config.task.parts}
    assert tuple(config.task.parts) == ("audio-visual-sync", *NAMES)
    sync = recipes("audio-visual-sync")["small"].settings
    assert (config.vision, config.sound) == (sync["vision"], sync["sound"])
    assert describe(config.task).startswith("multi(audio-visual-sync(), reconstruction(), shuffle")
    with pytest.raises(InputError, match="only `avssl train multi`"):
        config_from_recipe("reconstruction", data="d", out="o", tasks=NAMES)


def test_a_recipe_with_tasks_is_offered_where_they_all_are(monkeypatch) -> None:
    both = {name: avssl.pretext.TASKS[name] for name in RECIPES["beast"].tasks}
    table = {k: v for k, v in avssl.pretext.TASKS.items() if k not in both}
    monkeypatch.setattr(avssl.pretext, "TASKS", table)
    assert list(recipes("multi")) == ["small"]
    for name, kind in both.items():
        monkeypatch.setitem(table, name, kind)
    config = config_from_recipe("multi", "beast", data="d", out="o")
    assert tuple(config.task.parts) == ("masked-autoencoding", "frame-contrast")
    assert config.vision == "small-vit-class" and config.recipe == "beast"
    assert config.task.weights == (1.0, 0.03)  # its config file's infoNCE weight
    assert config.task.parts["frame-contrast"].temperature == 1.0  # where its own begins
    assert config_from_json(config_to_json(config)) == config
    with pytest.raises(InputError, match="has its own tasks"):
        config_from_recipe("multi", "beast", data="d", out="o", tasks=NAMES)
