"""Records check themselves and show shapes, never pixels; files are written whole or not at all."""

import json

import numpy as np
import pytest

from avssl.files import replacing, write_json
from avssl.records import Clip, Example, FrameSpan, Shortcut, Sound


def test_sound_is_an_array_of_one_channel() -> None:
    samples = np.linspace(-1, 1, 5, dtype=np.float32)[None]
    sound = Sound(samples=samples, rate_hz=8000, start_s=0.5, padded_after=2)
    np.testing.assert_array_equal(np.asarray(sound), samples)
    assert np.asarray(sound, dtype=np.float64).dtype == np.float64
    assert "float32[1, 5]" in repr(sound) and "padded_after=2" in repr(sound)
    with pytest.raises(ValueError, match=r"\[1, n\]"):
        Sound(samples=samples[0], rate_hz=8000, start_s=0.0)
    with pytest.raises(ValueError, match="float32"):
        Sound(samples=samples.astype(np.float64), rate_hz=8000, start_s=0.0)  # pyright: ignore


def test_a_clip_holds_frames_or_sound() -> None:
    frames = np.zeros((2, 3, 4, 5), dtype=np.uint8)
    assert repr(Clip(frames=frames)) == "Clip(frames=uint8[2, 3, 4, 5])"
    for wrong in (frames[0], frames.transpose(0, 2, 3, 1), frames.astype(np.float32)):
        with pytest.raises(ValueError, match=r"\[T, 3, H, W\]"):
            Clip(frames=wrong)
    with pytest.raises(ValueError, match="either"):
        Clip()
    with pytest.raises(ValueError, match="at least one time"):
        FrameSpan(row=0, times_s=())
    assert repr(Example(arrays={"x": frames})) == "Example(x=uint8[2, 3, 4, 5])"


def test_a_shortcut_is_of_a_known_kind() -> None:
    with pytest.raises(ValueError, match="bookkeeping"):
        Shortcut(name="x", kind="magic", leak="", guard="", probe=None)


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path) -> None:
    path = tmp_path / "deep" / "value.json"
    write_json(path, {"a": 1})
    with pytest.raises(RuntimeError), replacing(path) as temporary:
        temporary.write_text("half of it")
        raise RuntimeError
    assert json.loads(path.read_text()) == {"a": 1}
    assert [found.name for found in path.parent.iterdir()] == ["value.json"]
    with pytest.raises(ValueError, match="JSON"):  # NaN is no JSON: other readers would choke
        write_json(path, {"a": float("nan")})
    assert json.loads(path.read_text()) == {"a": 1}
