"""Flickr-SoundNet's layout, pictures and sounds apart: joined, then prepared with the boxes."""

import shutil
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from avssl.catalog import Catalog
from avssl.errors import InputError
from avssl.labels.sounding import moments_of
from avssl.prepare import pairs

RATE_HZ = 48_000


def annotation(*boxes: tuple[int, ...]) -> str:
    names = ("name", "xmin", "ymin", "xmax", "ymax")
    people = "".join(
        "<annotator><bbox>"
        + "".join(f"<{name}>{value}</{name}>" for name, value in zip(names, (1, *box), strict=True))
        + "</bbox></annotator>"
        for box in boxes
    )
    return f"<annotation><filename>1</filename>{people}</annotation>"


@pytest.fixture
def flickr(tmp_path: Path, tools: Any) -> Path:
    """Files of Flickr-SoundNet's layout: pictures and sounds apart, and one video."""
    import cv2

    source = tmp_path / "Data"
    for number, name in enumerate(("111", "222", "444")):
        folder = source / str(number)
        folder.mkdir(parents=True)
        picture = tools.background(np.random.default_rng(number), width=300, height=225)
        cv2.imwrite(str(folder / f"{name}.jpg"), np.repeat(picture[:, :301, None], 3, axis=2))
        seconds = (3.0, 25.0, 2.0)[number]
        with av.open(str(folder / f"{name}.wav"), "w") as out:
            stream: Any = out.add_stream("pcm_s16le", rate=22_050, layout="mono")
            # each second has a pitch of its own: 200 Hz, 300 Hz, 400 Hz…
            time_s = np.arange(int(seconds * 22_050)) / 22_050
            wave = 9000 * np.sin(2 * np.pi * (200 + 100 * np.floor(time_s)) * time_s)
            for at in range(0, len(wave), 4410):
                frame = av.AudioFrame.from_ndarray(
                    wave[None, at : at + 4410].astype(np.int16), format="s16", layout="mono"
                )
                frame.sample_rate, frame.pts = 22_050, at
                out.mux(stream.encode(frame))
            out.mux(stream.encode(None))
    (source / "2" / "444.wav").write_bytes(b"RIFF nonsense")
    (source / "555.png").write_bytes(b"no sound of this name")
    own = tools.background(np.random.default_rng(9))
    tools.write_video(source / "333.mp4", [tools.numbered(k, own) for k in range(30)])
    truth = tmp_path / "Annotations"
    truth.mkdir()
    for name in ("111", "222", "333", "444", "555", "666"):
        (truth / f"{name}.xml").write_text(annotation((64, 0, 128, 256), (64, 0, 192, 128)))
    (truth / "777.xml").write_text("<annotation>")
    return tmp_path


def test_pictures_and_sounds_are_joined(flickr: Path) -> None:
    folder = flickr / "joined"
    names = ["111", "222", "333", "444", "555", "666"]
    problems = pairs.join_pairs(flickr / "Data", names, folder, quiet=True)
    assert len(problems) == 2 and "444.wav: the sound cannot be decoded" in problems[0]
    assert "555.png: a picture and a sound must bear one name" in problems[1]
    assert sorted(path.name for path in folder.iterdir()) == ["111.mkv", "222.mkv", "333.mp4"]
    with av.open(str(folder / "222.mkv")) as found:
        pictures = [frame.to_ndarray(format="rgb24") for frame in found.decode(video=0)]
    with av.open(str(folder / "222.mkv")) as found:
        heard = np.concatenate([frame.to_ndarray()[0] for frame in found.decode(audio=0)])
    assert pictures[0].shape == (224, 300, 3) and len(pictures) == 200
    assert len(heard) == 20 * RATE_HZ
    # 25 s: the middle is from 2.5 s on, so that half a second later the fourth pitch begins
    for at_s, pitch_hz in ((0.1, 400), (0.6, 500), (19.6, 2400)):
        part = heard[int(at_s * RATE_HZ) :][: RATE_HZ // 4].astype(float)
        peak = np.argmax(np.abs(np.fft.rfft(part * np.hanning(len(part))))) * 4
        assert abs(peak - pitch_hz) <= 8
    expected = pairs._picture(flickr / "Data" / "1" / "222.jpg").astype(float)
    assert max(np.abs(one - expected).mean() for one in pictures[::50]) < 4
    stamp = (folder / "111.mkv").stat().st_mtime_ns
    pairs.join_pairs(flickr / "Data", names, folder, quiet=True)
    assert (folder / "111.mkv").stat().st_mtime_ns == stamp
    shutil.copy(flickr / "Data" / "0" / "111.jpg", flickr / "Data" / "111.jpg")
    with pytest.raises(InputError, match="two files of one name"):
        pairs.join_pairs(flickr / "Data", names, folder, quiet=True)


@pytest.mark.slow
def test_flickr_soundnet_to_a_data_set(run, flickr: Path, capsys) -> None:
    listed, leaky = flickr / "test_list.txt", flickr / "train.txt"
    listed.write_text("111.png\n333.png\n444.png\n666.png\n777.png\n")
    leaky.write_text("222\n111\n")
    words = [flickr / "Data", flickr / "Annotations", flickr / "out", "--test-list", listed]
    words += ["--train-list", leaky, "--short-side", 64, "--jobs", 1, "--quiet"]
    assert run("flickr_soundnet", *words) == 2
    assert "holds 1 of the 4 clips" in capsys.readouterr().err
    assert run("flickr_soundnet", *words, "--drop-leaked") == 0
    left_out = capsys.readouterr().err
    assert "777.xml: not XML" in left_out and "444.wav: the sound cannot" in left_out
    catalog = Catalog.read(flickr / "out")
    assert {row.source: row.split for row in catalog.rows()} == {
        "test/111.mkv": "test", "test/333.mp4": "test", "train/222.mkv": "train"
    }  # fmt: skip
    assert (flickr / "out" / "missing.txt").read_text().split() == ["444", "666"]
    (still,) = [row for row in catalog.rows() if "111" in row.source]
    (moment,) = moments_of(0, still, times_s=[])
    assert moment.annotators == (((0.25, 0, 0.5, 1),), ((0.25, 0, 0.75, 0.5),))
    assert moment.boxes == tuple(boxes[0] for boxes in moment.annotators)
    assert moment.time_s == pytest.approx(1.5, abs=0.06) and still.sound_state == "present"
    assert sorted(path.name for path in flickr.iterdir() if path.name.startswith("out")) == ["out"]
