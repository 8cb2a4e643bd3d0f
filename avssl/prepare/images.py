"""Labelled pictures → the same kind of data set as videos: one row a person, one frame a row.

`write_labelled(labelled, DST)` stores every picture once, as JPEG, and one row for each labelled
person in it; the person stands in the row's `labels["keypoints"]`, in pixels of the stored picture:

    {"names": […], "flip_pairs": […], "edges": […], "normaliser": "head", "image": "im0042",
     "joints_px": [[x, y] or null, …], "visible": [0, 1 or 2, …], "box_px": …, "head_box_px": …,
     "centre_px": …, "height_px": …, "torso_px": …, "flags": […], "scale": stored ÷ source px}
"""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from avssl.catalog import Catalog, ClipRow
from avssl.errors import AvsslError, InputError
from avssl.files import write_json, write_text
from avssl.labels.records import Box, LabelledImage, LabelledSet, Person
from avssl.labels.splits import assign_splits
from avssl.prepare.shards import Member, place_members, write_shard
from avssl.progress import progress_bar

QUALITY = 95
SHARD_NUM_BYTES = 256 << 20
MAX_NUM_BYTES = 256 << 20
"""Larger picture files are refused."""
MAX_PIXELS = 200_000_000


class Located(Protocol):
    """What says where a picture is: a file below the root, or a frame of a video there."""

    @property
    def path(self) -> str:
        """File relative to the root."""
        ...

    @property
    def frame(self) -> int | None:
        """Frame of the video."""
        ...


Where = TypeVar("Where", bound=Located)


def write_labelled(
    labelled: LabelledSet,
    destination: str | os.PathLike[str],
    *,
    max_side_px: int = 0,
    fractions: tuple[float, float, float] = (0.8, 0.1, 0.1),
    seed: int = 0,
    quiet: bool = False,
) -> Path:
    """Writes labelled pictures as a data set and gives its folder.

    Args:
        labelled: what a parser of `avssl.labels` gave.
        destination: a new or empty folder.
        max_side_px: pictures with a longer side are shrunk to it; 0 keeps every size.
        fractions: train, validation, test where the source has no official split.
        seed: of the split.
        quiet: no progress bar.

    Raises:
        InputError: the folder holds something, or no labelled person is left.
    """
    target = Path(destination)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise InputError(f"{target}: not empty; name a new folder")
    if max_side_px < 0 or 0 < max_side_px < 16:
        raise InputError(f"max_side_px {max_side_px}: must be 0 (keep) or 16 or more")
    labelled = assign_splits(labelled, fractions=fractions, seed=seed)
    with_people = [image for image in labelled.images if any(map(_is_labelled, image.people))]
    rows: list[ClipRow] = []
    bad: list[dict[str, str]] = []
    members: list[Member] = []
    waiting: list[tuple[LabelledImage, str, float, int, int]] = []
    num_shards = 0

    def close_shard() -> None:
        nonlocal num_shards
        if not members:
            return
        store = f"shards/{num_shards:06d}.tar"
        write_shard(target / store, members)
        offsets = place_members(members)
        for (image, name, scale, width, height), member, offset in zip(
            waiting, members, offsets, strict=True
        ):
            rows.extend(
                _rows(
                    labelled,
                    image,
                    name,
                    scale,
                    store=store,
                    offset=offset,
                    num_bytes=member.num_bytes,
                    sha256=member.sha256,
                    width_px=width,
                    height_px=height,
                )
            )
        num_shards += 1
        members.clear()
        waiting.clear()

    with progress_bar("pictures", total=len(with_people), unit="picture", quiet=quiet) as bar:
        for number, (image, data) in enumerate(read_pictures(labelled.root, with_people)):
            bar.advance()
            if isinstance(data, AvsslError):
                bad.append({"file": image.path, "stage": "decode", "reason": str(data)})
                continue
            jpeg, scale, width, height = stored_picture(data, max_side_px=max_side_px)
            name = f"im{number:06d}"
            digest = hashlib.sha256(jpeg).hexdigest()
            member = Member(name=f"{name}.jpg", num_bytes=len(jpeg), data=jpeg, sha256=digest)
            members.append(member)
            waiting.append((image, name, scale, width, height))
            if sum(member.num_bytes for member in members) >= SHARD_NUM_BYTES:
                close_shard()
    close_shard()
    if not rows:
        first = f"; the first: {bad[0]['file']}: {bad[0]['reason']}" if bad else ""
        raise InputError(f"{labelled.root}: no picture with a labelled person could be read{first}")
    lines = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in bad)
    write_text(target / "quarantine.jsonl", lines)
    write_json(target / "prepare.json", _summary(labelled, rows, bad, max_side_px=max_side_px))
    Catalog.from_rows(rows, directory=target).write(target)
    return target


def _is_labelled(person: Person) -> bool:
    return bool((person.visible > 0).any())


def read_pictures(
    root: Path, images: Sequence[Where]
) -> Iterator[tuple[Where, NDArray[np.uint8] | bytes | AvsslError]]:
    """Gives every picture as the bytes of a JPEG, as pixels uint8 [H, W, 3], or why not."""
    at = 0
    while at < len(images):
        if images[at].frame is None:
            yield images[at], _read_file(root, images[at].path)
            at += 1
            continue
        end = at
        while end < len(images) and images[end].path == images[at].path and end - at < 64:
            end += 1
        yield from _read_frames(root, images[at:end])
        at = end


def _read_file(root: Path, relative: str) -> NDArray[np.uint8] | bytes | AvsslError:
    import cv2

    path = root / relative
    try:
        if path.stat().st_size > MAX_NUM_BYTES:
            return InputError(f"larger than {MAX_NUM_BYTES >> 20} MiB")
        data = path.read_bytes()
    except OSError as error:
        return InputError(f"not readable: {error.strerror}")
    # labels count in stored pixels: a camera's note about turning is not obeyed
    picture = cv2.imdecode(
        np.frombuffer(data, dtype=np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    )
    if picture is None or picture.shape[0] * picture.shape[1] > MAX_PIXELS:
        return InputError("not a picture that can be decoded")
    if data[:3] == b"\xff\xd8\xff" and _decodes(data, picture.shape):
        return data
    return np.ascontiguousarray(picture[..., ::-1], dtype=np.uint8)


def _decodes(data: bytes, shape: tuple[int, ...]) -> bool:
    import simplejpeg

    try:
        return simplejpeg.decode_jpeg(data, colorspace="RGB").shape == shape
    except ValueError:  # such as CMYK: stored anew
        return False


def _read_frames(
    root: Path, images: Sequence[Where]
) -> Iterable[tuple[Where, NDArray[np.uint8] | AvsslError]]:
    from avssl.decode import open_video

    try:
        with open_video(root / images[0].path) as reader:
            frames = reader.frames_by_index([image.frame or 0 for image in images])
        return [
            (image, frame.transpose(1, 2, 0)) for image, frame in zip(images, frames, strict=True)
        ]
    except AvsslError as error:
        return [(image, error) for image in images]


def stored_picture(
    data: NDArray[np.uint8] | bytes, *, max_side_px: int
) -> tuple[bytes, float, int, int]:
    """Gives (JPEG, stored ÷ source, width, height)."""
    import cv2
    import simplejpeg

    picture: Any = data
    if isinstance(data, bytes):
        height, width = map(int, simplejpeg.decode_jpeg_header(data)[:2])
        if not 0 < max_side_px < max(height, width):
            return data, 1.0, width, height
        picture = simplejpeg.decode_jpeg(data, colorspace="RGB")
    height, width = picture.shape[:2]
    scale = 1.0
    if 0 < max_side_px < max(height, width):
        scale = max_side_px / max(height, width)
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    height, width = picture.shape[:2]
    whole = np.ascontiguousarray(picture)
    jpeg = simplejpeg.encode_jpeg(whole, quality=QUALITY, colorspace="RGB", colorsubsampling="444")
    return jpeg, scale, width, height


def _rows(
    labelled: LabelledSet,
    image: LabelledImage,
    name: str,
    scale: float,
    *,
    store: str,
    offset: int,
    num_bytes: int,
    sha256: str,
    width_px: int,
    height_px: int,
) -> Iterator[ClipRow]:
    skeleton = labelled.skeleton
    for number, person in enumerate(image.people):
        if not _is_labelled(person):
            continue
        cell = {
            "names": list(skeleton.names),
            "flip_pairs": [list(pair) for pair in skeleton.flip_pairs],
            "edges": [list(pair) for pair in skeleton.edges],
            "normaliser": skeleton.normaliser,
            "image": name,
            "scale": scale,
            **person_cells(person, scale=scale),
        }
        yield ClipRow(
            clip_id=f"{name}-{number}",
            source=image.path if image.frame is None else f"{image.path}#{image.frame}",
            source_sha256=sha256,
            source_start_s=0.0,
            source_end_s=1.0,
            group_id=image.group or image.path,
            split=image.split,
            store=store,
            video_offset=offset,
            video_num_bytes=num_bytes,
            video_suffix=".jpg",
            codec="mjpeg",
            width_px=width_px,
            height_px=height_px,
            start_s=0.0,
            step_s=1.0,
            num_frames=1,
            last_frame_s=1.0,
            packet_offsets=np.array([offset]),
            packet_num_bytes=np.array([num_bytes]),
            key_frames=np.array([0]),
            sound_state="absent",
            window_s=1.0,
            motion=np.zeros(1),
            labels={"keypoints": cell},
        )


def person_cells(person: Person, *, scale: float) -> dict[str, Any]:
    """Gives a person as JSON values, in a picture `scale` times the source's size."""

    def moved(values: Sequence[float] | NDArray[np.float64]) -> list[float]:
        return [round(float((value + 0.5) * scale - 0.5), 4) for value in values]

    def box(values: Box | None) -> list[float] | None:
        return None if values is None else moved(values)

    known = person.visible > 0
    return {
        "joints_px": [
            moved(point) if here else None
            for point, here in zip(person.joints_px, known, strict=True)
        ],
        "visible": person.visible.tolist(),
        "box_px": box(person.box_px),
        "head_box_px": box(person.head_box_px),
        "torso_px": box(person.torso_px),
        "centre_px": None if person.centre_px is None else moved(person.centre_px),
        "height_px": None if person.height_px is None else round(person.height_px * scale, 4),
        "flags": list(person.flags),
    }


def _summary(
    labelled: LabelledSet, rows: Sequence[ClipRow], bad: Sequence[Any], *, max_side_px: int
) -> dict[str, Any]:
    splits = [row.split for row in rows]
    return {
        "kind": "labelled pictures",
        **labelled.meta,
        "settings": {"max_side_px": max_side_px, "quality": QUALITY},
        "notes": list(labelled.notes),
        "num_images": len({row.labels["keypoints"]["image"] for row in rows}),
        "num_clips": len(rows),
        "num_quarantined": len(bad),
        "splits": {name: splits.count(name) for name in ("train", "validation", "test")},
    }
