"""`avssl train`, `avssl resume` and `avssl tasks`: a thin skin over `avssl.run.train`."""

import contextlib
import dataclasses
import io
import os
from collections.abc import Sequence
from pathlib import Path

from avssl.catalog import Catalog
from avssl.config import TrainConfig, config_from_recipe, recipes, task_classes
from avssl.config_tasks import closed, default_recipe, opened
from avssl.errors import AvsslError, InputError
from avssl.usage import of_box

_TRAIN_USAGE = """\
usage: avssl train TASK --data DST --out RUN [--init REF] [--recipe NAME] [--FIELD VALUE …]
       avssl train multi --tasks NAME NAME … --data DST --out RUN [--task.NAME.FIELD VALUE …]

Trains a task on a prepared data set and leaves its encoders in the folder RUN. Stop it at any
moment; the same command, or `avssl resume RUN`, goes on from the newest checkpoint.
On several GPUs: torchrun --nproc-per-node N -m avssl train TASK …

tasks:
{tasks}

`avssl train TASK --help` lists every field of the run and of that task."""
_RESUME_USAGE = """\
usage: avssl resume RUN [--steps N] [--data DST] [--workers N]

Goes on with a run from its newest checkpoint, with the configuration in RUN/config.json.

  --steps N     a new number of steps in all
  --data DST    where the same data set lies now
  --workers N   another number of processes that make batches"""


def train(arguments: Sequence[str]) -> int:
    """`avssl train`."""
    words = list(arguments)
    if not words or words[0] in ("-h", "--help"):
        print(_TRAIN_USAGE.format(tasks=_task_lines()))
        return 0 if words else 2
    if words[0].startswith("-"):
        raise InputError(f"{words[0]!r} comes before the task; `avssl train TASK --data …`")
    task_name, *words = words
    recipe_name = _take(words, "--recipe")
    config = parse(task_name, recipe_name, words)
    from avssl.run.train import train as run

    _finish(run(config))
    return 0


def resume(arguments: Sequence[str]) -> int:
    """`avssl resume`."""
    words = list(arguments)
    if not words or words[0] in ("-h", "--help"):
        print(_RESUME_USAGE)
        return 0 if words else 2
    steps, data, workers = (_take(words, f"--{name}") for name in ("steps", "data", "workers"))
    if len(words) != 1 or words[0].startswith("-"):
        odd = next((word for word in words if word.startswith("-")), " ".join(words))
        raise InputError(f"{odd!r} is not understood; `avssl resume RUN [--steps N]`")
    from avssl.run.train import resume as run

    directory = run(
        words[0],
        steps=_whole(steps, "--steps"),
        data=str(Path(data).absolute()) if data else None,
        workers=_whole(workers, "--workers"),
    )
    _finish(directory)
    return 0


def tasks(arguments: Sequence[str]) -> int:
    """`avssl tasks`."""
    if arguments and arguments[0] not in ("-h", "--help"):
        raise InputError(f"{arguments[0]!r}: `avssl tasks` takes nothing")
    print(_task_lines())
    return 0


def parse(
    task_name: str, recipe_name: str, words: Sequence[str], *, program: str = "avssl train"
) -> TrainConfig:
    """Gives the recipe's configuration with the flags in `words` on top.

    Args:
        task_name: on the command line.
        recipe_name: "" for the first.
        words: the flags.
        program: whose `TASK --help` a mistake is told to look at.

    Raises:
        InputError: an unknown flag (with the nearest one), or a wrong value.
    """
    import tyro

    words = list(words)
    names = _take_all(words, "--tasks")
    # tyro leaves "required" standing where a default instance holds this mark.
    start = config_from_recipe(
        task_name, recipe_name, data=tyro.MISSING, out=tyro.MISSING, tasks=names
    )
    start = dataclasses.replace(start, task=opened(start.task))
    known = recipes(task_name)
    about = "\n\n".join(f"recipe {name}: {recipe.about}" for name, recipe in known.items())
    summary = task_classes()[task_name].summary
    errors = io.StringIO()
    try:
        with contextlib.redirect_stderr(errors):
            config = tyro.cli(
                TrainConfig,
                default=start,
                prog=f"{program} {task_name}",
                args=words,
                description=f"{summary}\n\n{about}",
            )
    except SystemExit as stop:
        if not stop.code:
            raise
        raise InputError(of_box(errors.getvalue(), f"{program} {task_name}")) from None
    task = closed(config.task)
    if not getattr(task, "parts", True):
        raise InputError(f"{task_name}: which tasks? --tasks NAME NAME …, see `avssl tasks`")
    return dataclasses.replace(
        config, task=task, data=str(Path(config.data).absolute()), out=str(Path(config.out))
    )


def _task_lines() -> str:
    """Gives a line a task: name, summary, and what the best blind guess scores, where the task is
    set as `avssl train TASK` takes it: by its first recipe."""
    classes = task_classes()
    width = max(map(len, classes), default=0)
    empty = Catalog.from_rows([])
    lines = []
    for name, kind in classes.items():
        known = recipes(name)
        try:
            task = known[default_recipe(known)].task if known else kind()
            scores = task.trivial(empty)
            blind = ", ".join(f"{k} {v:g}" for k, v in scores.items()) or "of each"
        except (AvsslError, ValueError, ZeroDivisionError, IndexError):
            blind = "depends on the data"
        lines.append(f"  {name:<{width}}  {kind.summary} (blind guess: {blind})")
    return "\n".join(lines)


def _take(words: list[str], flag: str) -> str:
    """Takes `flag VALUE` or `flag=VALUE` out of `words` and gives the value, or ""."""
    _at_most_once(words, flag)
    for place, word in enumerate(words):
        if word.startswith(f"{flag}="):
            del words[place]
            return word.partition("=")[2]
        if word == flag:
            if place + 1 == len(words):
                raise InputError(f"{flag} needs a value")
            value = words[place + 1]
            del words[place : place + 2]
            return value
    return ""


def _take_all(words: list[str], flag: str) -> list[str]:
    """Takes `flag VALUE VALUE …` out of `words` and gives the values, up to the next flag."""
    _at_most_once(words, flag)
    start = next((k for k, word in enumerate(words) if word.partition("=")[0] == flag), -1)
    if start < 0:
        return []
    if "=" in words[start]:  # of `flag=VALUE VALUE …`
        words[start : start + 1] = words[start].split("=", 1)
    stop = next((k for k in range(start + 1, len(words)) if words[k].startswith("-")), len(words))
    values = words[start + 1 : stop]
    if not values:
        raise InputError(f"{flag} needs names, as in {flag} rotation relative-position")
    del words[start:stop]
    return values


def _at_most_once(words: Sequence[str], flag: str) -> None:
    """A flag that is taken out once would leave its second value to somebody else, or to nobody."""
    if sum(word.partition("=")[0] == flag for word in words) > 1:
        raise InputError(f"{flag}: given twice; leave one out")


def _whole(text: str, flag: str) -> int | None:
    if not text:
        return None
    try:
        return int(text)
    except ValueError:
        raise InputError(f"{flag} {text!r}: must be a whole number") from None


def _finish(directory: Path) -> None:
    """Writes the run's report and says what there is; of several processes one does it."""
    if int(os.environ.get("RANK", "0")):
        return
    from avssl.run.report import write_report

    report = directory / "report.html"
    try:
        write_report([directory], report)
        more = report.name
    except AvsslError as error:  # the encoders are there: a report is not worth failing for
        more = f"no report ({error})"
    print(f"{directory}: done; {_encoders(directory)}, {more}")


def _encoders(directory: Path) -> str:
    return ", ".join(path.name for path in sorted(directory.glob("*_encoder.safetensors")))
