"""Public data sets are lists of clips: only those are prepared, with their labels and splits."""

import dataclasses
import hashlib
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from avssl.errors import InputError
from avssl.files import write_text
from avssl.prepare.run import prepare
from avssl.prepare.scan import SUFFIXES
from avssl.prepare.settings import PrepareSettings
from avssl.prepare.summary import Report

VALIDATION_OF = 20
"""One of so many training clips is held out for validation, by a hash of its name."""


def prepare_listed(
    source: Path,
    destination: Path,
    *,
    test: Mapping[str, Mapping[str, Any]],
    training: Sequence[str] = (),
    settings: PrepareSettings | None = None,
    quiet: bool = False,
) -> Report:
    """Prepares the clips of lists: their names are those of the files without suffix.

    Beside the data set stands a folder of links while this runs (DESTINATION_listed): a stopped
    call goes on; it is removed at the end, unless the data set is one `in_place`.

    Args:
        source: folder of clips, at any depth.
        destination: the data set's folder.
        test: name → labels of the clips of the split test.
        training: names of those to train on; a twentieth goes into the split validation.
        settings: of `prepare`; splits are those of the lists, whatever they say.
        quiet: no progress bar.

    Raises:
        InputError: a clip is in both lists, two files have one name, or none is there.
    """
    both = sorted(set(training) & set(test))
    if both:
        raise InputError(
            f"{len(both)} clips are to be trained on and tested on ({', '.join(both[:3])}…)"
        )
    found = _videos(source)
    missing = [name for name in (*test, *training) if name not in found]
    wanted = {name: "test" for name in test if name in found}
    for name in training:
        if name in found:
            digest = hashlib.sha256(name.encode()).digest()
            wanted[name] = "validation" if digest[0] % VALIDATION_OF == 0 else "train"
    if not wanted:
        raise InputError(
            f"{source}: none of the {len(missing)} clips of the lists is there; files must be "
            f"named like {next(iter((*test, *training)), 'ID')}.mp4"
        )
    links = destination.with_name(f"{destination.name}_listed")
    for name, split in wanted.items():
        path = links / split / f"{name}{found[name].suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.is_symlink():
            path.symlink_to(found[name].absolute())
        if name in test:
            text = json.dumps(test[name], ensure_ascii=False, allow_nan=False)
            write_text(path.with_suffix(".json"), text)
    own = dataclasses.replace(settings or PrepareSettings(), split_from="folders")
    report = prepare(links, destination, settings=own, quiet=quiet)
    if not own.in_place:  # then the data set reads through the links
        shutil.rmtree(links)
    if missing and not quiet:
        print(f"{len(missing)} clips of the lists are not in {source} ({', '.join(missing[:3])}…)")
    return report


def _videos(source: Path) -> dict[str, Path]:
    if not source.is_dir():
        raise InputError(f"{source}: must be a folder of clips")
    found: dict[str, Path] = {}
    for folder, _, names in os.walk(source):
        for name in sorted(names):
            path = Path(folder, name)
            if path.suffix.lower().lstrip(".") not in SUFFIXES:
                continue
            if path.stem in found:
                raise InputError(f"{path} and {found[path.stem]}: two files of one name")
            found[path.stem] = path
    return found
