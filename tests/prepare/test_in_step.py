"""Click and flash, all the way: file → prepare → catalogue → sample → tensors, within 1 ms."""

from fractions import Fraction

import numpy as np
import pytest

from avssl.catalog import Catalog
from avssl.data import make_example
from avssl.decode.fetch import Fetcher
from avssl.prepare import PrepareSettings, prepare
from avssl.pretext.audio_visual_correspondence import AudioVisualCorrespondence
from avssl.sample import sample_rng
from avssl.transform.audio_visual import MATCHED

FLASHES = (25, 50)
FILES = {
    "plain.mov": {"fps": 25},
    "ntsc.mov": {"fps": Fraction(30000, 1001)},
    "late.mkv": {"fps": 25, "sound_start_s": 0.3, "sound_codec": "flac"},
}


@pytest.fixture(scope="module")
def catalog(tmp_path_factory, tools) -> Catalog:
    root = tmp_path_factory.mktemp("in_step")
    for seed, (name, settings) in enumerate(FILES.items()):
        own = tools.background(np.random.default_rng(seed))
        pictures = [tools.numbered(k, own, flash=k in FLASHES) for k in range(90)]
        start_s = float(settings.get("sound_start_s", 0.0))
        clicks_s = [float(k / Fraction(settings["fps"])) - start_s for k in FLASHES]
        length_s = float(90 / Fraction(settings["fps"])) - start_s
        sound = tools.click(length_s, at_s=clicks_s)
        tools.write_video(root / "src" / name, pictures, sound=sound, **settings)
    prepare(root / "src", root / "set", settings=PrepareSettings(short_side_px=64), quiet=True)
    read = Catalog.read(root / "set")
    assert sorted(row.source for row in read.rows()) == sorted(FILES)
    return read


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("rate_hz", [16_000, 48_000])
def test_the_click_is_heard_where_the_flash_is_seen(catalog, name, rate_hz) -> None:
    task = AudioVisualCorrespondence(
        sound_s=0.6, rate_hz=rate_hz, positive_share=0.99, size_px=32, silence_db=-90.0,
        crop_scale=(1.0, 1.0), brightness=0.0, contrast=0.0, saturation=0.0, volume_jitter=0.0,
    )  # fmt: skip
    index = [row.source for row in catalog.rows()].index(name)
    fetcher, errors_s, dark = Fetcher(catalog.directory), [], 0
    for number in range(220):
        plan, example = make_example(
            task, catalog, lambda: fetcher, index=index, rng=sample_rng(0, 0, number)
        )
        if plan.target["kind"] != MATCHED:
            continue
        if example.arrays["frames"][:, 12:].mean() < 240:
            dark += 1
            continue
        samples = np.abs(example.arrays["sound"])
        first = int(np.flatnonzero(samples > 0.5 * samples.max())[0])
        errors_s.append(first / rate_hz - task.sound_s / 2)
    assert len(errors_s) >= 3 and dark > 20
    # the loudest tenth of a millisecond or so of a burst of 4 ms begins at its first sample
    assert np.abs(errors_s).max() <= 1e-3, errors_s
