"""Frames of a staged clip: walls and floor, shadows, shaded solids; and the true image flow.

Solids are traced at twice the picture's size and averaged, which smooths their edges. Colours
are linear until the last step. Shapes: T frames, H x W pixels.
"""

import functools
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from avssl.world.camera import Camera
from avssl.world.geometry import apply
from avssl.world.raster import Hits, Surface, View, ray_grid, surface_of, trace, view_of
from avssl.world.scene import Plane, Scene
from avssl.world.solids import BOX, CONE, DISC, Solids
from avssl.world.textures import TILE_PX, pattern_tiles

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]
FINE = 2
"""Solids are traced at this many times the picture's size."""
SHADOW_PX_PER_M = 30.0
SHADOW_X_M, SHADOW_FRONT_M = 3.2, 2.2
FLOW_STEP_PX = 4
"""The true flow is taken at every fourth pixel of every fourth row."""


@functools.cache
def _screen_table() -> NDArray[np.uint8]:
    """Linear light in 4096 steps → screen value, a display's curve (gamma 2.2)."""
    linear = np.linspace(0.0, 1.0, 4096)
    return np.round(255.0 * linear ** (1 / 2.2)).astype(np.uint8)


def to_screen(linear: Singles) -> NDArray[np.uint8]:
    """Linear light [...] in 0…1 → uint8 as shown."""
    return _screen_table()[(np.clip(linear, 0.0, 1.0) * 4095.0 + 0.5).astype(np.uint16)]


def plane_homography(
    plane: Plane, camera: Camera, frame: int, *, width_px: int, height_px: int, px_per_m: float
) -> Floats:
    """Gives the 3 x 3 map from texture pixel indices to picture pixel indices."""
    turn = camera.rotation[frame]
    columns = np.stack(
        [
            turn @ plane.across / px_per_m,
            turn @ plane.down / px_per_m,
            turn @ (plane.origin - camera.position[frame]),
        ],
        axis=-1,
    )
    focal_px = camera.focal[frame] * min(width_px, height_px)
    lens = np.array([[focal_px, 0, width_px / 2], [0, focal_px, height_px / 2], [0, 0, 1]])
    before = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
    after = np.array([[1, 0, -0.5], [0, 1, -0.5], [0, 0, 1]])
    return after @ lens @ columns @ before


@dataclass(frozen=True, kw_only=True)
class Shadows:
    """Where solids throw shadow on the floor, as thick lines and filled hulls (map pixels)."""

    starts: Floats  # [T, N, 2]
    ends: Floats  # [T, N, 2]
    widths: Floats  # [N], map pixels; 0 where a hull is used or no shadow is thrown
    hulls: dict[int, Floats]  # solid → [T, 8, 2]
    shape: tuple[int, int]


def shadows_of(solids: Solids, scene: Scene) -> Shadows:
    """Projects all solids along the light onto the floor."""
    light = scene.light.towards

    def onto_floor(points: Floats) -> Floats:
        ground = points - light * (points[..., 1:2] / light[1])
        return (
            np.stack([ground[..., 0] + SHADOW_X_M, ground[..., 2] + scene.back_m], axis=-1)
            * SHADOW_PX_PER_M
        )

    sizes = solids.sizes
    widths = np.zeros(len(sizes))
    starts, ends = solids.centres.copy(), solids.centres.copy()
    hulls = {}
    signs = np.stack(np.meshgrid([-1, 1], [-1, 1], [-1, 1], indexing="ij"), -1).reshape(8, 3)
    for index, kind in enumerate(solids.kinds):
        if not solids.casts[index] or kind == DISC:
            continue
        turn = solids.rotations[:, index]
        if kind == CONE:
            ends[:, index] += sizes[index, 2] * turn[:, :, 1]
            widths[index] = sizes[index, 0] + sizes[index, 1]
        elif kind == BOX:
            corners = solids.centres[:, index, None] + np.einsum(
                "tij,kj->tki", turn, sizes[index] * signs
            )
            hulls[index] = onto_floor(corners)
        else:
            order = np.argsort(sizes[index])
            middle = sizes[index, order[1]]
            reach = (sizes[index, order[2]] - middle) * turn[:, :, order[2]]
            starts[:, index] -= reach
            ends[:, index] += reach
            widths[index] = 2 * middle
    shape = (
        round((scene.back_m + SHADOW_FRONT_M) * SHADOW_PX_PER_M),
        round(2 * SHADOW_X_M * SHADOW_PX_PER_M),
    )
    return Shadows(
        starts=onto_floor(starts),
        ends=onto_floor(ends),
        widths=widths * SHADOW_PX_PER_M,
        hulls=hulls,
        shape=shape,
    )


def shadow_map(shadows: Shadows, frame: int) -> NDArray[np.uint8]:
    """Gives how much light is taken from the floor in one frame, uint8 [h, w], 255 all."""
    dark = np.zeros(shadows.shape, dtype=np.uint8)
    starts = np.clip(shadows.starts[frame] * 16, -30000, 30000).astype(int)
    ends = np.clip(shadows.ends[frame] * 16, -30000, 30000).astype(int)
    for index in np.flatnonzero(shadows.widths):
        width = max(round(shadows.widths[index]), 1)
        cv2.line(dark, starts[index].tolist(), ends[index].tolist(), 255, width, cv2.LINE_8, 4)
    for corners in shadows.hulls.values():
        hull = cv2.convexHull(np.clip(corners[frame] * 16, -30000, 30000).astype(np.int32))
        cv2.fillConvexPoly(dark, hull, 255, cv2.LINE_8, 4)
    return cv2.GaussianBlur(dark, (9, 9), 2.2)


class Renderer:
    """Renders the frames of one clip."""

    def __init__(
        self, *, solids: Solids, scene: Scene, camera: Camera, width_px: int, height_px: int
    ) -> None:
        self.solids, self.scene, self.camera = solids, scene, camera
        self.width_px, self.height_px = width_px, height_px
        self.view: View = view_of(
            solids, camera, width_px=FINE * width_px, height_px=FINE * height_px
        )
        self.shadows = shadows_of(solids, scene)
        materials = solids.materials
        self._colour = np.array([m.colour for m in materials], dtype=np.float32)
        self._second = np.array([m.second for m in materials], dtype=np.float32)
        self._pattern = np.array([m.pattern for m in materials], dtype=np.int64)
        self._repeats = np.array([m.repeats_per_m for m in materials], dtype=np.float32)
        self._shine = np.array([m.shine for m in materials], dtype=np.float32)
        self._columns, self._rows = np.meshgrid(
            np.arange(width_px, dtype=np.float32), np.arange(height_px, dtype=np.float32)
        )

    def _floor_edge(self, frame: int) -> Floats:
        """Gives (a, b, c), a x + b y + c = pixels below the line where floor meets wall."""
        ends = np.array([[-3.0, 0.0, -self.scene.back_m], [3.0, 0.0, -self.scene.back_m]])
        camera = self.camera
        seen = (ends - camera.position[frame]) @ camera.rotation[frame].T
        focal_px = camera.focal[frame] * min(self.width_px, self.height_px)
        (x0, y0), (x1, y1) = seen[:, :2] / seen[:, 2:] * focal_px + [
            self.width_px / 2 - 0.5,
            self.height_px / 2 - 0.5,
        ]
        length = np.hypot(x1 - x0, y1 - y0)
        return np.array([-(y1 - y0), x1 - x0, (y1 - y0) * x0 - (x1 - x0) * y0]) / length

    def background(self, frame: int) -> Singles:
        """Wall and floor with shadows, linear float32 [H, W, 3]."""
        size = (self.width_px, self.height_px)
        lens = {"width_px": self.width_px, "height_px": self.height_px}
        scene, camera = self.scene, self.camera

        def warp(plane: Plane) -> Singles:
            matrix = plane_homography(plane, camera, frame, px_per_m=plane.px_per_m, **lens)
            return cv2.warpPerspective(
                plane.texture, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
            )

        wall, floor = warp(scene.wall), warp(scene.floor)
        ground = Plane(
            origin=np.array([-SHADOW_X_M, 0.0, -scene.back_m]),
            across=scene.floor.across,
            down=scene.floor.down,
            texture=scene.floor.texture,
            px_per_m=SHADOW_PX_PER_M,
        )
        matrix = plane_homography(ground, camera, frame, px_per_m=SHADOW_PX_PER_M, **lens)
        dark = cv2.warpPerspective(shadow_map(self.shadows, frame), matrix, size)
        floor *= (1.0 - dark * np.float32(0.62 / 255))[..., None]
        a, b, c = self._floor_edge(frame).astype(np.float32)
        below = np.clip(a * self._columns + b * self._rows + (c + np.float32(0.5)), 0, 1)
        floor -= wall
        floor *= below[..., None]
        wall += floor
        return wall

    def shade(self, frame: int, surface: Surface) -> Singles:
        """Colours [n, 3], linear, of visible points of solids."""
        ids, points, normals = surface.ids, surface.points, surface.normals
        light = self.scene.light
        turn = self.camera.rotation[frame]
        towards = (turn @ light.towards).astype(np.float32)
        up = turn[:, 1].astype(np.float32)

        repeats = self._repeats[ids] * TILE_PX
        u = ((points[:, 0] + points[:, 2]) * repeats).astype(np.int64) % TILE_PX
        v = ((points[:, 1] + 0.6 * points[:, 2]) * repeats).astype(np.int64) % TILE_PX
        share = pattern_tiles()[self._pattern[ids], v, u][:, None]
        albedo = self._colour[ids]
        albedo = albedo + share * (self._second[ids] - albedo)

        lambert = normals @ towards
        lift = normals @ up
        sight = surface.rays / np.sqrt(np.einsum("ni,ni->n", surface.rays, surface.rays))[:, None]
        facing = np.clip(-np.einsum("ni,ni->n", normals, sight), 0, 1)
        half = towards - sight
        half /= np.sqrt(np.einsum("ni,ni->n", half, half))[:, None]
        gloss = np.clip(np.einsum("ni,ni->n", normals, half), 0, 1) ** 16
        high_m = surface.depth * (surface.rays @ up) + np.float32(self.camera.position[frame, 1])
        near_floor = 0.62 + 0.38 * np.clip(high_m * 4.0, 0, 1)

        soft = np.clip(0.85 * lambert + 0.15, 0, 1)[:, None]
        around = (0.5 + 0.5 * lift)[:, None] * (light.sky - light.ground) + light.ground
        rim = light.rim * (1 - facing) ** 3 * (0.5 + 0.5 * lift)
        colour = albedo * (soft * light.key + around * near_floor[:, None])
        colour += (self._shine[ids] * gloss * (lambert > 0) + rim * 0.6)[:, None] * light.key
        return colour

    def frame(self, frame: int, hits: Hits | None = None) -> NDArray[np.uint8]:
        """Renders one frame, uint8 [H, W, 3]; `hits` of `trace_frame` may be handed in."""
        hits = hits or self.trace_frame(frame)
        surface = surface_of(self.view, frame, hits)
        layer = np.zeros((self.view.height_px * self.view.width_px, 4), dtype=np.float32)
        layer[surface.pixels, :3] = np.minimum(self.shade(frame, surface), 1.0)
        layer[surface.pixels, 3] = 1.0
        layer = layer.reshape(self.view.height_px, self.view.width_px, 4)
        small = cv2.resize(layer, (self.width_px, self.height_px), interpolation=cv2.INTER_AREA)
        picture = self.background(frame)
        picture *= 1.0 - small[..., 3:]
        picture += small[..., :3]
        return to_screen(picture)

    def trace_frame(self, frame: int) -> Hits:
        """Which solid is seen where, at `FINE` times the picture's size."""
        return trace(self.view, frame)

    def flow(self, frame: int, hits: Hits) -> Floats:
        """True image flow from this frame to the next, pixels, [n, 2], on a grid of pixels.

        Where each visible point (of a solid, the wall or the floor) will be seen in the next
        frame, hidden or not, less where it is seen now.
        """
        every = FINE * FLOW_STEP_PX
        surface = surface_of(self.view, frame, hits, every=every)
        solids, camera = self.solids, self.camera
        moved = apply(solids.rotations[frame + 1][surface.ids], surface.points)
        moved += solids.centres[frame + 1][surface.ids]
        columns, rows = ray_grid(self.view, frame)
        x, y = np.meshgrid(columns[every // 2 :: every], rows[every // 2 :: every])
        empty = hits.ids[every // 2 :: every, every // 2 :: every] < 0
        rays = np.stack([x[empty], y[empty], np.ones(empty.sum())], axis=-1)
        ahead = rays @ camera.rotation[frame]  # world directions
        eye = camera.position[frame]
        to_wall = (-self.scene.back_m - eye[2]) / np.minimum(ahead[:, 2], -1e-6)
        with np.errstate(divide="ignore"):
            to_floor = np.where(ahead[:, 1] < 0, -eye[1] / ahead[:, 1], np.inf)
        still = eye + ahead * np.minimum(to_wall, to_floor)[:, None]
        points = np.concatenate([moved, still])
        before = np.concatenate([surface.rays[:, :2], rays[:, :2]]) * camera.focal[frame]
        seen = (points - camera.position[frame + 1]) @ camera.rotation[frame + 1].T
        after = seen[:, :2] / seen[:, 2:] * camera.focal[frame + 1]
        return (after - before) * min(self.width_px, self.height_px)
