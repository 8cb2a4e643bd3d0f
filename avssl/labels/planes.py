"""Surface normals from a map of depth: a plane is fitted around every pixel by least squares.

A plane n · P = d, seen by a pinhole camera, is linear in inverse depth: with the ray
(x, y, 1) = ((u − cx) / fx, (v − cy) / fy, 1) of a pixel,

    1 / z = (n₁ x + n₂ y + n₃) / d

so the fit of 1 / z over the rays of a window is linear regression on numbers that are exact, and
noise of depth sensors that measure disparity is even there. Its coefficients, scaled to length one
and turned towards the camera, are the normal. Pixels of the window whose depth differs by more than
a share from the middle one's belong to something else and are left out.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
_LEAST_SHARE = 0.3
"""Of a window's pixels that must count."""


@dataclass(frozen=True, kw_only=True)
class Pinhole:
    """A camera; pixels count from 0 and whole numbers are their centres."""

    fx_px: float
    fy_px: float
    cx_px: float
    cy_px: float

    def scaled(self, factor: float) -> "Pinhole":
        """Gives the camera of the picture at `factor` times its size."""
        return Pinhole(
            fx_px=self.fx_px * factor,
            fy_px=self.fy_px * factor,
            cx_px=(self.cx_px + 0.5) * factor - 0.5,
            cy_px=(self.cy_px + 0.5) * factor - 0.5,
        )

    def rays(self, height: int, width: int) -> Floats:
        """Gives (x, y) of every pixel's ray (x, y, 1), float64 [height, width, 2]."""
        columns = (np.arange(width) - self.cx_px) / self.fx_px
        rows = (np.arange(height) - self.cy_px) / self.fy_px
        return np.stack(np.meshgrid(columns, rows), axis=-1).astype(np.float64)


def normals_of_depth(
    depth_m: NDArray[np.floating],
    camera: Pinhole,
    *,
    known: NDArray[np.bool_] | None = None,
    radius_px: int = 4,
    max_step: float = 0.05,
) -> NDArray[np.float32]:
    """Gives unit normals towards the camera, float32 [H, W, 3]; zeros where there are none.

    Args:
        depth_m: [H, W], along the camera's axis.
        camera: with which it was taken.
        known: where the depth was measured; it counts nowhere else. Depth that is not finite or
            not above 0 is never known.
        radius_px: the window is a square of 2 · radius_px + 1.
        max_step: largest difference of depth from the middle pixel's, as a share of that.
    """
    depth = np.asarray(depth_m, dtype=np.float64)
    height, width = depth.shape
    good = np.isfinite(depth) & (depth > 0)
    good &= True if known is None else known
    inverse = np.where(good, 1 / np.where(good, depth, 1), 0)
    rays = camera.rays(height, width)
    step = np.array([1 / camera.fx_px, 1 / camera.fy_px])
    # Sums over the window, about the middle pixel's ray: weight, x, y, xx, xy, yy, w, xw, yw.
    sums = np.zeros((9, height, width))
    for down in range(-radius_px, radius_px + 1):
        for right in range(-radius_px, radius_px + 1):
            here = _place(down, right, height, width)
            there = _place(-down, -right, height, width)
            near, middle = inverse[there], inverse[here]
            # |z' − z| ≤ s z with z = 1 / middle, z' = 1 / near
            counts = good[there] & good[here] & (np.abs(middle - near) <= max_step * near)
            x, y = right * step[0], down * step[1]
            value = np.where(counts, near, 0)
            for place, factor in enumerate((1, x, y, x * x, x * y, y * y)):
                sums[place][here] += factor * counts
            for place, factor in enumerate((1, x, y), start=6):
                sums[place][here] += factor * value
    return _solved(sums, rays, good, (2 * radius_px + 1) ** 2)


def _place(down: int, right: int, height: int, width: int) -> tuple[slice, slice]:
    """Gives the part of the picture whose neighbour at (down, right) is inside too."""
    return (
        slice(max(0, -down), height - max(0, down)),
        slice(max(0, -right), width - max(0, right)),
    )


def _solved(
    sums: Floats, rays: Floats, good: NDArray[np.bool_], window: int
) -> NDArray[np.float32]:
    """Solves the regression of every pixel in closed form."""
    count, x, y, xx, xy, yy, w, xw, yw = sums
    enough = good & (count >= _LEAST_SHARE * window)
    count = np.maximum(count, 1)
    cxx, cxy, cyy = xx - x * x / count, xy - x * y / count, yy - y * y / count
    cxw, cyw = xw - x * w / count, yw - y * w / count
    spread = cxx * cyy - cxy**2
    # a window of which one line is left says nothing of the other direction
    enough &= spread > 1e-3 * (cxx + cyy) ** 2
    spread = np.where(enough, spread, 1)
    a = (cyy * cxw - cxy * cyw) / spread
    b = (cxx * cyw - cxy * cxw) / spread
    # 1 / z = a (x − x₀) + b (y − y₀) + c about the middle ray (x₀, y₀)
    c = (w - a * x - b * y) / count - a * rays[..., 0] - b * rays[..., 1]
    normals = -np.stack([a, b, c], axis=-1)  # n · ray < 0: towards the camera
    length = np.linalg.norm(normals, axis=-1)
    enough &= length > 0
    found = normals / np.where(enough, length, 1)[..., None]
    return np.where(enough[..., None], found, 0).astype(np.float32)
