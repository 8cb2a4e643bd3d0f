"""The truth of a clip, and the label files of a split.

One JSON a clip holds everything; `coco_<split>.json` (keypoints and boxes of people) and
`vggss_<split>.json` (box of what sounds, in the middle frame) are drawn from those.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avssl.world.body import COCO_JOINTS, COCO_SKELETON, JOINTS
from avssl.world.clip import Stage
from avssl.world.render import FINE, Hits, Renderer
from avssl.world.things import CLASSES

WORLD_VERSION = 4
COCO_EVERY_FRAMES = 5
"""Every fifth frame of a clip, from the third, is in the COCO file."""
_SKIN_M = {"nose": 0.05, "eye": 0.05, "ear": 0.06, "top": 0.05, "hip": 0.16, "pelvis": 0.18}

Floats = NDArray[np.float64]


def _round(values: Any, digits: int) -> Any:
    return np.round(np.asarray(values, dtype=np.float64), digits).tolist()


class FrameTruth:
    """Gathers, frame by frame, what only the rendered picture tells: boxes, hidden joints."""

    def __init__(self, stage: Stage, renderer: Renderer) -> None:
        self.stage, self.renderer = stage, renderer
        width, height = stage.spec.size_px
        self.joints = []  # per person [T, J, 3]: column, row, depth
        for person in stage.people:
            points = np.stack([person.skeleton.joints[name] for name in JOINTS], axis=1)
            self.joints.append(stage.camera.project(points, width_px=width, height_px=height))
        self.owners = [person.owner for person in stage.people]
        self.owners += [placed.owner for placed in stage.things]
        count = len(stage.times_s)
        self.boxes = {owner: np.zeros((count, 4)) for owner in self.owners}
        self.areas = {owner: np.zeros(count) for owner in self.owners}
        self.visibility = [np.zeros((count, len(JOINTS)), dtype=int) for _ in stage.people]
        self.flow_px = np.zeros(max(count - 1, 0))
        girth = [person.body.girth * person.body.height_m / 1.75 for person in stage.people]
        self.tolerance = [
            np.array([_SKIN_M.get(name.split("_")[-1], 0.10) * size for name in JOINTS])
            for size in girth
        ]

    def add(self, frame: int, hits: Hits) -> None:
        """Takes in one traced frame."""
        found = self.renderer.extents(hits, max(self.owners, default=0) + 1)
        for owner in self.owners:
            if found[owner, 4]:
                self.boxes[owner][frame] = found[owner, :4] / FINE
                self.areas[owner][frame] = found[owner, 4] / FINE**2
        owner_of = np.append(self.stage.solids.owners, -1)  # -1 where there is no solid
        height, width = hits.ids.shape
        for number, person in enumerate(self.stage.people):
            column, row, depth = self.joints[number][frame].T
            x, y = np.floor(column * FINE).astype(int), np.floor(row * FINE).astype(int)
            inside = (x >= 0) & (x < width) & (y >= 0) & (y < height) & (depth > 0)
            x, y = np.clip(x, 0, width - 1), np.clip(y, 0, height - 1)
            own = owner_of[hits.ids[y, x]] == person.owner
            near = depth - hits.depth[y, x] < self.tolerance[number]
            self.visibility[number][frame] = np.where(inside, np.where(own & near, 2, 1), 0)
        if frame + 1 < len(self.stage.times_s):
            flow = self.renderer.flow(frame, hits)
            self.flow_px[frame] = np.linalg.norm(flow, axis=-1).mean()

    def finish(self) -> dict[str, Any]:
        """Gives the clip's truth, ready for JSON."""
        stage, spec = self.stage, self.stage.spec
        width, height = spec.size_px
        people = []
        for number, person in enumerate(stage.people):
            visible = self.visibility[number]
            people.append(
                {
                    "body": person.body.name,
                    "action": person.action,
                    "height_m": round(person.body.height_m, 4),
                    "sounding": person.owner == stage.sounding,
                    "boxes_px": _round(self.boxes[person.owner], 1),
                    "areas_px": _round(self.areas[person.owner], 1),
                    "keypoints_px": _round(self.joints[number][..., :2], 2),
                    "visibility": visible.tolist(),
                    "depth_m": _round(self.joints[number][..., 2], 3),
                }
            )
        things = [
            {
                "kind": placed.thing.kind,
                "class": CLASSES[placed.thing.kind],
                "name": placed.thing.name,
                "played": placed.played,
                "sounding": placed.owner == stage.sounding,
                "boxes_px": _round(self.boxes[placed.owner], 1),
                "areas_px": _round(self.areas[placed.owner], 1),
            }
            for placed in stage.things
        ]
        notes = [note for placed in stage.things for note in placed.notes] or stage.steps
        source = next((thing for thing in things if thing["sounding"]), None)
        return {
            "world_version": WORLD_VERSION,
            "clip": spec.clip_id,
            "split": spec.split,
            "video": f"{spec.split}/{spec.clip_id}.mp4",
            "width_px": width,
            "height_px": height,
            "fps": spec.fps,
            "num_frames": len(stage.times_s),
            "action": people[0]["action"] if people else None,
            "instrument": next((t["kind"] for t in things if t["played"]), None),
            "sound_kind": source["kind"] if source else "footsteps",
            "sound_class": source["class"] if source else CLASSES["footsteps"],
            "onsets_s": _round(sorted(note.time_s for note in notes), 5),
            "scene": stage.scene.name,
            "scene_kind": stage.scene.kind,
            "camera_move": stage.camera_move,
            "distractors": list(stage.distractors),
            "joint_names": list(JOINTS),
            "people": people,
            "things": things,
            "flow_px": _round(self.flow_px, 4),
        }


def sounding_boxes(truth: dict[str, Any], frame: int) -> list[list[float]]:
    """Gives the boxes [x0, y0, x1, y1] in pixels of what sounds, in one frame, if in view."""
    found = [*truth["people"], *truth["things"]]
    boxes = [item["boxes_px"][frame] for item in found if item["sounding"]]
    return [box for box in boxes if box[2] > box[0]]


def vggss_of(truths: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Gives VGG-SS's list: one row a clip, boxes of the middle frame in 0…1."""
    rows = []
    for truth in truths:
        scale = np.array([truth["width_px"], truth["height_px"]] * 2)
        boxes = sounding_boxes(truth, truth["num_frames"] // 2)
        rows.append(
            {
                "file": truth["clip"],
                "class": truth["sound_class"],
                "bbox": [_round(np.asarray(box) / scale, 5) for box in boxes],
            }
        )
    return rows


def coco_of(truths: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Gives COCO's person keypoints file over every fifth frame of the clips.

    Images are named `<clip>_<frame number, six digits>.jpg`; `video`, `frame_index` and `time_s`
    say where to find them in the videos.
    """
    images, annotations = [], []
    for truth in truths:
        for frame in range(2, truth["num_frames"], COCO_EVERY_FRAMES):
            image = {
                "id": len(images) + 1,
                "file_name": f"{truth['clip']}_{frame:06d}.jpg",
                "width": truth["width_px"],
                "height": truth["height_px"],
                "video": truth["video"],
                "frame_index": frame,
                "time_s": round(frame / truth["fps"], 6),
            }
            images.append(image)
            for person in truth["people"]:
                points = []
                for number in range(len(COCO_JOINTS)):
                    seen = person["visibility"][frame][number]
                    x, y = person["keypoints_px"][frame][number]
                    points += [x, y, seen] if seen else [0, 0, 0]
                x0, y0, x1, y1 = person["boxes_px"][frame]
                annotations.append(
                    {
                        "id": len(annotations) + 1,
                        "image_id": image["id"],
                        "category_id": 1,
                        "keypoints": points,
                        "num_keypoints": sum(value > 0 for value in points[2::3]),
                        "bbox": _round([x0, y0, x1 - x0, y1 - y0], 1),
                        "area": person["areas_px"][frame],
                        "iscrowd": 0,
                    }
                )
    return {
        "info": {"description": f"avssl world, version {WORLD_VERSION}"},
        "licenses": [],
        "images": images,
        "annotations": annotations,
        "categories": [
            {
                "id": 1,
                "name": "person",
                "supercategory": "person",
                "keypoints": list(COCO_JOINTS),
                "skeleton": [list(pair) for pair in COCO_SKELETON],
            }
        ],
    }
