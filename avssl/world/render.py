"""Frames of a staged clip, what is seen in each, and the true image flow.

Solids are traced at twice the picture's size (their edges come out smooth), lit by a lamp whose
shadows come from a second, parallel tracing, in front of a wall and a floor. Colours are linear
until the last step. Shapes: T frames, N solids, H x W pixels, h x w = 2 H x 2 W fine pixels.
"""

import functools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avssl.world import kernels, kernels_truth
from avssl.world.camera import Camera
from avssl.world.scene import Scene
from avssl.world.solids import BOX, CONE, DISC, ELLIPSOID, Solids
from avssl.world.textures import pattern_tiles

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]
FINE = 2
"""Solids are traced at this many times the picture's size."""
NEAR_M = 0.15
FLOW_STEP_PX = 4
"""The true flow is taken at every fourth pixel of every fourth row."""
SHADOW_TEXELS, SHADOW_STEP_M = 288, 0.021


@dataclass(frozen=True, kw_only=True)
class Hits:
    """What the rays of one frame meet first."""

    depth: Floats  # [h, w], metres along the camera's axis, inf where there is no solid
    ids: NDArray[np.int32]  # [h, w], number of the solid or -1


@functools.cache
def _screen_table() -> NDArray[np.uint8]:
    """Linear light in 4096 steps → screen value, a display's curve (gamma 2.2)."""
    return np.round(255.0 * np.linspace(0.0, 1.0, 4096) ** (1 / 2.2)).astype(np.uint8)


def to_screen(linear: Singles) -> NDArray[np.uint8]:
    """Linear light [...] in 0…1 → uint8 as shown."""
    return _screen_table()[(np.clip(linear, 0.0, 1.0) * 4095.0 + 0.5).astype(np.uint16)]


def _corner_signs() -> Floats:
    return np.stack(np.meshgrid([-1, 1], [-1, 1], [-1, 1], indexing="ij"), -1).reshape(8, 3)


def _ball_bounds(centre: Floats, spread: Floats) -> Floats:
    """Bounds [..., 4] in ray units of ellipsoids with outer product `spread` [..., 3, 3]."""
    dual = spread - centre[..., :, None] * centre[..., None, :]
    last = np.minimum(dual[..., 2, 2], -1e-9)
    low, high = [], []
    for axis in (0, 1):
        inside = dual[..., axis, 2] ** 2 - dual[..., axis, axis] * last
        middle = dual[..., axis, 2] / last
        half = np.sqrt(np.maximum(inside, 0.0)) / -last
        low.append(middle - half)
        high.append(middle + half)
    return np.stack([*low, *high], axis=-1)


def camera_bounds(solids: Solids, camera: Camera) -> Floats:
    """Bounds [T, N, 4] (x0, y0, x1, y1) of every solid on the picture, in ray units."""
    turn = camera.rotation[:, None] @ solids.rotations
    centre = camera.to_camera(solids.centres)
    result = np.zeros((*centre.shape[:2], 4))
    chosen = solids.kinds == ELLIPSOID
    part = turn[:, chosen] * solids.sizes[chosen][None, :, None, :]
    result[:, chosen] = _ball_bounds(centre[:, chosen], part @ np.swapaxes(part, -1, -2))
    for kind in (CONE, DISC):  # balls around the ends hold a cone, one ball holds a disc
        chosen = solids.kinds == kind
        ends = []
        for end in (0, 1) if kind == CONE else (0,):
            far = end * solids.sizes[chosen, 2][None, :, None] * turn[:, chosen][..., 1]
            spread = solids.sizes[chosen, end][None, :, None, None] ** 2 * np.eye(3)
            ends.append(_ball_bounds(centre[:, chosen] + far, spread))
        result[:, chosen, :2] = np.min(ends, axis=0)[..., :2]
        result[:, chosen, 2:] = np.max(ends, axis=0)[..., 2:]
    chosen = solids.kinds == BOX
    corners = solids.sizes[chosen][:, None] * _corner_signs()
    placed = np.einsum("tnij,nkj->tnki", turn[:, chosen], corners) + centre[:, chosen][:, :, None]
    flat = placed[..., :2] / np.maximum(placed[..., 2:], NEAR_M)
    result[:, chosen] = np.concatenate([flat.min(axis=2), flat.max(axis=2)], axis=-1)
    result[centre[..., 2] < NEAR_M] = np.inf  # behind the camera: an empty box
    return result


def light_bounds(solids: Solids, axes: Floats, corner: Floats) -> Floats:
    """Bounds [T, N, 4] of every solid in the lamp's picture, metres from `corner`."""
    result = np.zeros((*solids.centres.shape[:2], 4))
    sizes = solids.sizes
    for number in (0, 1):
        axis = axes[number]
        middle = (solids.centres - corner) @ axis
        along = np.einsum("tnij,i->tnj", solids.rotations, axis)  # on the solid's own axes
        half = np.sqrt(np.einsum("tnj,nj->tn", along**2, sizes**2))
        box = np.einsum("tnj,nj->tn", np.abs(along), sizes)
        half = np.where(solids.kinds == BOX, box, half)
        half = np.where(solids.kinds == DISC, sizes[:, 0], half)
        reach = along[..., 1] * sizes[:, 2]
        cone = solids.kinds == CONE
        low = np.minimum(middle - sizes[:, 0], middle + reach - sizes[:, 1])
        high = np.maximum(middle + sizes[:, 0], middle + reach + sizes[:, 1])
        result[..., number] = np.where(cone, low, middle - half)
        result[..., 2 + number] = np.where(cone, high, middle + half)
    return result


def _to_boxes(bounds: Floats, width: int, height: int) -> NDArray[np.int64]:
    """Rounds bounds in pixels outwards and cuts them to the picture."""
    bounds = np.clip(bounds, -10.0, 1e6)
    low = np.floor(bounds[..., :2] - 0.5)
    high = np.ceil(bounds[..., 2:] + 0.5)
    limit = [width, height]
    return np.concatenate([np.clip(low, 0, limit), np.clip(high, 0, limit)], -1).astype(np.int64)


class Renderer:
    """Renders the frames of one clip."""

    def __init__(
        self, *, solids: Solids, scene: Scene, camera: Camera, width_px: int, height_px: int
    ) -> None:
        self.solids, self.scene, self.camera = solids, scene, camera
        self.width_px, self.height_px = width_px, height_px
        width, height = FINE * width_px, FINE * height_px
        self.focal_px = camera.focal * min(width, height)
        centre = np.array([width, height, width, height]) / 2
        bounds = camera_bounds(solids, camera) * self.focal_px[:, None, None] + centre
        self.boxes = _to_boxes(bounds, width, height)

        towards = scene.light.towards
        right = np.cross(towards, [0.0, 1.0, 0.0])
        right /= np.linalg.norm(right)
        self.lamp_axes = np.stack([right, np.cross(-towards, right), -towards])
        half_m = 0.5 * SHADOW_TEXELS * SHADOW_STEP_M
        middle = np.array([0.0, 0.8, -0.4]) + 12.0 * towards
        self.lamp_corner = middle - half_m * (self.lamp_axes[0] + self.lamp_axes[1])
        bounds = light_bounds(solids, self.lamp_axes, self.lamp_corner) / SHADOW_STEP_M
        self.lamp_boxes = _to_boxes(bounds, SHADOW_TEXELS, SHADOW_TEXELS)
        self.lamp_boxes[:, ~solids.casts] = 0

        self._colours = np.array(
            [[*m.colour, *m.second, m.repeats_per_m, m.shine] for m in solids.materials]
        )
        self._patterns = np.array([m.pattern for m in solids.materials], dtype=np.int64)
        light = scene.light
        self._lights = np.stack(
            [
                light.towards,
                *(np.asarray(c, np.float64) for c in (light.key, light.sky, light.ground)),
            ]
        )

    def rays(self, frame: int) -> tuple[Floats, Floats]:
        """Ray coordinates of the fine columns [w] and rows [h]."""
        width, height = FINE * self.width_px, FINE * self.height_px
        columns = (np.arange(width) + 0.5 - width / 2) / self.focal_px[frame]
        rows = (np.arange(height) + 0.5 - height / 2) / self.focal_px[frame]
        return columns, rows

    def _shapes(self, frame: int) -> tuple[NDArray[np.int64], Floats, Floats, Floats]:
        solids = self.solids
        return solids.kinds, solids.sizes, solids.rotations[frame], solids.centres[frame]

    def _eye(self, frame: int) -> tuple[Floats, Floats]:
        """Place of the camera and its axes as columns, camera → world."""
        return self.camera.position[frame], np.ascontiguousarray(self.camera.rotation[frame].T)

    def trace(self, frame: int) -> Hits:
        """Finds which solid is seen where."""
        shape = (FINE * self.height_px, FINE * self.width_px)
        depth = np.full(shape, np.inf)
        ids = np.full(shape, -1, dtype=np.int32)
        kernels.trace_camera(
            *self._shapes(frame),
            self.boxes[frame],
            *self._eye(frame),
            *self.rays(frame),
            depth,
            ids,
        )
        return Hits(depth=depth, ids=ids)

    def linear(self, frame: int, hits: Hits) -> Singles:
        """Renders one frame in linear light, float32 [H, W, 3]."""
        shadow = np.full((SHADOW_TEXELS, SHADOW_TEXELS), np.inf, np.float32)
        lamp = (self.lamp_corner, self.lamp_axes, SHADOW_STEP_M, shadow)
        kernels.trace_light(*self._shapes(frame), self.lamp_boxes[frame], *lamp)
        scene, out = self.scene, np.empty((self.height_px, self.width_px, 3), np.float32)
        wall, floor = scene.wall, scene.floor
        kernels.paint(
            hits.depth, hits.ids, *self.rays(frame), *self._eye(frame), *self._shapes(frame),
            self._colours, self._patterns, pattern_tiles(), scene.back_m,
            wall.texture, np.array([wall.origin[0], wall.origin[1], wall.px_per_m]),
            floor.texture, np.array([floor.origin[0], floor.origin[2], floor.px_per_m]),
            *lamp, self._lights, scene.light.rim, out,
        )  # fmt: skip
        return out

    def frame(self, frame: int, hits: Hits | None = None) -> NDArray[np.uint8]:
        """Renders one frame as shown, uint8 [H, W, 3]; `hits` of `trace` may be handed in."""
        return to_screen(self.linear(frame, hits or self.trace(frame)))

    def surface(self, frame: int, hits: Hits | None = None) -> tuple[Floats, Floats]:
        """Depth [h, w] in metres and unit normals [h, w, 3] in camera axes, the room included."""
        hits = hits or self.trace(frame)
        out = np.empty((*hits.depth.shape, 4))
        kernels_truth.surface(
            hits.depth, hits.ids, *self.rays(frame), *self._eye(frame), *self._shapes(frame),
            self.scene.back_m, out,
        )  # fmt: skip
        return out[..., 0], out[..., 1:]

    def extents(self, hits: Hits, num_owners: int) -> NDArray[np.int64]:
        """Gives [num_owners, 5]: box in fine pixels and fine pixel count of each thing."""
        return kernels_truth.extents(hits.ids, self.solids.owners, num_owners)

    def flow(self, frame: int, hits: Hits) -> Floats:
        """True image flow [a, b, 2] to the next frame in pixels, on a grid of pixels.

        Where each visible point (of a solid, the wall or the floor) will be seen in the next
        frame, hidden or not, less where it is seen now.
        """
        every = FINE * FLOW_STEP_PX
        height, width = hits.ids.shape
        grid = [(size - every // 2 + every - 1) // every for size in (height, width)]
        out = np.empty((*grid, 2))
        kernels_truth.flow(
            hits.depth, hits.ids, *self.rays(frame), *self._eye(frame), *self._eye(frame + 1),
            *self._shapes(frame)[2:], *self._shapes(frame + 1)[2:], self.scene.back_m,
            self.focal_px[frame], self.focal_px[frame + 1], every, out,
        )  # fmt: skip
        return out / FINE
