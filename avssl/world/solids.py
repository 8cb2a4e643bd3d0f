"""Rigid solids with a place in every frame: ellipsoids, cone pieces, discs and boxes.

Each has its own frame of reference, so that depth, normals, clothing patterns and the true image
flow all follow from one transform. Shapes: T frames, N solids. Metres.

    ELLIPSOID  size = three half axes
    CONE       around y from 0 to length: size = (radius at 0, radius at the end, length); open ends
    DISC       in the plane y = 0: size = (radius, direction of its normal along y: ±1, unused)
    BOX        size = three half edges
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from avssl.world.geometry import apply, bone_frames, unit

ELLIPSOID, CONE, DISC, BOX = range(4)
Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Material:
    """How a surface looks: a pattern of two colours (linear RGB in 0…1) and how it takes light."""

    colour: tuple[float, float, float]
    second: tuple[float, float, float] = (0.0, 0.0, 0.0)
    pattern: int = 0
    """Index into `textures.PATTERNS`; 0 is plain."""
    repeats_per_m: float = 4.0
    shine: float = 0.1
    """Strength of the highlight."""


@dataclass(frozen=True, kw_only=True)
class Solids:
    """All solids of a clip, as arrays."""

    kinds: NDArray[np.int64]  # [N]
    sizes: Floats  # [N, 3]
    centres: Floats  # [T, N, 3], world
    rotations: Floats  # [T, N, 3, 3], columns are the solid's axes in the world
    owners: NDArray[np.int64]  # [N], which thing of the clip the solid belongs to
    casts: NDArray[np.bool_]  # [N], whether it throws a shadow on the floor
    materials: tuple[Material, ...]


@dataclass(kw_only=True)
class SolidBuilder:
    """Collects solids for a clip of `num_frames`; constant places may be given once."""

    num_frames: int
    _rows: list[tuple[int, ArrayLike, Floats, Floats, int, bool, Material]] = field(
        default_factory=list
    )
    owner: int = 0
    """Thing that the next solids belong to."""

    def add(
        self,
        kind: int,
        size: ArrayLike,
        centre: ArrayLike,
        rotation: ArrayLike,
        material: Material,
        *,
        casts: bool = True,
    ) -> None:
        """Adds one solid: centre [3] or [T, 3], rotation [3, 3] or [T, 3, 3]."""
        place = np.broadcast_to(np.asarray(centre, np.float64), (self.num_frames, 3))
        turn = np.broadcast_to(np.asarray(rotation, np.float64), (self.num_frames, 3, 3))
        self._rows.append((kind, size, place, turn, self.owner, casts, material))

    def ball(self, radius_m: float, centre: ArrayLike, rotation: ArrayLike, material: Material):
        """Adds a sphere."""
        self.add(ELLIPSOID, (radius_m,) * 3, centre, rotation, material)

    def limb(
        self,
        start: Floats,
        end: Floats,
        side: ArrayLike,
        radii_m: tuple[float, float],
        material: Material,
        *,
        ends: tuple[bool, bool] = (True, True),
    ) -> None:
        """Adds a rounded cone from `start` to `end` (both [T, 3] or [3]), balls at its ends."""
        first = np.broadcast_to(np.asarray(start, np.float64), (self.num_frames, 3))
        last = np.broadcast_to(np.asarray(end, np.float64), (self.num_frames, 3))
        turn = bone_frames(first, last, np.broadcast_to(side, first.shape))
        length_m = float(np.linalg.norm(last[0] - first[0]))
        self.add(CONE, (*radii_m, length_m), first, turn, material)
        for place, radius_m, wanted in zip((first, last), radii_m, ends, strict=True):
            if wanted:
                self.add(ELLIPSOID, (radius_m,) * 3, place, turn, material, casts=False)

    def can(
        self,
        centre: ArrayLike,
        rotation: ArrayLike,
        size: tuple[float, float, float],
        side: Material,
        top: Material | None = None,
        bottom: Material | None = None,
    ) -> None:
        """Adds a closed cone piece (radius, radius at the top, height) standing on `centre`."""
        place = np.broadcast_to(np.asarray(centre, np.float64), (self.num_frames, 3))
        turn = np.broadcast_to(np.asarray(rotation, np.float64), (self.num_frames, 3, 3))
        self.add(CONE, size, place, turn, side)
        lid = place + apply(turn, (0.0, size[2], 0.0))
        self.add(DISC, (size[1], 1.0, 0.0), lid, turn, top or side, casts=False)
        self.add(DISC, (size[0], -1.0, 0.0), place, turn, bottom or side, casts=False)

    def rod(self, start: ArrayLike, end: ArrayLike, radius_m: float, material: Material) -> None:
        """Adds a thin straight bar from `start` to `end`."""
        first = np.broadcast_to(np.asarray(start, np.float64), (self.num_frames, 3))
        last = np.broadcast_to(np.asarray(end, np.float64), (self.num_frames, 3))
        along = unit(last - first)
        side = np.where(np.abs(along[:, :1]) < 0.9, [[1.0, 0.0, 0.0]], [[0.0, 0.0, 1.0]])
        self.limb(first, last, side, (radius_m, radius_m), material, ends=(False, False))

    def build(self) -> Solids:
        """Gives the arrays."""
        kinds, sizes, centres, turns, owners, casts, materials = zip(*self._rows, strict=True)
        return Solids(
            kinds=np.asarray(kinds, dtype=np.int64),
            sizes=np.asarray(sizes, dtype=np.float64),
            centres=np.stack(centres, axis=1),
            rotations=np.stack(turns, axis=1),
            owners=np.asarray(owners, dtype=np.int64),
            casts=np.asarray(casts, dtype=bool),
            materials=tuple(materials),
        )
