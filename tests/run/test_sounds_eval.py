"""`avssl eval sounds` from the command line on tones in ESC-50's layout and in class folders."""

import json
import wave
from pathlib import Path

import numpy as np
import pytest

from avssl.cli import main
from avssl.config import config_from_recipe, replaced, write_config
from avssl.downstream import sounds as svm
from avssl.downstream.sound_features import Listening
from avssl.downstream.sounds_heard import groups_of, hear
from avssl.labels.sound_classes import LabelledSound, LabelledSounds
from avssl.model import build_encoder, save_encoder
from avssl.run.confusion import draw_confusion
from avssl.run.sounds_eval import own_settings

RATE_HZ = 16_000
PITCHES_HZ = {"low": 220.0, "middle": 700.0, "high": 2500.0}


def write_wav(path: Path, samples: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes(np.rint(samples * 32767).clip(-32768, 32767).astype("<i2").tobytes())


def tone(pitch_hz: float, rng: np.random.Generator, *, duration_s: float = 0.6) -> np.ndarray:
    """A tone of about this pitch, in noise, at any loudness."""
    times_s = np.arange(round(duration_s * RATE_HZ)) / RATE_HZ
    pure = np.sin(2 * np.pi * pitch_hz * rng.uniform(0.9, 1.1) * times_s)
    return rng.uniform(0.02, 0.5) * (pure + 0.05 * rng.standard_normal(len(times_s)))


@pytest.fixture(autouse=True)
def one_cost(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing to choose: the choice is tested beside the SVM, and takes most of the time."""
    monkeypatch.setattr(svm, "COSTS", (0.01,))


@pytest.fixture
def esc50(tmp_path: Path) -> Path:
    """Three classes, five folds, two clips of one recording in each."""
    rng = np.random.default_rng(0)
    root = tmp_path / "download" / "ESC-50-master"
    lines = ["filename,fold,target,category,esc10,src_file,take"]
    for fold in range(1, 6):
        for target, (label, pitch_hz) in enumerate(PITCHES_HZ.items()):
            recording = 1000 * fold + target
            for take in "AB":
                name = f"{fold}-{recording}-{take}-{target}.wav"
                write_wav(root / "audio" / name, tone(pitch_hz, rng))
                lines.append(f"{name},{fold},{target},{label},{target < 2},{recording},{take}")
    (root / "meta").mkdir()
    (root / "meta" / "esc50.csv").write_text("\n".join(lines) + "\n")
    return root


def test_tones_in_the_official_layout(esc50: Path, tmp_path: Path, capsys) -> None:
    run = tmp_path / "run"
    save_encoder(build_encoder("small", stream="sound", seed=3), run, stream="sound", metadata={})
    (esc50 / "audio" / "2-2000-A-0.wav").write_bytes(b"RIFF, but broken")
    (esc50 / "audio" / "3-3001-B-1.wav").unlink()
    assert main(["eval", "sounds", str(run), "--data", str(esc50.parent), "--quiet"]) == 0
    shown = capsys.readouterr().out
    found = json.loads((run / "sounds_download.json").read_text())
    rows = found["rows"]
    assert list(rows) == ["network", "untrained", "log-mel statistics", "majority"]
    assert rows["log-mel statistics"]["accuracy"] == 1.0
    assert rows["log-mel statistics"]["per_fold"] == [1.0] * 5
    assert rows["network"]["accuracy"] > 0.6  # pitches that far apart need no training
    assert rows["network"]["chosen_costs"] == [0.01] * 5 and found["costs"] == [0.01]
    assert 0.2 < rows["majority"]["accuracy"] < 0.4
    assert rows["majority"]["balanced_accuracy"] == pytest.approx(1 / 3)
    low, high = rows["network"]["interval"]
    assert low <= rows["network"]["accuracy"] <= high
    assert found["folds"] == {"kind": "official", "num": 5}
    assert (found["num_sounds"], found["classes"]) == (28, ["high", "low", "middle"])
    confusion = np.asarray(found["confusion"])
    assert confusion.sum(axis=1).tolist() == [10, 9, 9]
    assert [one["path"] for one in found["left_out"]] == ["audio/2-2000-A-0.wav"]
    for words in ("2-2000-A-0.wav", "3-3001-B-1.wav", "28 sounds shorter than a window"):
        assert words in shown and words in (run / "sounds_download.md").read_text()
    from matplotlib.image import imread

    picture = imread(run / "sounds_download.png")
    assert picture.shape[0] > 300 and picture[..., :3].std() > 0.05


def test_esc10_layer_and_scores(esc50: Path, tmp_path: Path, capsys) -> None:
    out = tmp_path / "ten.json"
    words = ["--data", str(esc50), "--subset", "esc10", "--layer", "res4", "--average", "scores"]
    flags = ["--window-s", "0.3", "--hop-s", "0.15", "--as-recorded", "-o", str(out), "--quiet"]
    assert main(["eval", "sounds", "random:small", *words, *flags]) == 0
    found = json.loads(out.read_text())
    assert found["classes"] == ["low", "middle"] and found["num_sounds"] == 20
    assert found["rows"]["network"]["num_features"] == 96 * 4 * 3
    assert found["loudness_db"] is None and found["features"] == "res4"
    assert found["rows"]["log-mel statistics"]["accuracy"] == 1.0
    assert found["rows"]["majority"]["accuracy"] == 0.5


def class_folders(root: Path, *, each: int = 4, seed: int = 0) -> Path:
    rng = np.random.default_rng(seed)
    for label, pitch_hz in PITCHES_HZ.items():
        for number in range(each):
            write_wav(root / label / f"{label}_{number}.wav", tone(pitch_hz, rng))
    return root


def test_class_folders_with_seeded_folds(tmp_path: Path, capsys) -> None:
    root = class_folders(tmp_path / "my sounds")
    (root / "low" / "broken.mp3").write_bytes(b"ID3" + bytes(50))
    write_wav(root / "high" / "still.wav", np.zeros(RATE_HZ))
    copy = root / "high" / "other_name.wav"
    copy.write_bytes((root / "high" / "high_0.wav").read_bytes())
    out = tmp_path / "out.json"
    words = ["--data", str(root), "--folds", "3", "-o", str(out), "--quiet"]
    assert main(["eval", "sounds", "random:small", *words]) == 0
    shown, first = capsys.readouterr().out, out.read_bytes()
    found = json.loads(first)
    assert "1 sounds that cannot be read" in shown and "broken.mp3" in shown
    assert "1 sounds of digital silence" in shown and "in another fold" not in shown
    assert found["num_sounds"] == 14  # 12 tones, the copy, the silence
    assert found["folds"] == {
        "kind": "seeded, whole groups", "num": 3, "seed": 0, "group_by": "auto", "num_groups": 13,
    }  # fmt: skip
    assert main(["eval", "sounds", "random:small", *words]) == 0
    assert out.read_bytes() == first


def test_copies_and_names_make_groups(tmp_path: Path) -> None:
    """Exact copies, near-copies and takes of one recording are one group; the rest are apart."""
    rng = np.random.default_rng(5)
    long = 0.1 * rng.standard_normal(6 * RATE_HZ)
    long[RATE_HZ : 3 * RATE_HZ] *= 0.3
    files = {
        "a/long.wav": long,
        "b/quieter_and_later.wav": 0.4 * long[2048:],
        "a/other.wav": 0.1 * rng.standard_normal(6 * RATE_HZ),
        "a/short.wav": long[:8000],
        "b/same.wav": long[:8000],
        "a/street-A.wav": tone(300, rng),
        "a/street-B.wav": tone(900, rng),
        "b/street-A.wav": tone(500, rng),
    }
    for name, samples in files.items():
        write_wav(tmp_path / name, samples)
    labelled = LabelledSounds(
        root=tmp_path, sounds=tuple(LabelledSound(path=name, label=name[0]) for name in files)
    )
    how = Listening(rate_hz=RATE_HZ, window_s=1.0, hop_s=0.5)
    heard = hear(labelled, {}, how)

    def apart(group_by: str) -> set[frozenset[str]]:
        groups: dict[str, set[str]] = {}
        for sound, group in zip(heard.sounds.sounds, groups_of(heard, group_by), strict=True):
            groups.setdefault(group, set()).add(sound.path)
        return {frozenset(held) for held in groups.values() if len(held) > 1}

    copies = {
        frozenset({"a/long.wav", "b/quieter_and_later.wav"}),
        frozenset({"a/short.wav", "b/same.wav"}),
    }
    assert apart("none") == copies
    assert apart("auto") == {*copies, frozenset({"a/street-A.wav", "a/street-B.wav"})}
    streets = frozenset(name for name in files if "street" in name)
    assert apart("(street)") == {*copies, streets}


@pytest.mark.parametrize("num", [3, 90])
def test_confusion_pictures(tmp_path: Path, num: int) -> None:
    """Any name and any number of classes; the darkest cells are those of the answers."""
    from matplotlib.image import imread

    names = ["犬 $x^$", *(f"class_{number}" for number in range(num - 1))]
    for name, counts in (("right", np.eye(num)), ("nothing", np.zeros((num, num)))):
        draw_confusion(counts.astype(int), names, tmp_path / f"{name}.png", title="a title")
    right, nothing = (imread(tmp_path / f"{name}.png") for name in ("right", "nothing"))
    assert right.shape == nothing.shape and right[..., :3].mean() < nothing[..., :3].mean()
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["nothing.png", "right.png"]


def test_what_a_run_says_of_its_encoder(tmp_path: Path) -> None:
    """Seed of the untrained network, loudness at which the encoder was trained."""
    for name, changes, expected in (
        ("audio-visual-contrast", {"seed": 7}, (7, -20.0)),
        ("audio-visual-sync", {"seed": 5, "task.loudness_db": -26.0}, (5, -26.0)),
        ("audio-visual-correspondence", {"task.equal_loudness": False}, (0, None)),
    ):
        config = config_from_recipe(name, "small", data="data", out="run")
        write_config(replaced(config, changes), tmp_path)
        assert own_settings(str(tmp_path)) == expected
    assert own_settings(str(tmp_path / "sound_encoder.safetensors")) == (0, -20.0)
    assert own_settings("random:small") == (1, -20.0)  # random:NAME itself is of seed 0


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["random:small", "--data", "{folders}"], "has no folder of its own; say -o FILE.json"),
        (["random:small", "--data", "{folders}", "-o", "x.png"], "must end in .json"),
        (["random:x/small", "--data", "{folders}", "-o", "x.json"], "write FRONT/NETWORK"),
        (["nowhere", "--data", "{folders}", "-o", "x.json"], "neither a run folder"),
        (["random:small", "--data", "{out}/nowhere", "-o", "x.json"], "no such folder"),
        (["random:small", "--data", "{folders}/low", "-o", "x.json"], "no sound in a class folder"),
        (["random:small", "--data", "{folders}", "--subset", "esc10", "-o", "x.json"], "not ESC"),
        (["random:small", "--data", "{folders}", "--layer", "res9", "-o", "x.json"], "no layer"),
        (["random:small", "--data", "{folders}", "--window-s", "0", "-o", "x.json"], "--window-s"),
        (["random:small", "--data", "{folders}", "--folds", "2", "-o", "x.json"], "at least 3"),
        (["random:small", "--data", "{folders}", "--folds", "13", "-o", "x.json"], "12 groups"),
        (["random:small", "--data", "{folders}", "--group-by", "(", "-o", "x.json"], "no pattern"),
        (["random:small", "--data", "{folders}", "--group-by", "folder", "-o", "x.json"], "3 gro"),
    ],
)  # fmt: skip
def test_mistakes_are_one_line(
    tmp_path: Path, capsys, monkeypatch, words: list[str], reason: str
) -> None:
    monkeypatch.chdir(tmp_path)
    folders = class_folders(tmp_path / "sounds")
    filled = [word.format(folders=folders, out=tmp_path) for word in words]
    assert main(["eval", "sounds", *filled, "--quiet"]) == 2
    captured = capsys.readouterr()
    assert reason in captured.err and captured.err.count("\n") == 1 and not captured.out
    assert not (tmp_path / "x.json").exists()


def test_a_class_or_fold_that_is_lost_is_refused(esc50: Path, capsys) -> None:
    words = ["random:small", "--data", str(esc50), "-o", str(esc50 / "x.json"), "--quiet"]
    for path in (esc50 / "audio").glob("4-*.wav"):
        path.write_bytes(b"broken")
    assert main(["eval", "sounds", *words]) == 2
    assert "no sound of fold 4 can be read" in capsys.readouterr().err
    for path in (esc50 / "audio").glob("*-2.wav"):
        path.write_bytes(b"broken")
    assert main(["eval", "sounds", *words]) == 2
    assert "(high)" in capsys.readouterr().err
    assert not (esc50 / "x.json").exists()
