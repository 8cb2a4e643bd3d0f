"""VGGSound's lists: `vggsound.csv`, or `train.csv` and `test.csv`.

    glLQrEijrKg,300,playing hammond organ,test                 # id, start, class, split: no header
    glLQrEijrKg_000300.mp4,playing hammond organ               # the split is the list's name

Classes with commas stand in quotes. `vggsound.csv` has 199467 lines, the two others 199176
together (issue 19 of the repository hche11/VGGSound): 291 clips were not in the authors' own copy.
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from avssl.errors import InputError
from avssl.labels.clip_lists import (
    ClipList,
    ListedClip,
    collected,
    read_lines,
    seconds,
    video_id,
    wrong,
)
from avssl.labels.reading import split_of_name

_FILE = re.compile(r"(.{11})_(\d{1,6})(?:\.\w+)?")


def read_vggsound(paths: Iterable[str | Path]) -> ClipList:
    """Reads one or several of VGGSound's lists; see `clip_lists.collected` for repeated clips.

    Raises:
        InputError: no such file, or a line that is not as the format says.
    """
    found = collected(clip for path in paths for clip in _clips(Path(path)))
    if not len(found):
        raise InputError("the lists of VGGSound hold no clip; give vggsound.csv")
    return found


def _clips(path: Path) -> Iterator[ListedClip]:
    columns = 0
    for number, cells in read_lines(path):
        columns = columns or len(cells)
        if len(cells) != columns or columns not in (2, 4):
            raise wrong(path, number, cells, "must be id,start,class,split (or file,class)")
        try:
            if columns == 4:
                video, start_s, label, split = cells[0], cells[1], cells[2], cells[3].lower()
            else:
                parts = _FILE.fullmatch(cells[0])
                if parts is None:
                    raise ValueError("the file must be named <id>_<start, six digits>.mp4")
                video, start_s, label = parts[1], parts[2], cells[1]
                split = split_of_name(path.stem)
                if not split:
                    raise ValueError("the list's name must say train or test")
            if split not in ("train", "test"):
                raise ValueError("the split must be train or test")
            if not label:
                raise ValueError("a class must be named")
            clip = ListedClip(
                name=f"{video_id(video)}_{int(seconds(start_s)):06d}",
                video=video,
                start_s=seconds(start_s),
                split=split,
                classes=(label,),
            )
        except ValueError as error:
            raise wrong(path, number, cells, str(error)) from None
        yield clip
