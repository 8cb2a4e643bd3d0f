"""The folder: layout, labels, disjoint splits, the same again, going on, refusing."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest

from avssl.errors import InputError
from avssl.world import WORLD_VERSION, ClipSpec, make_world, render_clip
from avssl.world.body import COCO_JOINTS
from avssl.world.clip import POOL_SIZES, SPLITS, pool_body, pool_scene, pool_thing, stage
from avssl.world.things import ALONE, PLAYED

ROOT = Path(__file__).parents[2]
SETTINGS = {
    "num_train": 3,
    "num_validation": 2,
    "num_test": 2,
    "seed": 5,
    "short_side_px": 64,
    "duration_s": 2.0,
    "workers": 1,
    "quiet": True,
}


def pictures(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def test_layout_and_manifest(small_world: Path):
    for split, count in (("train", 3), ("validation", 2), ("test", 2)):
        videos = sorted(path.stem for path in (small_world / split).iterdir())
        assert videos == [f"{split}_{index:05d}" for index in range(count)]
        truths = sorted(path.stem for path in (small_world / "truth" / split).iterdir())
        assert truths == videos
    manifest = json.loads((small_world / "world.json").read_text())
    assert manifest["complete"] and manifest["settings"]["world_version"] == WORLD_VERSION
    with av.open(str(small_world / "train" / "train_00000.mp4")) as container:
        video, audio = container.streams.video[0], container.streams.audio[0]
        assert (video.codec_context.name, audio.codec_context.name) == ("h264", "aac")
        assert (video.width, video.height, video.average_rate) == (86, 64, 25)


def test_the_label_files_say_what_the_clip_truth_says(small_world: Path):
    coco = json.loads((small_world / "truth" / "coco_train.json").read_text())
    assert coco["categories"][0]["keypoints"] == list(COCO_JOINTS)
    assert len({image["id"] for image in coco["images"]}) == len(coco["images"])
    images = {image["id"]: image for image in coco["images"]}
    assert len(coco["annotations"]) > 10
    for row in coco["annotations"]:
        image = images[row["image_id"]]
        truth = json.loads(
            (small_world / "truth" / image["video"]).with_suffix(".json").read_text()
        )
        assert image["file_name"] == f"{truth['clip']}_{image['frame_index']:06d}.jpg"
        assert image["time_s"] == pytest.approx(image["frame_index"] / 25)
        points = np.reshape(row["keypoints"], (17, 3))
        assert set(points[:, 2]) <= {0, 1, 2}
        assert row["num_keypoints"] == np.count_nonzero(points[:, 2])
        person = truth["people"][0]
        frame = image["frame_index"]
        for number, name in enumerate(COCO_JOINTS):
            if points[number, 2]:
                there = person["keypoints_px"][frame][truth["joint_names"].index(name)]
                assert points[number, :2].tolist() == there
        x, y, wide, high = row["bbox"]
        assert [x, y, x + wide, y + high] == pytest.approx(person["boxes_px"][frame], abs=0.11)
    for row in json.loads((small_world / "truth" / "vggss_train.json").read_text()):
        assert set(row) == {"file", "class", "bbox"}
        truth = json.loads((small_world / "truth" / "train" / f"{row['file']}.json").read_text())
        assert row["class"] == truth["sound_class"]
        assert sum(item["sounding"] for item in truth["people"] + truth["things"]) == 1
        for x0, y0, x1, y1 in row["bbox"]:
            assert 0 <= x0 < x1 <= 1 and 0 <= y0 < y1 <= 1


def test_a_second_call_does_nothing_and_lost_clips_come_back_the_same(small_world: Path):
    before = {path: path.stat().st_mtime_ns for path in small_world.rglob("*") if path.is_file()}
    make_world(small_world, **SETTINGS)
    after = {path: path.stat().st_mtime_ns for path in small_world.rglob("*") if path.is_file()}
    assert before == after
    clip = small_world / "test" / "test_00001.mp4"
    old = pictures(clip)
    clip.unlink()
    manifest = small_world / "world.json"
    found = json.loads(manifest.read_text())
    manifest.write_text(json.dumps({**found, "complete": False}))  # as after a stop
    make_world(small_world, **SETTINGS)
    np.testing.assert_array_equal(pictures(clip), old)
    others = {path for path in before if path.suffix == ".mp4" and path != clip}
    assert all(path.stat().st_mtime_ns == before[path] for path in others)


def test_a_world_grows_and_two_processes_make_what_one_makes(small_world: Path, tmp_path: Path):
    few = {**SETTINGS, "num_train": 1, "num_validation": 0, "num_test": 0}
    make_world(tmp_path / "w", **few)
    make_world(tmp_path / "w", **{**few, "num_train": 3, "workers": 2})
    for index in range(3):
        name = f"train/train_{index:05d}"
        np.testing.assert_array_equal(
            pictures(tmp_path / "w" / f"{name}.mp4"), pictures(small_world / f"{name}.mp4")
        )
        truth = f"truth/{name}.json"
        assert (tmp_path / "w" / truth).read_bytes() == (small_world / truth).read_bytes()


def test_a_clip_is_a_function_of_its_spec_alone():
    spec = ClipSpec(seed=1, split="test", index=3, short_side_px=64, duration_s=1.0)
    frames, sound, truth = render_clip(spec)
    again, sound_again, truth_again = render_clip(spec)
    assert frames.dtype == np.uint8 and frames.shape[1:] == (3, 64, 86)
    assert frames.shape[0] == truth["num_frames"]
    assert sound.samples.shape[1] == frames.shape[0] * 1920
    np.testing.assert_array_equal(frames, again)
    np.testing.assert_array_equal(sound.samples, sound_again.samples)
    assert truth == truth_again
    other, *_ = render_clip(dataclasses.replace(spec, seed=2))
    count = min(len(frames), len(other))
    assert np.abs(frames[:count].astype(int) - other[:count]).mean() > 10
    assert len(truth["flow_px"]) == truth["num_frames"] - 1 and np.all(
        np.isfinite(truth["flow_px"])
    )


def test_splits_share_no_body_no_place_no_thing_and_no_voice():
    """Not by name nor by any drawn number: every value of the pools is compared."""
    seen: dict[str, dict[tuple, str]] = {"body": {}, "thing": {}, "voice": {}}
    for split in SPLITS:
        for number in range(POOL_SIZES[split]):
            body = pool_body(0, split, number)
            things = [pool_thing(0, split, k, number) for k in sorted({*ALONE, *PLAYED})]
            keys = [("body", (body.height_m, body.girth, body.shirt.colour))]
            keys += [("thing", (t.kind, t.main.colour, t.scale, t.tall)) for t in things]
            keys += [("voice", (t.kind, t.voice.base_hz, t.voice.decay_s)) for t in things]
            for what, key in keys:
                assert seen[what].setdefault(key, split) == split
            assert body.name.startswith(f"{split}-")
            assert all(thing.name.startswith(f"{split}-") for thing in things)
    textures = {}
    for split in SPLITS:
        for number in range(4):
            scene = pool_scene(0, split, number, short_side_px=64)
            textures[scene.name] = scene.wall.texture[::17, ::17].tobytes()
    assert len(set(textures.values())) == len(textures) == 12


def test_a_split_has_every_action_and_instrument_and_sources_off_the_middle():
    staged = [
        stage(ClipSpec(seed=0, split="train", index=n, short_side_px=64, duration_s=1.0))
        for n in range(40)
    ]
    actions = {person.action for clip in staged for person in clip.people}
    assert actions == {"walk", "wave", "jump", "squat", "dance", "play"}
    played = {thing.thing.kind for clip in staged for thing in clip.things if thing.played}
    assert played == set(PLAYED)
    off, several = [], 0
    for clip in staged:
        own = clip.solids.owners == clip.sounding
        middle = clip.solids.centres[:, own].mean(axis=1)
        x = clip.camera.project(middle, width_px=86, height_px=64)[len(middle) // 2, 0] / 86
        off.append(abs(x - 0.5) > 1 / 10)  # outside the middle fifth
        several += len(clip.things) >= 2
    assert 0.35 <= np.mean(off) <= 0.7
    assert several >= 0.4 * len(staged)


def test_what_is_refused(small_world: Path, tmp_path: Path):
    with pytest.raises(InputError, match="another world"):
        make_world(small_world, **{**SETTINGS, "seed": 6})
    with pytest.raises(InputError, match="another world"):
        make_world(small_world, **{**SETTINGS, "num_train": 1})
    (tmp_path / "mine.txt").write_text("x")
    with pytest.raises(InputError, match="not empty"):
        make_world(tmp_path, **SETTINGS)
    for wrong in ({"short_side_px": 63}, {"fps": 0}, {"duration_s": 0.1}, {"num_train": -1}):
        with pytest.raises(InputError):
            make_world(tmp_path / "new", **{**SETTINGS, **wrong})
    assert not (tmp_path / "new").exists()


def test_the_script_refuses_in_one_line_with_code_2(tmp_path: Path):
    script = [sys.executable, str(ROOT / "tools" / "make_world.py")]
    result = subprocess.run(
        [*script, str(tmp_path / "w"), "--short-side", "63"], capture_output=True, text=True
    )
    assert result.returncode == 2
    assert result.stderr.startswith("make_world: short side 63") and result.stderr.count("\n") == 1


def test_the_theme_of_sounds_lets_everything_move_and_one_thing_sound():
    staged = [
        stage(ClipSpec(seed=0, split="train", index=n, short_side_px=64, theme="sounds"))
        for n in range(40)
    ]
    assert not {person.action for clip in staged for person in clip.people} - {"play"}
    loud = [[placed for placed in clip.things if placed.notes] for clip in staged]
    assert all(len(placed) == 1 for placed in loud)  # what is silent has no notes
    kinds = {placed[0].thing.kind for placed in loud}
    assert kinds == {*ALONE, *PLAYED}
    moves = [
        np.ptp(clip.solids.centres[:, clip.solids.owners == placed.owner], axis=0).max() > 0.02
        for clip in staged
        for placed in clip.things
        if not placed.played  # a player's hands move; the keyboard does not
    ]
    assert all(moves) and len(moves) > 40
    assert 0.3 < np.mean([len(clip.things) >= 2 for clip in staged]) < 0.8


def test_a_world_without_a_theme_in_its_settings_is_of_people(small_world: Path):
    settings = json.loads((small_world / "world.json").read_text())["settings"]
    assert "theme" not in settings
    with pytest.raises(InputError, match="theme 'noise': must be one of people, sounds, falls"):
        ClipSpec(seed=0, split="train", index=0, theme="noise")
