"""The training loop: it knows processes, steps and files, and no science.

    config → processes → task, encoders, learner → wrap → optimiser → resume → loader from that step
    → per step: learning rate, forward, backward, clip, step → when due: log, evaluate, save

Batch k is a function of (seed, k) and so are the random numbers of the networks: a run that was
killed and resumed is bit-equal, on the same machine and CPU, to one that was not.
"""

import contextlib
import copy
import dataclasses
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from avssl.catalog import Catalog
from avssl.config import OptimConfig, TrainConfig, recipes
from avssl.data import choose_num_workers, dead_workers_in_one_line, load
from avssl.errors import AvsslError, InputError
from avssl.progress import progress_bar
from avssl.run import checkpoint, folder
from avssl.run.evaluate import evaluate
from avssl.run.feed import batch_keys, due, make_batches, parts, to_device
from avssl.run.log import Clock, RunLog, last_scores
from avssl.run.optim import (
    build_optimizer,
    ema_decay,
    learning_rate,
    set_learning_rate,
    update_ema,
)
from avssl.run.parallel import (
    Processes,
    any_process,
    autocast,
    processes,
    reduce_sums,
    shard,
    threads_beside_loaders,
    without_sync,
    wrap,
)
from avssl.run.stopping import Stopped, StopSignals
from avssl.run.turns import Turns
from avssl.task import Learner, parts_of, task_of, widths_of


def train(config: TrainConfig, *, quiet: bool = False, kept_batches: Path | None = None) -> Path:
    """Trains, or goes on with the same run, and gives the run's folder.

    Args:
        config: the run; see `avssl.config`.
        quiet: no progress bar.
        kept_batches: a folder for drawn batches, shared by runs of one process each that differ in
            networks and learning rates only.

    Raises:
        InputError: the configuration or the data is wrong, or the folder holds another run.
        MediaError: a file of the data set cannot be read; it is never replaced by another.
        AvsslError: the work failed: the loss is not finite, the disk is full.
        Stopped: a signal came; the step was finished and saved.
    """
    with (
        processes(config.device, config.parallel) as here,
        torch.random.fork_rng(),
        StopSignals() as signals,
        dead_workers_in_one_line(),
        _want_of_memory_in_one_line(config),
        threads_beside_loaders(here),
    ):
        return _train(config, here, signals, quiet=quiet, kept=kept_batches)


def resume(
    directory: str | os.PathLike[str],
    *,
    steps: int | None = None,
    data: str | None = None,
    workers: int | None = None,
    quiet: bool = False,
) -> Path:
    """Goes on with a run from its newest checkpoint; only its length may differ.

    Args:
        directory: the run's folder.
        steps: a new number of steps in all (a cosine schedule is stretched with it).
        data: where the same data set lies now.
        workers: another number of loader processes.
        quiet: no progress bar.

    Raises:
        InputError: the folder holds no run.
    """
    config = folder.continued(directory, steps=steps, data=data, workers=workers)
    return train(config, quiet=quiet)


def build_learner(config: TrainConfig) -> Learner:
    """Builds the networks: from `init` where it holds the stream, else fresh from the seed.

    Raises:
        InputError: the task's sound has another rate than the sound encoder.
    """
    from avssl.model import build_encoder

    encoders: dict[str, Any] = {}
    for stream in config.task.streams:
        if config.init and folder.holds_stream(config.init, stream):
            encoders[stream] = folder.initial_encoder(config, stream)
        else:
            encoders[stream] = build_encoder(
                getattr(config, stream), stream=stream, seed=config.seed
            )
    for name, part in parts_of(config.task).items():
        asked, of = getattr(part, "rate_hz", None), f"{name}." if name else ""
        if "sound" in part.streams and asked != encoders["sound"].rate_hz:
            raise InputError(
                f"task.{of.replace('-', '_')}rate_hz {asked}: the sound encoder "
                f"{encoders['sound'].name} hears {encoders['sound'].rate_hz} Hz; give "
                f"--task.{of}rate-hz {encoders['sound'].rate_hz}"
            )
    torch.manual_seed(config.seed)
    return Learner(task=config.task, encoders=encoders, widths=widths_of(encoders)).train()


def _train(
    config: TrainConfig,
    here: Processes,
    signals: StopSignals,
    *,
    quiet: bool,
    kept: Path | None,
) -> Path:
    directory, quiet = Path(config.out), quiet or not here.first
    catalog = Catalog.read(config.data)
    if hasattr(config.task, "completed"):
        config = dataclasses.replace(config, task=config.task.completed(catalog))
    batches = make_batches(config, catalog, here, quiet=quiet, kept=kept)

    learner = build_learner(config)
    handed_on = copy.deepcopy(learner.encoders)
    head = copy.deepcopy(learner.head) if getattr(config.task, "keeps_head", False) else None
    learner = _laid_out(learner.to(here.device), config)
    ema = copy.deepcopy(learner).eval().requires_grad_(False) if config.ema_decay else None
    begun = (directory / folder.RUN_FILE).is_file()
    folder.claim(config, here)
    notes = folder.Notes(config, here, catalog=catalog, batches=batches, learner=learner)
    if config.compile:
        learner.compile()
    wrapped = wrap(learner, parallel=config.parallel, processes=here)
    if ema is not None and config.parallel == "fsdp2":
        shard(ema, processes=here)
    optimizer = build_optimizer(learner, config.optim)

    # Where the weights come from, first match: 1. the run's own newest checkpoint; 2. `init`
    # (in build_learner); 3. the seed (there too).
    start, sums, turns = 0, {}, Turns(config, here)
    if saved := checkpoint.list_checkpoints(directory):
        start = folder.check_facts(saved[-1], config, catalog.fingerprint())
        sums = checkpoint.restore(saved[-1], learner=learner, ema=ema, optimizer=optimizer)
        turns.restore(checkpoint.read_below(saved[-1], turns.prefix))
        # They are totals over all processes: one of them goes on with them.
        sums = {
            k: (v if here.first else torch.zeros_like(v)).to(here.device) for k, v in sums.items()
        }
        if not quiet and start < config.steps:
            folder.say(f"{directory}: goes on after step {start}")
    elif begun and not quiet:
        folder.say(f"{directory}: has no checkpoint to go on from; begins again at step 0")

    def save(done: int) -> None:
        log.flush()
        totals = reduce_sums(sums)
        state = checkpoint.gather_state(
            learner=learner, ema=ema, optimizer=optimizer, sums=totals, more=turns.state()
        )
        if here.first:
            facts = {"data_fingerprint": catalog.fingerprint()}
            keep = config.keep_checkpoints
            checkpoint.save(directory, state, step=done, facts=facts, keep=keep)

    keys = batch_keys(config, turns, start=start, evaluated=batches.evaluated)
    pin = here.device.type == "cuda"
    wanted = choose_num_workers(config.workers, num_processes=here.num, on_gpu=pin)
    workers, ahead = turns.workers_and_prefetch(wanted)
    stream = load(batches, keys, num_workers=workers, pin_memory=pin, prefetch=ahead)
    log = RunLog(directory, step=start, tensorboard=config.tensorboard, enabled=here.first)
    first_bad, clock = torch.tensor(-1, device=here.device), Clock(here.device)
    title = f"train {config.task.name}"
    with (
        contextlib.closing(log),
        progress_bar(title, total=config.steps, unit="step", start=start, quiet=quiet) as bar,
    ):
        notes.write(status="running", step=start, scores=last_scores(directory))
        passes = (parts(to_device(batch, here.device), config.accumulate) for batch in stream)
        turns.measure(learner, passes, start=start)
        for step in range(start, config.steps):
            rate = learning_rate(config.optim, step=step, steps=config.steps)
            set_learning_rate(optimizer, config.optim, rate=rate, step=step)
            with clock.waiting():
                batch = to_device(next(stream), here.device)
            name = task_of(batch)
            factor = turns.factor(name)
            torch.manual_seed(_step_seed(config.seed, step, here.rank))
            for number, part in enumerate(parts(batch, config.accumulate), start=1):
                with without_sync(wrapped, number < config.accumulate):
                    with autocast(config, here.device):
                        result = wrapped(part)
                    (result.loss * factor / config.accumulate).backward()
                turns.note(name, result.sums)
                # Nothing waits for a GPU here: a loss that is not finite is noted there.
                is_first = ~torch.isfinite(result.loss.detach()) & (first_bad < 0)
                first_bad = torch.where(is_first, step, first_bad)
                for key, pair in result.sums.items():
                    sums[key] = sums[key] + pair if key in sums else pair
            if config.optim.clip_norm:
                pair = _clip(learner, config.optim.clip_norm)
                sums["gradient_norm"] = (
                    sums["gradient_norm"] + pair if "gradient_norm" in sums else pair
                )

            done = step + 1
            logs, saves = due(config.log_every, done, config), due(config.save_every, done, config)
            looks = logs or saves or here.device.type == "cpu"
            if looks and any_process(first_bad.item() >= 0, here):
                raise _not_finite(int(first_bad.item()), config)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            if ema is not None:
                update_ema(ema, learner, ema_decay(config.ema_decay, step))
            turns.done(done)
            clock.count(config.batch_size)
            bar.advance()

            if logs or saves:
                sums = reduce_sums(sums)
            if logs:
                if here.first:
                    means = {name: (sums[name][0] / sums[name][1]).item() for name in sorted(sums)}
                    log.metrics({**means, "learning_rate": rate}, step=done, split="train")
                    log.timings(clock.read(), step=done)
                    bar.say(f"loss {means['loss']:.3f}")
                sums = {}
            if batches.evaluated and due(config.evaluate_every, done, config):
                scores = evaluate(ema or learner, stream, config, here, evaluated=batches.evaluated)
                log.metrics(scores, step=done, split="validation")
                if not quiet:
                    bar.print(f"step {done}: {folder.beside_trivial(scores, notes.trivial)}")
                clock.restart()
            stops = looks and any_process(signals.number != 0, here) and done < config.steps
            if saves or stops:
                save(done)
            if stops:
                notes.write(status="stopped", step=done, scores=last_scores(directory))
                raise Stopped(signals.number, step=done, directory=directory)
    if here.first:
        state = checkpoint.read_state(checkpoint.list_checkpoints(directory)[-1])
        notes.hand_on(handed_on, head, state, step=config.steps, scores=last_scores(directory))
        notes.write(status="done", step=config.steps, scores=last_scores(directory))
    return directory


def _step_seed(seed: int, step: int, rank: int) -> int:
    return int(np.random.SeedSequence((seed, step, rank)).generate_state(1, np.uint64)[0] >> 1)


def _clip(learner: Learner, longest: float) -> torch.Tensor:
    """Shortens the gradient and gives (its norm before, 1) to be summed."""
    norm: Any = torch.nn.utils.clip_grad_norm_(learner.parameters(), longest)
    norm = norm.full_tensor() if hasattr(norm, "full_tensor") else norm
    return torch.stack([norm.double(), torch.ones_like(norm, dtype=torch.float64)])


def _laid_out(learner: Learner, config: TrainConfig) -> Learner:
    if config.channels_last:
        layouts = {4: torch.channels_last, 5: torch.channels_last_3d}
        for weight in learner.parameters():
            if weight.ndim in layouts:
                weight.data = weight.data.to(memory_format=layouts[weight.ndim])
    return learner


def _not_finite(step: int, config: TrainConfig) -> AvsslError:
    where = f"step {step + 1}" if step >= 0 else "another process"
    recipe = recipes(config.task.name).get(config.recipe)
    usual = recipe.settings.get("optim.lr", OptimConfig.lr) if recipe else 0.0
    lower = f"{usual:g}, the recipe's" if 0 < usual < config.optim.lr else "a tenth of it"
    ways = [f"--optim.lr {config.optim.lr:g} may be too high: try {lower}", "--optim.clip-norm 1"]
    if not config.optim.warmup_steps:
        ways.append("--optim.warmup-steps 100")
    if config.precision != "fp32":
        ways.append("--precision fp32")
    saved = checkpoint.list_checkpoints(config.out)
    last = f"; {saved[-1].name} in {config.out} is from before it" if saved else ""
    return AvsslError(f"{where}: the loss is not finite; {', or '.join(ways)}{last}")


@contextlib.contextmanager
def _want_of_memory_in_one_line(config: TrainConfig) -> Iterator[None]:
    """Says in one line that a batch or the networks do not fit."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        words = str(error)
        if not isinstance(error, MemoryError | torch.OutOfMemoryError) and (
            "can't allocate memory" not in words
        ):
            raise
        raise AvsslError(
            f"out of memory ({words.splitlines()[0]}); try a --batch-size below "
            f"{config.batch_size}, more --accumulate (now {config.accumulate}), or a smaller "
            "network"
        ) from error
