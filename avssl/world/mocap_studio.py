"""pybullet's TinyRenderer draws figures in their places: a CPU alone, no window, no OpenGL.

Only its pictures are used: where things are is computed here, in numpy.
"""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from avssl.errors import InputError
from avssl.world.camera import Camera
from avssl.world.geometry import unit
from avssl.world.mocap_body import Floats, Piece, Posed
from avssl.world.mocap_place import Block, Place, Slab

FINE = 2
"""Pictures are rendered this many times as large, then averaged."""
NEAR_M, FAR_M = 0.1, 100.0


@contextlib.contextmanager
def _no_greeting() -> Iterator[None]:
    """pybullet writes its build date to standard error when it is imported, past Python."""
    saved = os.dup(2)
    try:
        with Path(os.devnull).open("w") as nowhere:
            os.dup2(nowhere.fileno(), 2)
            yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)


def bullet() -> Any:
    """Imports pybullet.

    Raises:
        InputError: it is not installed.
    """
    try:
        with _no_greeting():
            import pybullet  # type: ignore[import-not-found]
    except ImportError as error:
        raise InputError(
            "pybullet is not installed: pip install 'avssl[mocap]' for motion-captured people"
        ) from error
    return pybullet


def view_matrix(camera: Camera, frame: int) -> list[float]:
    """Gives OpenGL's view matrix (y up, looking along −z), column by column."""
    turned = camera.rotation[frame] * np.array([[1.0], [-1.0], [-1.0]])
    matrix = np.eye(4)
    matrix[:3, :3] = turned
    matrix[:3, 3] = -turned @ camera.position[frame]
    return matrix.T.reshape(-1).tolist()


def projection_matrix(focal: float, *, width_px: int, height_px: int) -> list[float]:
    """Gives OpenGL's projection matrix, column by column; `focal` is in short sides."""
    short = min(width_px, height_px)
    matrix = np.zeros((4, 4))
    matrix[0, 0], matrix[1, 1] = 2 * focal * short / width_px, 2 * focal * short / height_px
    matrix[2, 2] = -(FAR_M + NEAR_M) / (FAR_M - NEAR_M)
    matrix[2, 3] = -2 * FAR_M * NEAR_M / (FAR_M - NEAR_M)
    matrix[3, 2] = -1.0
    return matrix.T.reshape(-1).tolist()


class Studio:
    """A pybullet world with a place, a figure and blocks; closes with `with`."""

    def __init__(self, place: Place, *, width_px: int, height_px: int) -> None:
        self.bullet = bullet()
        self.client = self.bullet.connect(self.bullet.DIRECT)
        self.place = place
        self.width_px, self.height_px = width_px, height_px
        self.bones: dict[int, str] = {}
        self.blocks: list[tuple[int, Block]] = []
        self._solids: dict[int, Floats] = {}  # body → points [n, 3] that cast its shadow
        self._folder = tempfile.TemporaryDirectory(prefix="avssl-mocap-")
        self._num_textures = 0
        self._floor = -1
        for slab in place.slabs:
            body = self._add_slab(slab)
            if slab.floor:
                self._floor = body

    def __enter__(self) -> "Studio":
        return self

    def __exit__(self, *_: object) -> None:
        self.bullet.disconnect(self.client)
        self._folder.cleanup()

    def add_texture(self, picture: NDArray[np.uint8]) -> int:
        """Adds a picture uint8 [h, w, 3] for meshes to wear; gives its number."""
        path = Path(self._folder.name) / f"{self._num_textures}.png"
        self._num_textures += 1
        cv2.imwrite(str(path), picture[..., ::-1])
        return self.bullet.loadTexture(str(path), physicsClientId=self.client)

    def add_mesh(
        self, vertices: Floats, normals: Floats, uvs: Floats, triangles: Any, texture: int
    ) -> int:
        """Adds a mesh; gives its number."""
        shape = self.bullet.createVisualShape(
            self.bullet.GEOM_MESH,
            vertices=vertices.tolist(),
            normals=normals.tolist(),
            uvs=uvs.tolist(),
            indices=np.asarray(triangles).reshape(-1).tolist(),
            physicsClientId=self.client,
        )
        body = self.bullet.createMultiBody(baseVisualShapeIndex=shape, physicsClientId=self.client)
        self.bullet.changeVisualShape(
            body, -1, textureUniqueId=texture, rgbaColor=[1, 1, 1, 1], physicsClientId=self.client
        )
        return body

    def _add_slab(self, slab: Slab) -> int:
        """Adds a rectangle as a grid, finely enough to be cut well at the camera's plane."""
        count = 8
        v, u = np.mgrid[0 : count + 1, 0 : count + 1] / count
        u, v = u.reshape(-1, 1), v.reshape(-1, 1)
        points = slab.corner + u * slab.across + v * slab.down
        facing = unit(np.cross(slab.across, slab.down))
        inwards = float(np.sign(facing @ (np.array([0.0, 1.0, 0.0]) - slab.corner)))
        row, column = np.mgrid[0:count, 0:count]
        a = row * (count + 1) + column
        b = a + count + 1
        triangles = np.stack([a, a + 1, b, a + 1, b + 1, b], axis=-1).reshape(-1, 3)
        if inwards < 0:  # only the side whose corners go round to the left is drawn
            triangles = triangles[:, ::-1]
        facing = facing * inwards
        uvs = np.concatenate([u, v], axis=1) * slab.repeats
        normals = np.broadcast_to(facing, points.shape)
        return self.add_mesh(points, normals, uvs, triangles, self.add_texture(slab.texture))

    def add_figure(self, pieces: list[Piece], looks: dict[str, NDArray[np.uint8]]) -> None:
        """Adds somebody; `draw` moves the pieces with their bones."""
        textures = {cloth: self.add_texture(picture) for cloth, picture in looks.items()}
        for piece in pieces:
            body = self.add_mesh(
                piece.vertices, piece.normals, piece.uvs, piece.triangles, textures[piece.cloth]
            )
            self.bones[body] = piece.bone
            self._solids[body] = piece.vertices

    def add_block(self, block: Block) -> None:
        """Adds a box or a ball."""
        kind = self.bullet.GEOM_SPHERE if block.radius_m else self.bullet.GEOM_BOX
        size = (
            {"radius": block.radius_m} if block.radius_m else {"halfExtents": block.half.tolist()}
        )
        shape = self.bullet.createVisualShape(kind, **size, physicsClientId=self.client)
        body = self.bullet.createMultiBody(
            baseVisualShapeIndex=shape,
            basePosition=block.centre.tolist(),
            baseOrientation=[0, np.sin(block.yaw_rad / 2), 0, np.cos(block.yaw_rad / 2)],
            physicsClientId=self.client,
        )
        self.bullet.changeVisualShape(
            body,
            -1,
            textureUniqueId=self.add_texture(block.texture),
            rgbaColor=[1, 1, 1, 1],
            physicsClientId=self.client,
        )
        self.blocks.append((body, block))
        corners = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)])
        if block.radius_m:
            corners = unit(np.random.default_rng(0).normal(size=(60, 3)))
        self._solids[body] = corners * block.half

    def move(self, frame: int, posed: Posed) -> None:
        """Puts everything where it is in a frame."""
        for body, bone in self.bones.items():
            w, x, y, z = posed.turns[bone][frame].tolist()
            self.bullet.resetBasePositionAndOrientation(
                body, posed.places[bone][frame].tolist(), [x, y, z, w], physicsClientId=self.client
            )
        for body, block in self.blocks:
            if block.path is not None:
                rolled = block.path[frame, 0] / block.radius_m / 2
                self.bullet.resetBasePositionAndOrientation(
                    body,
                    block.path[frame].tolist(),
                    [0, 0, -np.sin(rolled), np.cos(rolled)],
                    physicsClientId=self.client,
                )

    def shoot(
        self, camera: Camera, frame: int
    ) -> tuple[NDArray[np.uint8], Floats, NDArray[np.int32]]:
        """Takes the picture.

        Returns:
            Picture uint8 [H, W, 3]; at `FINE` times the size: depth along the camera's axis in
            metres, and the number of the body that is seen (−1: none).
        """
        width, height = self.width_px * FINE, self.height_px * FINE
        projection = projection_matrix(camera.focal[frame], width_px=width, height_px=height)
        # TinyRenderer looks through the corners of pixels, not their middles: without these two
        # everything is drawn half a (fine) pixel to the right and above.
        projection[8], projection[9] = 1 / width, 1 / height
        _, _, rgba, buffer, bodies = self.bullet.getCameraImage(
            width,
            height,
            viewMatrix=view_matrix(camera, frame),
            projectionMatrix=projection,
            shadow=0,  # TinyRenderer's own shadow covers all it reaches; see _shade_floor
            renderer=self.bullet.ER_TINY_RENDERER,
            physicsClientId=self.client,
            **self.place.light,
        )
        rgb = np.ascontiguousarray(np.reshape(rgba, (height, width, 4))[..., :3].astype(np.uint8))
        ids = np.reshape(bodies, (height, width)).astype(np.int32)
        deep = np.reshape(buffer, (height, width)).astype(np.float64)
        depth = FAR_M * NEAR_M / (FAR_M - (FAR_M - NEAR_M) * deep)
        self._paint_sky(rgb, ids < 0, camera, frame)
        self._shade_floor(rgb, ids, camera, frame)
        small = cv2.resize(rgb, (self.width_px, self.height_px), interpolation=cv2.INTER_AREA)
        return np.asarray(small, np.uint8), depth, ids

    def _paint_sky(
        self, picture: NDArray[np.uint8], where: NDArray[np.bool_], camera: Camera, frame: int
    ) -> None:
        if not where.any():
            return
        height, width = where.shape
        row, column = np.nonzero(where)
        focal_px = camera.focal[frame] * min(width, height)
        rays = np.stack(
            [
                (column + 0.5 - width / 2) / focal_px,
                (row + 0.5 - height / 2) / focal_px,
                np.ones(len(row)),
            ],
            axis=-1,
        )
        x, y, z = (rays @ camera.rotation[frame]).T
        up = np.arctan2(y, np.hypot(x, z)) / (np.pi / 2)
        around = (np.arctan2(x, z) / (2 * np.pi)) % 1.0
        h, w = self.place.sky.shape[:2]
        v = np.clip((1 - up) * h, 0, h - 1).astype(int)
        u = np.minimum((around * w).astype(int), w - 1)
        picture[row, column] = self.place.sky[v, u]

    def _shade_floor(
        self, picture: NDArray[np.uint8], ids: NDArray[np.int32], camera: Camera, frame: int
    ) -> None:
        """Darkens the floor where the lamp is hidden: every solid is convex, so is its shadow."""
        height, width = ids.shape
        light = np.array(self.place.light["lightDirection"])
        mask = np.zeros((height, width), np.float32)
        for body, points in self._solids.items():
            place, turn = self.bullet.getBasePositionAndOrientation(
                body, physicsClientId=self.client
            )
            rotation = np.reshape(self.bullet.getMatrixFromQuaternion(turn), (3, 3))
            there = points @ rotation.T + place
            flat = there - light * (np.maximum(there[:, 1:2], 0.0) / light[1])
            seen = (flat - camera.position[frame]) @ camera.rotation[frame].T
            if seen[:, 2].min() < NEAR_M:
                continue
            focal_px = camera.focal[frame] * min(width, height)
            spots = focal_px * seen[:, :2] / seen[:, 2:] + [width / 2 - 0.5, height / 2 - 0.5]
            if np.abs(spots).max() < 4 * width:
                hull = cv2.convexHull(np.round(spots * 16).astype(np.int32))
                cv2.fillConvexPoly(mask, hull, 1.0, cv2.LINE_8, 4)
        mask = cv2.GaussianBlur(mask, (0, 0), height / 200) * (ids == self._floor)
        parts = self.place.light
        dark = parts["lightDiffuseCoeff"] / (
            parts["lightDiffuseCoeff"] + parts["lightAmbientCoeff"]
        )
        picture[:] = (picture * (1 - 0.8 * dark * mask[..., None])).astype(np.uint8)
