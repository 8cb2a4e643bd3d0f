"""Makes a folder of clips with their truth; goes on where an earlier call stopped."""

import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avssl.errors import InputError
from avssl.files import replacing, write_text
from avssl.records import Sound
from avssl.world.clip import SPLITS, ClipSpec, Stage, rng_of, stage
from avssl.world.encode import write_mp4
from avssl.world.folder import clip_paths, fill_folder
from avssl.world.leaks import LEAKS, leak_encoding, leak_frames, leak_sound
from avssl.world.render import Renderer
from avssl.world.synth import RATE_HZ, finish, play
from avssl.world.truth import WORLD_VERSION, FrameTruth, coco_of, vggss_of


def sound_of(staged: Stage) -> NDArray[np.float32]:
    """Gives the sound of a clip, float32 [1, n] at 48 kHz, exactly as long as its frames."""
    spec = staged.spec
    rng = rng_of(spec.seed, spec.split, "sound", spec.index)
    num_samples = len(staged.times_s) * RATE_HZ // spec.fps
    dry = np.zeros(num_samples)
    for placed in staged.things:
        dry += play(
            rng, placed.thing.kind, placed.thing.voice, placed.notes, num_samples=num_samples
        )
    dry += play(rng, "footsteps", staged.step_voice, staged.steps, num_samples=num_samples)
    sound = finish(
        rng, dry, room_s=staged.scene.room_s, wet=staged.scene.wet, hiss_db=rng.uniform(-66, -54)
    )
    return leak_sound(spec.leaks, sound, rng_of=_leak_rng(spec))


def _leak_rng(spec: ClipSpec) -> Callable[[str], np.random.Generator]:
    """Gives the generators of a clip's leaks: of each one, whatever others there are."""
    names = list(LEAKS)
    return lambda name: rng_of(spec.seed, spec.split, "leak", spec.index, names.index(name))


def _frames(staged: Stage, truth: list[dict[str, Any]]) -> Iterator[NDArray[np.uint8]]:
    """Renders frame by frame (uint8 [H, W, 3]); at the end the clip's truth is put in `truth`."""
    width_px, height_px = staged.spec.size_px
    renderer = Renderer(
        solids=staged.solids,
        scene=staged.scene,
        camera=staged.camera,
        width_px=width_px,
        height_px=height_px,
    )
    gathered = FrameTruth(staged, renderer)

    def clean() -> Iterator[NDArray[np.uint8]]:
        for frame in range(len(staged.times_s)):
            hits = renderer.trace(frame)
            gathered.add(frame, hits)
            yield renderer.frame(frame, hits)

    yield from leak_frames(
        staged.spec.leaks,
        clean(),
        num_frames=len(staged.times_s),
        rng_of=_leak_rng(staged.spec),
    )
    truth.append(gathered.finish())


def render_clip(spec: ClipSpec) -> tuple[NDArray[np.uint8], Sound, dict[str, Any]]:
    """Renders one clip in memory: frames uint8 [T, 3, H, W], its sound, its truth."""
    staged = stage(spec)
    truth: list[dict[str, Any]] = []
    frames = np.stack(list(_frames(staged, truth))).transpose(0, 3, 1, 2)
    sound = Sound(samples=sound_of(staged), rate_hz=RATE_HZ, start_s=0.0)
    return np.ascontiguousarray(frames), sound, truth[0]


def _make_clip(directory: Path, spec: ClipSpec) -> int:
    """Writes one clip and its truth (last: it marks the clip as done); gives its frame count."""
    import cv2

    cv2.setNumThreads(1)
    video, truth_path = clip_paths(directory, spec)
    staged = stage(spec)
    truth: list[dict[str, Any]] = []
    with replacing(video) as temporary:
        write_mp4(
            temporary,
            _frames(staged, truth),
            sound_of(staged),
            size_px=spec.size_px,
            fps=spec.fps,
            rate_hz=RATE_HZ,
            encoding=leak_encoding(spec.leaks, rng_of=_leak_rng(spec)),
        )
    write_text(truth_path, json.dumps(truth[0], separators=(",", ":"), allow_nan=False))
    return len(staged.times_s)


def _write_labels(directory: Path, specs: Sequence[ClipSpec]) -> None:
    for split in SPLITS:
        truths = []
        for spec in specs:
            if spec.split == split:
                truths.append(
                    json.loads(clip_paths(directory, spec)[1].read_text(encoding="utf-8"))
                )
        for name, labels in (("coco", coco_of(truths)), ("vggss", vggss_of(truths))):
            text = json.dumps(labels, separators=(",", ":"), allow_nan=False)
            write_text(directory / "truth" / f"{name}_{split}.json", text)


def make_world(
    directory: str | os.PathLike[str],
    *,
    num_train: int = 60,
    num_validation: int = 20,
    num_test: int = 20,
    seed: int = 0,
    short_side_px: int = 128,
    fps: int = 25,
    duration_s: float = 7.0,
    theme: str = "people",
    leaks: Sequence[str] = (),
    workers: int | None = None,
    quiet: bool = False,
) -> Path:
    """Makes a world: a folder of videos with sound, and their truth.

    Layout: `train/*.mp4`, `validation/*.mp4`, `test/*.mp4`; `truth/<split>/<clip>.json`,
    `truth/coco_<split>.json`, `truth/vggss_<split>.json`; `world.json` with settings and version.
    A clip depends on the settings and its own number alone, so a world can be extended by a
    second call with larger counts; a call with the same settings does nothing.

    Args:
        directory: an empty folder, a new one, or one that holds this world in part.
        num_train: clips in the split; bodies, places and instruments are disjoint between splits.
        num_validation: as `num_train`.
        num_test: as `num_train`.
        seed: another seed is another world.
        short_side_px: height of the pictures, even; they are 4 to 3.
        fps: frames per second.
        duration_s: mean length of a clip; each is up to a seventh shorter or longer.
        theme: what clips are about: `people`, `sounds` or `falls` (`themes`).
        leaks: what is planted in them for the audit: names in `leaks.LEAKS`.
        workers: processes, by default one for each core.
        quiet: show no progress.

    Raises:
        InputError: a setting is out of range or the folder holds something else.
    """
    root = Path(directory)
    counts = {"train": num_train, "validation": num_validation, "test": num_test}
    if min(counts.values()) < 0 or not sum(counts.values()):
        raise InputError(f"clips {counts}: at least one clip, none below 0")
    if seed < 0 or (workers is not None and workers < 1):
        raise InputError(f"seed {seed}, workers {workers}: seed from 0, workers from 1")
    specs = [
        ClipSpec(
            seed=seed,
            split=split,
            index=index,
            short_side_px=short_side_px,
            fps=fps,
            duration_s=duration_s,
            theme=theme,
            leaks=tuple(leaks),
        )
        for split, count in counts.items()
        for index in range(count)
    ]
    settings = {
        "world_version": WORLD_VERSION,
        **{k: v for k, v in asdict(specs[0]).items() if k not in ("split", "index")},
    }
    if theme == "people":  # worlds made before there were themes are of this one
        del settings["theme"]
    settings["leaks"] = list(leaks)  # as it is read back
    if not leaks:
        del settings["leaks"]
    return fill_folder(
        root,
        specs,
        settings=settings,
        counts=counts,
        make_clip=_make_clip,
        write_labels=_write_labels,
        title="making the world",
        note="the first ever start compiles the renderer",
        workers=workers,
        quiet=quiet,
    )
