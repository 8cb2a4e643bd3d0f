"""Any folder of videos whose first level of folders names the classes."""

import json
import shutil
from pathlib import Path
from typing import Any

from avssl.errors import InputError
from avssl.prepare.groups import SPLIT_FOLDERS
from avssl.prepare.labels import label_path
from avssl.prepare.listed import link_all
from avssl.prepare.run import prepare
from avssl.prepare.scan import Source, scan
from avssl.prepare.settings import PrepareSettings
from avssl.prepare.summary import Report


def class_of(relative: str) -> str:
    """Gives the class in a video's path below the folder, "" where there is none.

    "dog/a.mp4" and "train/dog/a.mp4" are of the class "dog": a first folder that names a split is
    none. "_" stays: nothing is known of what the folder's owner meant by it.
    """
    folders = relative.split("/")[:-1]
    if folders and folders[0].lower() in SPLIT_FOLDERS:
        folders = folders[1:]
    return folders[0] if folders else ""


def prepare_folder(
    source: Path,
    destination: Path,
    *,
    settings: PrepareSettings | None = None,
    jobs: int | None = None,
    quiet: bool = False,
) -> Report:
    """Prepares a folder of videos as `avssl prepare` does, with {"class": first folder} as labels.

    A JSON file beside a video is kept, and its "class" wins. Beside the data set stands a folder of
    links while this runs (DESTINATION_listed).

    Raises:
        InputError: no such folder, or no video in a folder below it.
    """
    if not source.is_dir():
        raise InputError(f"{source}: must be a folder of videos")
    links = destination.with_name(f"{destination.name}_listed")
    left = f"{links.absolute()}/"  # of a stopped call, where the data set lies in the source
    found = [
        item for item in scan(source, exclude=destination).sources if not item.path.startswith(left)
    ]
    named = {item.relative: class_of(item.relative) for item in found}
    if not any(named.values()):
        raise InputError(
            f"{source}: none of {len(found)} videos lies in a folder that could name its class; "
            "use `avssl prepare`"
        )
    link_all(
        links,
        [
            (item.relative, Path(item.path), _labels(item, source, named[item.relative]))
            for item in found
        ],
    )
    own = settings or PrepareSettings()
    report = prepare(links, destination, settings=own, jobs=jobs, quiet=quiet)
    if not own.in_place:
        shutil.rmtree(links)
    if not quiet:
        num_without = sum(not name for name in named.values())
        print(
            f"{len(set(named.values()) - {''})} classes"
            + (f"; {num_without} videos lie in no folder and have none" if num_without else "")
        )
    return report


def _labels(item: Source, root: Path, name: str) -> dict[str, Any]:
    path = label_path(item, root=root)
    own: Any = {}
    if path is not None:
        try:
            text = path.read_text(encoding="utf-8")
            own = json.loads(text, parse_constant=lambda _: None)  # NaN is no JSON
        except (ValueError, OSError):
            own = {}
    labels = own if isinstance(own, dict) else {}
    return {"class": name, **labels} if name else labels
