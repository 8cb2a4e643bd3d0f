"""Losses that compare across the whole batch: two processes equal one."""

import os
import subprocess
import sys
from typing import Any

import pytest

SHARED = """
import sys, torch, torch.distributed as dist
from avssl.pretext.audio_visual_contrast import AudioVisualContrast

dist.init_process_group("gloo")
rank, task = dist.get_rank(), AudioVisualContrast()
torch.manual_seed(0)
weight = torch.nn.Parameter(torch.randn(8, 8))
pictures, sounds = torch.randn(6, 5, 8), torch.randn(6, 8)

def loss_of(part):
    seen = torch.nn.functional.normalize(pictures[part] @ weight, dim=2)
    heard = torch.nn.functional.normalize(sounds[part] @ weight.T, dim=1)
    num = len(seen)
    out = {"seen": seen, "heard": heard, "score": torch.full((num,), 100.0),
           "shifted_score": torch.full((num,), -100.0), "log_temperature": torch.tensor(-2.0)}
    batch = {"group": torch.arange(6)[part] % 4, "label": torch.ones(num, dtype=torch.int64)}
    return task.loss(out, batch)

loss = loss_of(slice(3 * rank, 3 * rank + 3))
loss.backward()
dist.all_reduce(weight.grad)
shared = weight.grad / 2
dist.destroy_process_group()
weight.grad = None
whole = loss_of(slice(0, 6))
whole.backward()
torch.testing.assert_close(loss, whole)
torch.testing.assert_close(shared, weight.grad)
print("equal")
"""
SHARED_PAIRS = """
import torch, torch.distributed as dist
from avssl.pretext.audio_visual_correspondence import AudioVisualCorrespondence

class Sees(torch.nn.Linear):
    layers = {"maps": (8, 1)}
    def features(self, frames):
        return {"maps": self(frames).permute(0, 2, 1)[..., None]}

class Hears(torch.nn.Linear):
    def forward(self, sound, masks):
        return super().forward(sound)

dist.init_process_group("gloo")
rank, task = dist.get_rank(), AudioVisualCorrespondence(
    negatives="batch", fusion="FUSION", standardise=False)
torch.manual_seed(0)
encoders = {"vision": Sees(8, 8), "sound": Hears(8, 8)}
head = task.head({"vision.maps.channels": 8, "vision.maps.stride": 1, "sound": 8})
weights = [*encoders["vision"].parameters(), *encoders["sound"].parameters(), *head.parameters()]
pictures, sounds = torch.randn(6, 5, 8), torch.randn(6, 8)

def loss_of(part):
    batch = {"frames": pictures[part], "sound": sounds[part], "group": torch.arange(6)[part] % 4,
             "label": torch.ones(6, dtype=torch.int64)[part]}
    out = task.predict(encoders, head, batch)
    own = torch.stack([head(*task.features(encoders, {n: v[k:k+1] for n, v in batch.items()}))[0]
                       for k in range(len(batch["label"]))])
    torch.testing.assert_close(out["logits"][:, 1], own[:, 1] - own[:, 0])
    return task.loss(out, batch)

loss = loss_of(slice(3 * rank, 3 * rank + 3))
loss.backward()
shared = []
for weight in weights:
    dist.all_reduce(weight.grad)
    shared.append(weight.grad / 2)
    weight.grad = None
dist.destroy_process_group()
whole = loss_of(slice(0, 6))
whole.backward()
torch.testing.assert_close(loss, whole)
torch.testing.assert_close(shared, [weight.grad for weight in weights])
head.eval()
assert set(task.predict(encoders, head, {"frames": pictures, "sound": sounds})) == {"logits"}
print("equal")
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "code", [SHARED, SHARED_PAIRS.replace("FUSION", "avol"), SHARED_PAIRS.replace("FUSION", "l3")]
)
def test_two_processes_compare_with_the_whole_batch(code: str, tmp_path: Any) -> None:
    """Loss and gradient of two halves are those of one process with all."""
    script = tmp_path / "shared.py"
    script.write_text(code)
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port",
         "0", "--rdzv-backend", "c10d", "--rdzv-endpoint", "localhost:0", str(script)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=240,
    )  # fmt: skip
    assert done.returncode == 0 and done.stdout.count("equal") == 2, done.stderr
