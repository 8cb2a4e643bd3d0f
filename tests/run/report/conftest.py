"""A finished run of a task whose samples and answers are known, for the tests of the report."""

import importlib.util
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from avssl.catalog import Catalog, ClipRow
from avssl.config import TrainConfig, write_config
from avssl.errors import InputError
from avssl.records import Clip, Example, FrameSpan, Plan, Shortcut
from avssl.run import checkpoint
from avssl.run.doctor_media import NUM_FRAMES, write_video
from avssl.run.train import build_learner

EVIL = "<script>alert(\"1\")</script> & 'x'.mp4"
REASON = "<img src=x onerror=alert(1)> claims 50 frames"


class Biased(nn.Module):
    """Always answers by its bias, so that the answer shows which weights were loaded."""

    def __init__(self) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(2))


@dataclass(frozen=True, kw_only=True)
class ThreeFrames:
    """A task for this test: three known frames, label by the first of them."""

    span_s: float = 0.4
    """Time between the first and the last frame."""

    name: ClassVar[str] = "three-frames"
    summary: ClassVar[str] = "a task of the tests <b>only</b>"
    streams: ClassVar[tuple[str, ...]] = ("vision",)
    shortcuts: ClassVar[tuple[Shortcut, ...]] = ()
    label_names: ClassVar[tuple[str, ...]] = ("shuffled", "in order")

    def items(self, catalog: Catalog) -> NDArray[np.int64]:
        if not len(catalog):
            raise InputError("no clip to sample from")
        return np.arange(len(catalog))

    def sample(self, catalog: Catalog, index: int, rng: np.random.Generator) -> Plan:
        first = int(rng.integers(0, 3))
        times_s = tuple(float(t) for t in catalog.row(index).frame_times_s[first : first + 5 : 2])
        spans = (FrameSpan(row=index, times_s=times_s),)
        return Plan(spans=spans, target={"label": first % 2})

    def transform(self, clips: Sequence[Clip], plan: Plan, rng: np.random.Generator) -> Example:
        frames = clips[0].frames
        assert frames is not None
        return Example(arrays={"frames": frames, "label": np.int64(plan.target["label"])})

    def head(self, widths: Mapping[str, int]) -> nn.Module:
        return Biased()

    def predict(self, encoders: Any, head: Any, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {"logits": head.bias.expand(len(batch["frames"]), 2)}

    def metrics(self, out: Mapping[str, Tensor], batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {}

    def trivial(self, catalog: Catalog) -> dict[str, float]:
        return {"balanced_accuracy": 0.5}


@pytest.fixture
def browser(tmp_path: Path):
    """A headless Chromium."""
    spec = importlib.util.spec_from_file_location("browser", Path(__file__).with_name("browser.py"))
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if module.BROWSER is None:
        pytest.skip("no Chromium here")
    found = module.Browser(tmp_path / "profile")
    yield found
    found.close()


@pytest.fixture(autouse=True)
def known_task(monkeypatch: pytest.MonkeyPatch) -> None:
    import avssl.pretext

    tasks = {**getattr(avssl.pretext, "TASKS", {}), ThreeFrames.name: ThreeFrames}
    monkeypatch.setattr(avssl.pretext, "TASKS", tasks, raising=False)


def _row(video: Path, number: int, split: str) -> ClipRow:
    return ClipRow(
        clip_id=f"clip-{number}",
        source=EVIL,
        source_sha256=f"{number:064d}",
        source_start_s=0.0,
        source_end_s=NUM_FRAMES / 10,
        group_id=f"group-{number}",
        split=split,
        store=str(video),
        video_offset=0,
        video_num_bytes=video.stat().st_size,
        video_suffix=".mp4",
        codec="h264",
        width_px=64,
        height_px=48,
        start_s=0.0,
        step_s=0.1,
        num_frames=NUM_FRAMES,
        last_frame_s=0.1,
        sound_state="absent",
        window_s=0.25,
        motion=np.linspace(0.0, 1.0, 11),
    )


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """The folder of a run on two clips whose frames have known levels."""
    video = tmp_path / "video.mp4"
    write_video(video)
    data, out = tmp_path / "data", tmp_path / "run"
    data.mkdir()
    rows = [_row(video, 0, "train"), _row(video, 1, "train"), _row(video, 2, "validation")]
    Catalog.from_rows(rows, directory=data).write(data)
    quarantined = {"file": EVIL, "reason": REASON, "stage": "decode"}
    (data / "quarantine.jsonl").write_text(json.dumps(quarantined) + "\n")
    (data / "prepare.json").write_text(json.dumps({"settings": {"gop": 8}, "seconds": 1.5}))
    config = TrainConfig(
        task=ThreeFrames(), data=str(data), out=str(out), vision="small", steps=100
    )
    out.mkdir()
    write_config(config, out)
    lines = [
        {"step": 50, "split": "train", "loss": 0.7, "learning_rate": 1e-3},
        {"step": 50, "split": "validation", "loss": 0.69, "balanced_accuracy": 0.55},
        {"step": 100, "split": "train", "loss": 0.4, "learning_rate": 1e-4},
        {"step": 100, "split": "validation", "loss": 0.45, "balanced_accuracy": 0.8125},
    ]
    (out / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (out / "timings.jsonl").write_text(
        '{"step": 50, "seconds": 60}\n{"step": 100, "seconds": 66}\n'
    )
    notes = {
        "status": "done",
        "step": 100,
        "trivial": {"balanced_accuracy": 0.5},
        "num_parameters": 1234567,
        "device": "cpu <1 thread>",
        "versions": {"torch": "2.11.0"},
    }
    (out / "run.json").write_text(json.dumps(notes))
    learner = build_learner(config)
    with torch.no_grad():
        learner.head.bias.copy_(torch.tensor([0.0, 2.0]))
    state = {f"model/{name}": value for name, value in learner.state_dict().items()}
    checkpoint.save(out, state, step=100, facts={}, keep=1)
    return out
