"""What evaluators left, in the report: each number found again in its file; pictures; videos."""

import csv
import dataclasses
import io
import json
import math
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from avssl.cli import main
from avssl.config import read_config, write_config
from avssl.run.report import write_report
from avssl.world.encode import write_mp4

PROBE = {
    "kind": "probe", "title": "Linear probe <i>", "data": "/d/voc", "split": "test",
    "num_pictures": 4952,
    "rows": {"network": {"mAP": 0.4125, "top-1": 0.5}, "untrained": {"mAP": 0.2},
             "imagenet": {"mAP": 0.6}, "trivial: HOG": {"mAP": 0.25},
             "dinov2": {"not run": "no weights here"}},
    "intervals": {"network": {"mAP": [0.39, 0.43]}, "untrained": {"mAP": [0.19, 0.21]},
                  "imagenet": {"mAP": [0.58, 0.62]}},
    "metric": "mAP", "better": "higher", "pictures": ["layers.png"],
    "alts": {"layers.png": "mAP over layers, best at res4"}, "videos": ["walk.mp4"],
    "note": "Each stage is pooled.",
}  # fmt: skip
AUDIT = {
    "task": "three-frames", "split": "train", "data": "d",
    "rows": [{"name": "black bars", "leak": "They turn too.", "verdict": "**leaks**",
              "on": {"linear_auc": 0.75, "small_auc": 0.8}, "off": None, "closed": None,
              "counts_above": 0.56}],
}  # fmt: skip
POSE = {
    "data": "d", "official": {},
    "scores": {"names": ["nose", "left/eye"], "pck": [0.5, 0.25], "joint_error_px": [3.5, 7.25],
               "num_labelled": [10, 8], "pck_mean": 0.375, "pck_interval": [0.3, 0.45],
               "auc": 0.2, "threshold": 0.2, "normaliser": "head", "num_people": 10},
}  # fmt: skip
PRETEXT = {
    "data": "d", "task": "three-frames", "num_clips": 3, "num_samples": 32,
    "scores": {"loss": 0.69, "accuracy": 0.625}, "trivial": {"accuracy": 0.5},
}  # fmt: skip


@pytest.fixture
def judged(run: Path) -> Path:
    """A run's folder with results of several kinds, a picture and a video with sound."""
    for name, value in (("probe_test", PROBE), ("audit_three-frames", AUDIT), ("pose_test", POSE),
                        ("pretext_validation", PRETEXT)):  # fmt: skip
        (run / f"{name}.json").write_text(json.dumps(value))
    (run / "broken.json").write_text("{")
    (run / "strange.json").write_text('{"rows": {"network": {"m": 1}}, "alts": [3]}')
    (run / "other.json").write_text('{"hello": 1}')
    Image.fromarray(np.full((40, 60, 3), 200, np.uint8)).save(run / "layers.png")
    frames = [np.full((48, 64, 3), 10 * k, np.uint8) for k in range(20)]
    tone = 0.3 * np.sin(np.arange(2 * 48_000) * 0.05)
    write_mp4(
        run / "walk.mp4", iter(frames), tone[None].astype(np.float32), size_px=(64, 48), fps=10
    )
    return run


class _Figures(HTMLParser):
    """All numbers that say where they come from, and the page's media."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, str, str]] = []
        self.media: list[tuple[str, dict[str, str | None]]] = []
        self._open: dict[str, str | None] | None = None
        self.words: list[str] = []
        self.loose: list[str] = []
        """Words of table cells that hold digits and no source."""
        self._cell = False
        self.feed(page)
        self.text = " ".join(self.words)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = dict(attrs)
        if tag == "data":
            self._open = known
        if tag == "td":
            self._cell = "number" in (known.get("class") or "") and "title" not in known
        if tag in ("img", "video"):
            self.media.append((tag, known))

    def handle_endtag(self, tag: str) -> None:
        if tag == "data":
            self._open = None
        if tag == "td":
            self._cell = False

    def handle_data(self, data: str) -> None:
        self.words += data.split()
        if self._open is not None:
            value, title = self._open.get("value"), self._open.get("title")
            assert value and title, data
            self.found.append((data, value, title))
        elif self._cell:
            self.loose += [word for word in data.split() if re.fullmatch(r"[\d.,]*\d", word)]


def _at(value: Any, pointer: str) -> Any:
    for part in pointer.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        value = value[int(key) if isinstance(value, list) else key]
    return value


def _look_up(source: str, root: Path) -> float:
    """Finds a number by its source as a person would; the second way to read the sources."""
    if source.startswith("share of "):
        own, base, top = (_look_up(one, root) for one in source[len("share of ") :].split(" | "))
        return (own - base) / (top - base)
    if source.startswith("half width over 1.96 of "):
        place = source[len("half width over 1.96 of ") :]
        return (_look_up(f"{place}/1", root) - _look_up(f"{place}/0", root)) / 2 / 1.96
    if source.startswith("sum of "):
        path, _, pointer = source.removeprefix("sum of ").partition(" ")
        lines = [json.loads(line) for line in (root / path).read_text().splitlines()]
        return sum(_at(line, pointer) for line in lines)
    if source.startswith("mean of "):
        each = [_look_up(one, root) for one in source.removeprefix("mean of ").split("; ")]
        return sum(each) / len(each)
    if " × " in source:
        return math.prod(_look_up(one, root) for one in source.split(" × "))
    path, _, pointer = source.partition(" ")
    path, _, line = path.partition(":")
    text = (root / path).read_text()
    return _at(json.loads(text.splitlines()[int(line) - 1] if line else text), pointer)


def _figures(run: Path, **words: Any) -> _Figures:
    out = write_report([run], run.parent / "report.html", **words)
    return _Figures(out.read_text())


def test_every_number_is_found_in_the_file_that_it_names(judged: Path) -> None:
    page = _figures(judged)
    seen: set[str] = set()
    for text, value, source in page.found:
        plain = text.replace(",", "")
        if not re.search("(s|min|h)$", plain):  # hours are told in words
            assert float(plain) == pytest.approx(float(value), rel=0.03), (text, source)
        if source.startswith("counted in data/catalog.parquet"):
            continue  # those are counted anew in test_the_data_card_counts
        assert _look_up(source, judged.parent) == pytest.approx(float(value), rel=1e-12), source
        seen.add(source.partition(" ")[0].partition(":")[0])
    assert not page.loose, "a number in a table without its source"
    assert seen >= {
        "run/metrics.jsonl", "run/run.json", "run/config.json", "sum", "data/prepare.json",
        "run/probe_test.json", "run/audit_three-frames.json", "run/pose_test.json",
        "run/pretext_validation.json",
    }  # fmt: skip


def test_results_stand_with_intervals_rows_not_run_and_notes(judged: Path) -> None:
    text = _figures(judged).text
    assert "Linear probe <i>" in text
    assert "network 0.4125 [ 0.39 , 0.43 ] 0.5 untrained 0.2" in text.replace("]", " ]").replace(
        "  ", " "
    )
    assert "dinov2 not run: no weights here" in text
    assert "From run/probe_test.json; mAP: higher is better." in text
    assert "Each stage is pooled." in text
    assert "black bars 0.75 0.8 0.56 leaks: They turn too." in text
    assert "left/eye 0.25 7.25 8" in text
    assert "trivial: blind guess 0.5" in text


def test_the_summary_sets_main_figures_beside_untrained_and_trivial(judged: Path) -> None:
    text = _figures(judged).text
    head = text.index("probe, voc: mAP")
    assert head < text.index("Curves")
    assert "0.4125 untrained 0.2 imagenet 0.6 trivial: HOG 0.25" in text
    assert "0.625 trivial: blind guess 0.5" in text  # of pretext_validation.json


def test_the_table_over_tasks_is_in_it(judged: Path) -> None:
    text = _figures(judged).text
    assert "0.531" in text  # (0.4125 - 0.2) / (0.6 - 0.2)
    assert "Mean share over 1 of 2 tasks: 0.531" in text
    assert "undefined: no untrained row" in text  # the joints


def test_pictures_and_videos_are_in_it_with_words(judged: Path) -> None:
    page = _figures(judged)
    pictures = [known for tag, known in page.media if tag == "img"]
    assert all(known["alt"] for known in pictures)
    assert [known["alt"] for known in pictures].count("mAP over layers, best at res4") == 1
    (video,) = [known for tag, known in page.media if tag == "video"]
    assert (video["src"] or "").startswith("data:video/mp4;base64,")
    assert "controls" in video and video["aria-label"] == "video walk"
    assert "video walk (h264, aac)" in page.text


def test_no_media_leaves_every_picture_and_video_out(judged: Path) -> None:
    page = _figures(judged, media=False, more=[judged / "walk.mp4"])
    assert not page.media
    assert "data:video" not in (judged.parent / "report.html").read_text()
    assert "were left out (--no-media)" in page.text
    assert "0.4125" in page.text


def test_what_is_missing_or_elsewhere_is_said(judged: Path) -> None:
    (judged / "layers.png").unlink()
    changed = {**PROBE, "pictures": ["layers.png", "../data/secret.png"]}
    (judged / "probe_test.json").write_text(json.dumps(changed))
    page = _figures(judged)
    assert "layers.png is not there" in page.text
    assert "secret" not in page.text


def test_more_files_are_shown_beside_the_runs(judged: Path, capsys) -> None:
    apart = judged.parent / "apart"
    apart.mkdir()
    (judged / "probe_test.json").rename(apart / "probe_test.json")
    (judged / "layers.png").rename(apart / "layers.png")
    words = ["report", str(judged), "-o", str(apart / "r.html"), "--add"]
    assert main([*words, str(apart / "probe_test.json"), str(apart / "layers.png")]) == 0
    page = _Figures((apart / "r.html").read_text())
    assert "Beside the runs" in page.text and "Linear probe <i>" in page.text
    capsys.readouterr()
    assert main([*words, str(apart / "none.png")]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_it_is_whole_in_a_browser(judged: Path, tmp_path: Path, browser: Any) -> None:
    """No error, nothing wider than the window, the video plays with sound, tables are sorted."""
    config = dataclasses.replace(read_config(judged), out="x" * 300)  # a very long word in a table
    write_config(config, judged)
    page = write_report([judged], tmp_path / "report.html")
    for width_px, dark in ((390, True), (1200, False)):
        browser.open(page, width_px=width_px, dark=dark)
        wide, seen = browser.run("[document.documentElement.scrollWidth, innerWidth]")
        assert wide <= seen, f"{wide} px in a window of {seen}"
        shade = browser.run("getComputedStyle(document.body).backgroundColor")
        level = sum(map(int, re.findall(r"\d+", shade)[:3])) / 3
        assert level < 60 if dark else level > 200
    num_bad = "[...document.images].filter(one => one.naturalWidth === 0).length"
    assert browser.run(num_bad) == 0
    assert browser.run("document.images.length") == 12 + 3 + 1
    played = browser.run(
        "(async () => { const v = document.querySelector('video'); await v.play();"
        "for (let k = 0; k < 400 && v.currentTime < 0.3; k++)"
        "  await new Promise(done => setTimeout(done, 50));"
        "return [v.readyState, v.currentTime, v.videoWidth, v.webkitAudioDecodedByteCount]; })()"
    )
    assert played[0] >= 2 and played[1] >= 0.3, "the video does not play"
    assert played[2] == 64 and played[3] > 0, "the video is played without its sound"
    first_column = (
        "(() => { const t = [...document.querySelectorAll('table.sortable')]"
        ".find(t => t.tHead.textContent.includes('top-1'));"
        "t.tHead.querySelectorAll('button')[1].click();"
        "return [...t.tBodies[0].rows].map(r => r.cells[0].textContent); })()"
    )
    rising = ["untrained", "trivial: HOG", "network", "imagenet", "dinov2"]
    assert browser.run(first_column) == rising
    assert browser.run(first_column)[:4] != rising[:4]
    assert not browser.errors


def test_the_figures_of_a_table_are_those_of_its_markdown(judged: Path) -> None:
    """The model card's table and the page's say the same."""
    from avssl.run.model_card import as_markdown
    from avssl.run.results import read_results

    (result,) = read_results(judged / "probe_test.json")
    lines = [line for line in as_markdown(result).splitlines() if line.startswith("| ")]
    rows = list(csv.reader(io.StringIO("\n".join(lines)), delimiter="|", skipinitialspace=True))
    assert [row[1].strip() for row in rows[1:]] == list(PROBE["rows"])
    assert rows[1][2].strip() == "0.4125 [0.39, 0.43]"
