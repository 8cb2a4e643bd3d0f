"""The report: one file, escaped, its figures those of the metrics file, its pictures the frames."""

import base64
import dataclasses
import hashlib
import io
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from avssl.cli import main
from avssl.config import TrainConfig
from avssl.run.doctor_media import LEVEL_STEP
from avssl.run.report import write_report

EVIL = "<script>alert(\"1\")</script> & 'x'.mp4"
REASON = "<img src=x onerror=alert(1)> claims 50 frames"


class _Page(HTMLParser):
    """The page as a browser sees it: tags, links, pictures, text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.images: list[dict[str, str]] = []
        self.ids: list[str] = []
        self._words: list[str] = []
        self.feed(page)
        self.text = " ".join(self._words)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.tags.append(tag)
        self.links += [found[name] for name in ("src", "href") if name in found]
        assert not [name for name in found if name.startswith("on")], f"{tag} {found}"
        if tag == "img":
            self.images.append(found)
        if "id" in found:
            self.ids.append(found["id"])

    def handle_data(self, data: str) -> None:
        self._words += data.split()


def _page(run: Path, **words: Any) -> _Page:
    out = write_report([run], run.parent / "report.html", **words)
    return _Page(out.read_text())


def test_the_file_needs_nothing_but_itself(run: Path) -> None:
    page = _page(run)
    assert page.tags.count("script") == 1  # it sorts tables, allowed by its hash alone
    assert all(link.startswith(("data:", "#")) for link in page.links)
    assert {link[1:] for link in page.links if link[0] == "#"} <= set(page.ids)
    assert len(page.ids) == len(set(page.ids))
    text = (run.parent / "report.html").read_text()
    assert "default-src 'none'" in text
    script = re.search("<script>(.*?)</script>", text, re.DOTALL)
    assert script
    digest = base64.b64encode(hashlib.sha256(script[1].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in text
    assert "url(" not in text
    assert "@import" not in text


def test_names_from_files_are_text_and_never_markup(run: Path) -> None:
    page = _page(run)
    assert EVIL in page.text
    assert REASON in page.text
    assert "<b>only</b>" in page.text
    assert "cpu <1 thread>" in page.text


def test_every_figure_is_one_of_the_metrics_file(run: Path) -> None:
    page = _page(run)
    assert "balanced_accuracy 0.8125 blind guess 0.5" in page.text
    assert "loss 0.45 step 100" in page.text
    assert "done, 100 of 100 steps" in page.text
    assert "2.1 min" in page.text  # 60 s + 66 s
    assert "1,234,567" in page.text
    assert "samples seen 6,400" in page.text


def test_the_data_card_counts(run: Path) -> None:
    text = _page(run).text
    assert "train 2 1.6 s 2" in text  # clips, 2 × 0.8 s, groups
    assert "validation 1 0.8 s 1" in text
    assert "test 0 0.0 s 0" in text
    assert "frames 24" in text
    assert "64 × 48 (3)" in text
    assert "sound absent 3" in text
    assert "above 0.500; 80 % from 0.100 to 0.900" in text
    assert "1 file was left out (decode 1)" in text
    assert "settings.gop 8" in text


def test_the_contact_sheet_shows_the_frames_of_its_times(run: Path) -> None:
    """Frame k of the made video is grey of level 32 + 24 k and stands at k / 10 s."""
    page = _page(run)
    sheet = [image for image in page.images if "shown" in image["alt"]]
    assert len(sheet) == 12
    for image in sheet:
        times = re.search(r" at ([\d., ]+) s", image["alt"])
        assert times
        indices = [round(float(word) * 10) for word in times[1].split(", ")]
        label = "in order" if indices[0] % 2 else "shuffled"
        assert image["alt"].startswith(f"what the network is shown of {label} ·")
        pixels = _pixels(image["src"])
        width_px = pixels.shape[1] / 3
        for place, index in enumerate(indices):
            middle = pixels[:, int(width_px * (place + 0.3)) : int(width_px * (place + 0.7))]
            assert abs(middle.mean() - (32 + LEVEL_STEP * index)) < LEVEL_STEP / 4


def _pixels(source: str) -> NDArray[Any]:
    assert source.startswith("data:image/jpeg;base64,")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(source.partition(",")[2]))))


def test_the_answers_are_those_of_the_checkpoint(run: Path) -> None:
    """Its bias of 2 gives "in order" with 1 / (1 + e^-2) = 88 %, fresh weights 50 %."""
    page = _page(run)
    assert page.text.count("answer: in order (88%)") == 12
    num_right = sum("in order" in image["alt"] for image in page.images)
    text = (run.parent / "report.html").read_text()
    assert text.count('class="note right"') == num_right
    assert text.count('class="note wrong"') == 12 - num_right
    assert "after 100 steps" in page.text


def test_no_media_holds_no_frame(run: Path) -> None:
    page = _page(run, media=False)
    assert not page.images
    assert "data:image" not in (run.parent / "report.html").read_text()
    assert "0.8125" in page.text


def test_a_data_set_that_is_gone_is_said(run: Path) -> None:
    shutil.rmtree(run.parent / "data")
    page = _page(run)
    assert not page.images
    assert "No data card:" in page.text
    assert "No samples are shown:" in page.text
    assert "0.8125" in page.text


def test_a_run_that_has_only_begun(run: Path) -> None:
    shutil.rmtree(run / "checkpoints")
    for name in ("metrics.jsonl", "timings.jsonl", "run.json"):
        (run / name).unlink()
    page = _page(run)
    assert "No figures yet" in page.text
    assert "no checkpoint yet" in page.text
    assert len(page.images) == 12 + 3


def test_training_alone_is_no_evaluation(run: Path) -> None:
    path = run / "metrics.jsonl"
    lines = [line for line in path.read_text().splitlines() if '"validation"' not in line]
    path.write_text("\n".join(lines) + "\n")
    page = _page(run)
    assert "No evaluation yet" in page.text
    assert "Last evaluation" not in page.text and "blind guess 0.5" not in page.text


def test_a_broken_result_is_named_and_a_strange_file_is_not(run: Path, capsys) -> None:
    (run / "neighbours_test.json").write_text('{"rows": 1')
    (run / "probe_test.json").write_text('{"hello": 1}')
    (run / "mine.json").write_text('{"hello": 1}')
    assert main(["report", str(run), "-o", str(run.parent / "r.html")]) == 0
    told = capsys.readouterr().err
    text = (run.parent / "r.html").read_text()
    for said in (told, text):
        assert "neighbours_test.json: not a readable JSON file" in said
        assert "probe_test.json: not the result of an evaluator" in said
        assert "mine.json" not in said
    assert "replaced" not in told
    assert main(["report", str(run), "-o", str(run.parent / "r.html")]) == 0
    assert f"replaced {run.parent / 'r.html'}\n" in capsys.readouterr().err


def test_a_line_cut_off_by_a_crash_is_left_out(run: Path) -> None:
    with (run / "metrics.jsonl").open("a") as stream:
        stream.write('{"step": 150, "split": "validation", "balanced_acc')
    assert "0.8125" in _page(run).text


def test_several_runs_stand_in_one_table(run: Path) -> None:
    other = run.parent / "other"
    shutil.copytree(run, other)
    line = {"step": 100, "split": "validation", "balanced_accuracy": 0.625, "auc": 0.7}
    (other / "metrics.jsonl").write_text(json.dumps(line) + "\n")
    page = _Page(write_report([run, other], run.parent / "both.html", media=False).read_text())
    text = page.text
    assert "run task balanced_accuracy loss auc" in text
    assert "run three-frames 0.8125 blind 0.5 0.45" in text
    assert "other three-frames 0.625 blind 0.5 0.7" in text
    assert text.count("Copies, near-copies") == 1  # one data set, one card
    assert {"#run-0", "#run-1"} <= set(page.links)


def test_the_command(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(run), "--no-media"]) == 0
    assert capsys.readouterr().out.strip() == str(run / "report.html")
    assert (run / "report.html").is_file()
    assert main(["report", str(run.parent)]) == 2
    shown = capsys.readouterr().err
    assert len(shown.splitlines()) == 1
    assert "not the folder of a run" in shown


def test_the_configuration_is_told_whole(run: Path) -> None:
    text = _page(run, media=False).text
    names = [item.name for item in dataclasses.fields(TrainConfig) if item.name not in ("optim",)]
    for name in names:
        assert f" {name}" in text, name
    assert "task.span_s 0.4" in text
    assert "optim.lr 0.001" in text
