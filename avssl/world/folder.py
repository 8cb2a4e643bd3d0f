"""A folder of clips and their truth, filled clip by clip: what every maker of videos shares.

Layout: `<split>/<clip>.mp4`, `truth/<split>/<clip>.json`, `truth/<labels>_<split>.json`, and
`world.json` with settings and counts.
"""

import json
import multiprocessing
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any, Protocol, TypeVar

from avssl.errors import InputError
from avssl.files import write_json
from avssl.progress import progress_bar

MANIFEST = "world.json"


class Named(Protocol):
    """What a clip depends on; here only its place matters."""

    @property
    def split(self) -> str:
        """Folder of the clip."""
        ...

    @property
    def clip_id(self) -> str:
        """Name of its files, without suffix."""
        ...


Spec = TypeVar("Spec", bound=Named)


def clip_paths(directory: Path, spec: Named) -> tuple[Path, Path]:
    """Gives where a clip's video and truth belong."""
    return (
        directory / spec.split / f"{spec.clip_id}.mp4",
        directory / "truth" / spec.split / f"{spec.clip_id}.json",
    )


def check_manifest(directory: Path, settings: dict[str, Any], counts: dict[str, int]) -> bool:
    """Tells whether the folder already holds exactly this world; refuses any other."""
    path = directory / MANIFEST
    if not path.is_file():
        if directory.is_dir() and any(directory.iterdir()):
            raise InputError(f"{directory}: not empty and no world; choose an empty folder")
        return False
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        old, old_counts = found["settings"], found["counts"]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: damaged; delete the folder and make the world again") from error
    if old != settings or any(counts[split] < old_counts.get(split, 0) for split in counts):
        raise InputError(
            f"{directory}: holds another world ({json.dumps({**old, **old_counts})}); "
            "choose another folder or delete it"
        )
    return bool(found["complete"]) and old_counts == counts


def fill_folder(
    root: Path,
    specs: Sequence[Spec],
    *,
    settings: dict[str, Any],
    counts: dict[str, int],
    make_clip: Callable[[Path, Spec], object],
    write_labels: Callable[[Path, Sequence[Spec]], None],
    title: str,
    note: str = "",
    workers: int | None = None,
    quiet: bool = False,
) -> Path:
    """Makes the clips that are not there yet, then the labels of the splits.

    Args:
        root: an empty folder, a new one, or one that holds these clips in part.
        specs: one for each clip.
        settings: what all clips share; goes into the manifest, and another folder's is refused.
        counts: clips in each split.
        make_clip: writes one clip and, last, its truth; a function of a module, so that other
            processes find it.
        write_labels: writes the splits' label files from the clips' truths.
        title: of the progress bar.
        note: said at its end before the first clip is made.
        workers: processes, by default one for each core.
        quiet: show no progress.

    Raises:
        InputError: the folder holds something else.
    """
    if root.exists() and not root.is_dir():
        raise InputError(f"{root}: is a file; name a folder")
    if check_manifest(root, settings, counts):
        return root
    manifest = {"settings": settings, "counts": counts, "complete": False}
    write_json(root / MANIFEST, manifest)

    todo = [spec for spec in specs if not all(path.is_file() for path in clip_paths(root, spec))]
    workers = min(workers or os.cpu_count() or 1, max(len(todo), 1))
    done = len(specs) - len(todo)
    with progress_bar(title, total=len(specs), unit="clip", start=done, quiet=quiet) as bar:
        if todo and note:
            bar.say(note)
        if workers == 1:
            for spec in todo:
                bar.say(spec.clip_id)
                make_clip(root, spec)
                bar.advance()
        else:
            context = multiprocessing.get_context("spawn")
            with ProcessPoolExecutor(workers, mp_context=context) as pool:
                jobs = {pool.submit(make_clip, root, spec): spec for spec in todo}
                try:
                    for job in as_completed(jobs):
                        job.result()
                        bar.say(jobs[job].clip_id)
                        bar.advance()
                except BaseException:
                    pool.shutdown(wait=False, cancel_futures=True)
                    raise
    write_labels(root, specs)
    write_json(root / MANIFEST, {**manifest, "complete": True})
    return root
