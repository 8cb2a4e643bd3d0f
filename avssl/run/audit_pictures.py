"""Pictures of a give-away: for every class the samples where the probe is surest of it.

One contact sheet for each shortcut that tells something: as the task is set, or with the guard off
where the guard holds (what it keeps out). Beside the table as PNG, and all in one HTML file that
needs nothing else.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avssl import __version__
from avssl.errors import AvsslError
from avssl.files import replacing, write_text
from avssl.run.audit_measure import Audited, num_to_fit
from avssl.run.audit_samples import Maker
from avssl.run.report_samples import data_uri, strip

MOST_ROWS = 4
_WIDEST_PX = 1400
_MOST_TILES = 6
_GAP_PX, _LINE_PX, _SPECTRUM_PX = 8, 20, (64, 96)


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """The pictures of one shortcut."""

    name: str
    caption: str
    image: NDArray[np.uint8]
    """uint8 [H, W, 3]."""


def write_pictures(
    found: Sequence[Audited],
    out: Path,
    *,
    facts: Mapping[str, Any],
    notes: Sequence[str],
    table: str,
    num_samples: int,
    media: bool = True,
) -> list[Path]:
    """Writes the sheets and the page beside `out`, and gives the paths.

    Args:
        found: the audit.
        out: the audit's JSON; the others are named after it.
        facts: what the page says at its top: task, data, split, run.
        notes: lines for the page.
        table: the audit's page in Markdown.
        num_samples: that were judged in each setting.
        media: draw sheets; without, the page holds no frame of the data.
    """
    sheets: list[Sheet] = []
    problem = ""
    try:
        known = set()
        for one in found if media else []:
            shown = one.shortcut.probe, one.shortcut.answer, one.settings.get(_told_in(one))
            sheet = None
            if shown not in known:  # two shortcuts with one probe show the same pictures
                sheet = contact_sheet(one, num_samples=num_samples)
            known.add(shown)
            sheets += [] if sheet is None else [sheet]
    except (AvsslError, OSError) as error:  # the table is there: pictures are not worth failing for
        problem = f"No pictures: {error}"
    paths = []
    for sheet in sheets:
        word = re.sub(r"\W+", "_", sheet.name.lower()).strip("_")
        paths.append(out.with_name(f"{out.stem}_{word}.png"))
        _write_png(paths[-1], sheet.image)
    page = out.with_suffix(".html")
    write_text(page, _page(found, sheets, facts=facts, notes=[*notes, problem], table=table))
    return [page, *paths]


def _told_in(one: Audited) -> str:
    """Gives the setting in which something is told: "on", "off", or "" for none."""
    return "on" if one.leaks else "off" if one.tells(one.off) else ""


def contact_sheet(one: Audited, *, num_samples: int) -> Sheet | None:
    """Draws the samples where the better probe is surest of each class.

    Args:
        one: of the audit.
        num_samples: that were judged in each setting.

    Returns:
        The sheet, or None where nothing is told in any setting or samples hold no pictures.
    """
    name = _told_in(one)
    judged = one.off if name == "off" else one.on
    if not name or judged is None:
        return None
    setting = one.settings[name]
    first = num_to_fit(num_samples)
    clips = one.halves.judged
    with Maker(setting, clips, num_samples=num_samples, first=first) as maker:
        rows = []
        for k in _shown_classes(judged.sure):
            tiles = []
            for place in _surest(judged.sure[:, k], judged.places, maker):
                image = picture_of(maker.example(int(judged.places[place]))[1].arrays)
                if image is None:
                    return None
                truth = judged.names[judged.label[place]]
                tiles.append((image, f"{judged.sure[place, k]:.0%}, is: {_named(setting, truth)}"))
                if sum(tile.shape[1] + _GAP_PX for tile, _ in tiles) > _WIDEST_PX:
                    break
            rows.append((f"says: {_named(setting, judged.names[k])}", tiles))
    state = "as the task is set" if name == "on" else "with the guard off"
    caption = (
        f"{one.shortcut.name}, {state} (AUC {judged.best:.3f}): where the probe is surest of each "
        "answer, and what is so."
    )
    return Sheet(name=one.shortcut.name, caption=caption, image=lay_out(rows))


def _shown_classes(sure: NDArray[np.float64]) -> list[int]:
    """Gives up to four classes: all, or those of which the probe is ever surest."""
    count = sure.shape[1]
    if count <= MOST_ROWS:
        return list(range(count))
    return sorted(np.argsort(-sure.max(axis=0), kind="stable")[:MOST_ROWS].tolist())


def _surest(sure: NDArray[np.float64], places: NDArray[np.int64], maker: Maker) -> list[int]:
    """Gives up to six samples, surest first, no clip twice where there are enough."""
    order = np.argsort(-sure, kind="stable")[: 20 * _MOST_TILES]
    clip = [maker.row(int(places[place])) for place in order]
    firsts = np.sort(np.unique(clip, return_index=True)[1])
    again = np.setdiff1d(np.arange(len(order)), firsts)
    return order[np.concatenate([firsts, again])[:_MOST_TILES]].tolist()


def _named(task: Any, name: str) -> str:
    words: Sequence[str] = getattr(task, "label_names", ())
    return words[int(name)] if name.isdecimal() and int(name) < len(words) else name


def picture_of(arrays: Mapping[str, NDArray[Any]]) -> NDArray[np.uint8] | None:
    """Gives what a sample shows, uint8 [H, W, 3], its sound's spectrum beneath; None: neither."""
    parts = [] if (shown := strip(arrays)) is None else [shown]
    if "sound" in arrays:
        parts.append(_spectrum(arrays["sound"].reshape(-1)))
    if not parts:
        return None
    width = max(part.shape[1] for part in parts)
    return np.concatenate(
        [np.pad(p, ((0, 0), (0, width - p.shape[1]), (0, 0)), constant_values=255) for p in parts]
    )


def _spectrum(sound: NDArray[Any]) -> NDArray[np.uint8]:
    """Draws the power of a stretch of sound over frequency (upwards) and time; 80 dB of grey."""
    import cv2

    length = max(64, len(sound) // 48)
    cut = sound[: len(sound) // length * length].astype(np.float64).reshape(-1, length)
    power = np.abs(np.fft.rfft(cut * np.hanning(length), axis=1)).T[::-1] ** 2
    level_db = 10 * np.log10(power + 1e-10)
    grey = np.clip((level_db - level_db.max() + 80) / 80 * 255, 0, 255).astype(np.uint8)
    height_px, width_px = _SPECTRUM_PX
    drawn = cv2.resize(grey, (width_px, height_px), interpolation=cv2.INTER_AREA)
    return np.repeat(np.asarray(drawn, np.uint8)[:, :, None], 3, axis=2)


def lay_out(
    rows: Sequence[tuple[str, Sequence[tuple[NDArray[np.uint8], str]]]],
) -> NDArray[np.uint8]:
    """Puts rows of (title, [(picture, words)]) on a white sheet, uint8 [H, W, 3]."""
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.load_default(size=14)
    width = max(sum(image.shape[1] + _GAP_PX for image, _ in tiles) for _, tiles in rows)
    heights = [max(image.shape[0] for image, _ in tiles) for _, tiles in rows]
    height = sum(heights) + len(rows) * (2 * _LINE_PX + 2 * _GAP_PX)
    sheet = Image.new("RGB", (max(width, 320) + _GAP_PX, height + _GAP_PX), "white")
    pen = ImageDraw.Draw(sheet)
    top = _GAP_PX
    for (title, tiles), tallest in zip(rows, heights, strict=True):
        pen.text((_GAP_PX, top), title, fill="black", font=font)
        left = _GAP_PX
        for image, words in tiles:
            sheet.paste(Image.fromarray(np.ascontiguousarray(image)), (left, top + _LINE_PX))
            room = image.shape[1]
            while words and pen.textlength(words, font=font) > room:
                words = words[:-1]
            pen.text((left, top + _LINE_PX + tallest + 2), words, fill="#555555", font=font)
            left += room + _GAP_PX
        top += tallest + 2 * _LINE_PX + 2 * _GAP_PX
    return np.asarray(sheet)


def _write_png(path: Path, image: NDArray[np.uint8]) -> None:
    from PIL import Image

    with replacing(path) as temporary:
        Image.fromarray(image).save(temporary, format="PNG", optimize=True)


def _page(
    found: Sequence[Audited],
    sheets: Sequence[Sheet],
    *,
    facts: Mapping[str, Any],
    notes: Sequence[str],
    table: str,
) -> str:
    """Gives the page; everything in it is inside the file."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("avssl.run", "."),
        autoescape=True,  # the names in it come from other people's files
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    lines = [
        [cell.strip().replace("**", "") for cell in line[1:-1].split("|")]
        for line in table.splitlines()
        if line.startswith("|")
    ]
    return environment.get_template("audit.html.j2").render(
        facts=facts,
        head=lines[0],
        rows=[(cells, one.fails) for cells, one in zip(lines[2:], found, strict=True)],
        footer=table.strip().splitlines()[-1],
        notes=[note for note in notes if note],
        sheets=[(sheet, data_uri(sheet.image)) for sheet in sheets],
        shortcuts=[(one.shortcut, one.fields, one.advice, one.leaks) for one in found],
        version=__version__,
    )
