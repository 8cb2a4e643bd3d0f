"""Libraries that compile themselves are loaded by one process at a time, and work afterwards."""

import subprocess
import sys
import tempfile

import numpy as np

from avssl import compiled

HOLD = """
import sys
from avssl.compiled import _alone
with _alone("test-of-the-lock"):
    print("mine", flush=True)
    sys.stdin.readline()
print("released", flush=True)
"""


def start() -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def test_one_process_at_a_time() -> None:
    first = start()
    assert first.stdout is not None and first.stdout.readline() == "mine\n"
    second = start()
    try:
        second.wait(timeout=2.0)
        raise AssertionError("the second process did not wait")
    except subprocess.TimeoutExpired:
        pass
    assert first.communicate("\n")[0] == "released\n"
    # with the first gone (or killed) the second has its turn
    assert second.communicate("\n", timeout=60)[0] == "mine\nreleased\n"


def test_a_link_in_its_place_is_not_followed(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    import os

    victim = tmp_path / "victim"
    (tmp_path / f"avssl-{os.getuid()}-x.lock").symlink_to(victim)
    with compiled._alone("x"):
        assert not victim.exists()


def test_librosa_works() -> None:
    librosa = compiled.load_librosa()
    found = librosa.util.peak_pick(
        np.array([0.0, 5, 0, 0, 0, 0, 7, 0]),
        pre_max=1,
        post_max=1,
        pre_avg=1,
        post_avg=1,
        delta=0.5,
        wait=1,
    )
    assert found.tolist() == [1, 6]
