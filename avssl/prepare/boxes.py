"""Pictures with boxes → a data set: a row a picture, its things in `labels["boxes"]`.

    {"names": ["person", …], "boxes_px": [[x0, y0, x1, y1], …], "classes": [0, …],
     "ignored": [0 or 1, …], "scale": stored ÷ source px}

Boxes are measured from the stored picture's corner; `classes` counts `names` from 0.
"""

import json
import os
from pathlib import Path

from avssl.errors import AvsslError
from avssl.files import write_text
from avssl.labels.boxes import BoxSet
from avssl.prepare.images import read_pictures, stored_picture
from avssl.prepare.pictures import PictureShards, checked_side, new_folder
from avssl.progress import progress_bar


def write_boxes(
    found: BoxSet,
    destination: str | os.PathLike[str],
    *,
    max_side_px: int = 0,
    quiet: bool = False,
) -> Path:
    """Writes the data set and gives its folder; pictures that cannot be read are quarantined.

    Args:
        found: what a reader of `avssl.labels` gave.
        destination: a new or empty folder.
        max_side_px: larger pictures are shrunk to it; 0 keeps every size.
        quiet: no progress bar.

    Raises:
        InputError: the folder holds something, or no picture could be read.
    """
    target = new_folder(destination)
    checked_side(max_side_px)
    shards = PictureShards(target)
    place = {name: number for number, name in enumerate(found.classes)}
    bad: list[dict[str, str]] = []
    with progress_bar("pictures", total=len(found.images), unit="picture", quiet=quiet) as bar:
        for image, data in read_pictures(found.root, found.images):
            bar.advance()
            if isinstance(data, AvsslError):
                bad.append({"file": image.path, "stage": "decode", "reason": str(data)})
                continue
            jpeg, scale, width, height = stored_picture(data, max_side_px=max_side_px)
            cell = {
                "names": list(found.classes),
                "boxes_px": [[round(x * scale, 4) for x in one.box_px] for one in image.things],
                "classes": [place[one.label] for one in image.things],
                "ignored": [int(one.ignored) for one in image.things],
                "scale": scale,
            }
            shards.add(
                jpeg,
                width_px=width,
                height_px=height,
                source=image.path if image.frame is None else f"{image.path}#{image.frame}",
                group=image.group or image.path,
                split=image.split,
                labels={"boxes": cell},
            )
    lines = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in bad)
    write_text(target / "quarantine.jsonl", lines)
    about = {"labels": "boxes", "settings": {"max_side_px": max_side_px}, **found.meta}
    notes = {"notes": list(found.notes), "num_quarantined": len(bad)}
    return shards.finish({**about, **notes})
