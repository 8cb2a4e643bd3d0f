"""`avssl doctor`: every probe tells the truth, and a probe that dies costs one row only."""

import json
import os
import subprocess
import sys
import time
from dataclasses import asdict

import pytest

from avssl.run import doctor, doctor_media, doctor_probes
from avssl.run.doctor_probes import Finding, Probe


def _probe_in_child(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """Lets the child process run `code` in place of the probe's own function."""
    real = subprocess.run

    def run(command: list[str], **words: object) -> object:
        return real([*command[:2], code], **words)  # type: ignore[call-overload]

    monkeypatch.setattr(doctor.subprocess, "run", run)


def _row(part: str) -> str:
    return json.dumps(asdict(Finding(group="torch", part=part, state="works", found="1.0")))


def test_a_crash_costs_the_part_that_crashed_and_none_before_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    code = f"import os; print({_row('torch')!r}, flush=True); os.kill(os.getpid(), 11)"
    _probe_in_child(monkeypatch, code)
    found = {item.part: item for item in doctor.run_probe("torch")}
    assert found["torch"].state == "works"
    assert found["torchvision"].state == "broken"
    assert "signal 11" in found["torchvision"].found
    assert found["torchvision"].fix == "pip install 'torchvision==0.26.*'"
    assert not doctor.core_works(list(found.values()))


def test_a_hang_ends_at_the_time_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    code = f"import time; print({_row('torch')!r}, flush=True); time.sleep(60)"
    _probe_in_child(monkeypatch, code)
    began = time.monotonic()
    found = {item.part: item for item in doctor.run_probe("torch", time_limit_s=2)}
    assert time.monotonic() - began < 20
    assert found["torch"].state == "works"
    assert found["torchvision"].found == "no answer in 2 s"


def test_an_import_error_is_reported_in_its_own_words(monkeypatch: pytest.MonkeyPatch) -> None:
    _probe_in_child(monkeypatch, "raise ImportError('libfoo.so.3: cannot open')")
    (found,) = doctor.run_probe("timm")
    assert found.state == "broken"
    assert found.found == "ImportError: libfoo.so.3: cannot open"
    assert found.fix == "pip install 'timm>=1.0.15'"


def test_requirements_come_from_the_metadata() -> None:
    assert doctor_probes.requirement("torchcodec") == "torchcodec==0.11.1"
    assert doctor_probes.requirement("torch") == "torch==2.11.*"
    assert doctor_probes.requirement("s3fs") == "s3fs"


def test_a_back_end_that_gives_wrong_frames_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    import numpy as np

    import avssl.decode

    class OffByOne:
        def frames_by_index(self, indices: list[int]) -> np.ndarray:
            levels = [32 + doctor_media.LEVEL_STEP * (index + (index == 2)) for index in indices]
            return np.stack([np.full((3, 48, 64), level, dtype=np.uint8) for level in levels])

    monkeypatch.setattr(avssl.decode, "open_video", lambda path, backend: OffByOne(), raising=False)
    monkeypatch.delitem(vars(sys.modules["avssl"]), "open_video", raising=False)
    (found,) = doctor_media.look_at_backend("pyav", core=True)
    assert found.state == "broken"
    assert "wrong frames [2]" in found.found


def test_a_codec_that_cannot_write_is_told_apart_from_one_that_can() -> None:
    assert doctor_media.round_trip("libx264", "h264") == 2
    assert doctor_media.round_trip("flac", "flac") == 2
    with pytest.raises(Exception, match="no_such_encoder"):
        doctor_media.round_trip("no_such_encoder", "h264")


def test_missing_packages_are_absent_where_optional_and_broken_where_needed() -> None:
    (optional,) = doctor_probes.look_at_package("nope", "nope", use="nothing", optional=True)
    (needed,) = doctor_probes.look_at_package("nope", "nope", use="nothing", core=True)
    assert (optional.state, needed.state) == ("absent", "broken")
    assert optional.fix == needed.fix == "pip install 'nope'"
    assert doctor.core_works([optional])
    assert not doctor.core_works([optional, needed])


def test_the_compiler_row_follows_the_path(
    monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    compiler, *_ = doctor_probes.look_at_tools()
    assert compiler.state == "absent"
    assert "g++" in compiler.fix


def test_the_table_shows_every_part_and_its_fix_whatever_it_holds(
    capsys: pytest.CaptureFixture[str],
) -> None:
    rows = [
        Finding(group="a", part="good", state="works", found="1.0 [cuda]", core=True),
        Finding(group="b", part="bad", state="broken", found="why", fix="pip install 'x[y]'"),
    ]
    doctor.print_table(rows)
    shown = capsys.readouterr().out
    assert "1.0 [cuda]" in shown
    assert "→ pip install 'x[y]'" in shown
    assert "The core works. Broken, and not needed: bad." in shown


def test_the_command_on_this_machine() -> None:
    """The machine that runs the tests has a working core, and the JSON says so."""
    done = subprocess.run(
        [sys.executable, "-m", "avssl", "doctor", "--json"],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    rows = json.loads(done.stdout)
    states = {row["part"]: row["state"] for row in rows}
    assert done.returncode == 0, done.stdout + done.stderr
    for part in ("Python", "torch", "torchvision", "pyav", "H.264", "FLAC", "timm"):
        assert states[part] == "works", rows
    assert all(row["fix"] for row in rows if row["state"] == "broken")
    assert {row["state"] for row in rows} <= {"works", "absent", "broken"}


def test_every_probe_is_listed_with_what_it_owes() -> None:
    for name, probe in doctor.PROBES.items():
        assert isinstance(probe, Probe), name
        assert not probe.core or probe.parts, f"{name}: a core probe must say what it owes"
