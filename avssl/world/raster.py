"""Which solid is seen in every pixel, how far away, and which way its surface faces.

Every solid is intersected exactly with the rays through the pixels of its box on the screen
(closed form), and a z-buffer keeps the nearest. For a quadric the discriminant is a quadratic
polynomial of the pixel, so three additions a pixel tell the outline. Depth is the distance along
the camera's axis, so a point is depth * (x, y, 1) for the ray (x, y, 1).

Shapes: T frames, N solids, h x w pixels.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avssl.world.camera import Camera
from avssl.world.solids import BOX, CONE, DISC, ELLIPSOID, Solids

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]
NEAR_M = 0.15


@dataclass(frozen=True, kw_only=True)
class View:
    """A clip's solids as one camera sees them: everything that does not depend on the pixel."""

    solids: Solids
    width_px: int
    height_px: int
    focal_px: Floats  # [T]
    inverse: Floats  # [T, N, 3, 3], camera axes → the solid's axes
    eye: Floats  # [T, N, 3], the camera in the solid's frame
    gram: Floats  # [T, N, 3, 3], A = ray · gram · ray
    linear: Floats  # [T, N, 3], B = linear · ray
    constant: Floats  # [T, N], C; depth solves A z² + 2 B z + C = 0
    boxes_px: NDArray[np.int64]  # [T, N, 4], x0, y0, x1, y1 (exclusive), empty when not in view


@dataclass(frozen=True, kw_only=True)
class Hits:
    """What the rays of one frame meet first."""

    depth: Singles  # [h, w], metres, inf where there is no solid
    ids: NDArray[np.int32]  # [h, w], number of the solid or -1


def _quadrics(
    solids: Solids, inverse: Floats, eye: Floats
) -> tuple[Floats, Floats, NDArray[np.float64]]:
    """Coefficients of the ray equation, shapes as in `View` (zeros for discs and boxes)."""
    ellipsoid = solids.kinds == ELLIPSOID
    cone = solids.kinds == CONE
    slope = np.where(
        cone, (solids.sizes[:, 1] - solids.sizes[:, 0]) / np.maximum(solids.sizes[:, 2], 1e-9), 0.0
    )
    weights = np.ones_like(solids.sizes)
    weights[ellipsoid] = 1.0 / solids.sizes[ellipsoid] ** 2
    weights[cone, 1] = -(slope[cone] ** 2)
    shift = np.where(cone, -slope * solids.sizes[:, 0], 0.0)  # half the linear term along y
    constant = np.where(cone, -(solids.sizes[:, 0] ** 2), -1.0)

    gram = np.einsum("tnki,nk,tnkj->tnij", inverse, weights, inverse)
    lean = weights * eye
    lean[..., 1] += shift
    linear = np.einsum("tnk,tnki->tni", lean, inverse)
    rest = np.einsum("tnk,nk,tnk->tn", eye, weights, eye) + 2 * shift * eye[..., 1] + constant
    return gram, linear, rest


def _ball_bounds(centre: Floats, spread: Floats) -> Floats:
    """Screen bounds [..., 4] (ray units) of quadrics with outer product `spread` [..., 3, 3]."""
    dual = spread - centre[..., :, None] * centre[..., None, :]
    last = np.minimum(dual[..., 2, 2], -1e-9)
    bounds = []
    for axis in (0, 1):
        inside = dual[..., axis, 2] ** 2 - dual[..., axis, axis] * last
        middle = dual[..., axis, 2] / last
        half = np.sqrt(np.maximum(inside, 0.0)) / -last
        bounds.append((middle - half, middle + half))
    return np.stack([bounds[0][0], bounds[1][0], bounds[0][1], bounds[1][1]], axis=-1)


def _bounds(solids: Solids, turn: Floats, centre: Floats) -> Floats:
    """Bounds [T, N, 4] of every solid in ray units; `turn` is solid → camera."""
    result = np.zeros((*centre.shape[:2], 4))
    eye3 = np.eye(3)
    chosen = solids.kinds == ELLIPSOID
    part = turn[:, chosen] * solids.sizes[chosen][None, :, None, :]
    result[:, chosen] = _ball_bounds(centre[:, chosen], part @ np.swapaxes(part, -1, -2))
    chosen = solids.kinds == DISC
    spread = solids.sizes[chosen, 0][None, :, None, None] ** 2 * eye3
    result[:, chosen] = _ball_bounds(centre[:, chosen], spread)
    chosen = solids.kinds == CONE
    ends = []
    for end in (0, 1):
        far = solids.sizes[chosen, 2][None, :, None] * turn[:, chosen][..., 1] * end
        spread = solids.sizes[chosen, end][None, :, None, None] ** 2 * eye3
        ends.append(_ball_bounds(centre[:, chosen] + far, spread))
    result[:, chosen] = np.concatenate(
        [np.minimum(ends[0], ends[1])[..., :2], np.maximum(ends[0], ends[1])[..., 2:]], axis=-1
    )
    chosen = solids.kinds == BOX
    signs = np.stack(np.meshgrid([-1, 1], [-1, 1], [-1, 1], indexing="ij"), -1).reshape(8, 3)
    corners = solids.sizes[chosen][:, None] * signs  # [n, 8, 3]
    placed = np.einsum("tnij,nkj->tnki", turn[:, chosen], corners) + centre[:, chosen][:, :, None]
    flat = placed[..., :2] / np.maximum(placed[..., 2:], NEAR_M)
    result[:, chosen] = np.concatenate([flat.min(axis=2), flat.max(axis=2)], axis=-1)
    return result


def view_of(solids: Solids, camera: Camera, *, width_px: int, height_px: int) -> View:
    """Prepares a clip for `trace` at a picture size."""
    turn = camera.rotation[:, None] @ solids.rotations
    centre = camera.to_camera(solids.centres)
    inverse = np.swapaxes(turn, -1, -2)
    eye = -np.einsum("tnij,tnj->tni", inverse, centre)
    gram, linear, constant = _quadrics(solids, inverse, eye)
    focal_px = camera.focal * min(width_px, height_px)
    half = np.array([width_px, height_px, width_px, height_px]) / 2
    bounds = _bounds(solids, turn, centre) * focal_px[:, None, None] + half
    boxes = np.empty(bounds.shape, dtype=np.int64)
    limit = np.array([width_px, height_px])
    clipped = np.clip(bounds, -10, 100_000)
    boxes[..., :2] = np.clip(np.floor(clipped[..., :2] - 0.5), 0, limit)
    boxes[..., 2:] = np.clip(np.ceil(clipped[..., 2:] + 0.5), 0, limit)
    boxes[centre[..., 2] < NEAR_M] = 0
    return View(
        solids=solids,
        width_px=width_px,
        height_px=height_px,
        focal_px=focal_px,
        inverse=inverse,
        eye=eye,
        gram=gram,
        linear=linear,
        constant=constant,
        boxes_px=boxes,
    )


def _trace_quadric(
    view: View, frame: int, index: int, x: Floats, y: Floats, *, is_cone: bool
) -> tuple[Singles, NDArray[np.bool_]]:
    """Depth of the near side of a quadric and where it is met, for columns x and rows y."""
    gram, linear = view.gram[frame, index], view.linear[frame, index]
    constant = view.constant[frame, index]
    # The discriminant as a polynomial around the middle of the box: in float32 the terms of a
    # polynomial around the principal point would cancel.
    middle_x, middle_y = x[len(x) // 2], y[len(y) // 2]
    disc = np.outer(linear, linear) - constant * gram
    at = np.array([middle_x, middle_y, 1.0])
    slope = disc @ at
    dx, dy = x - middle_x, y - middle_y
    row = ((disc[0, 0] * dx + 2 * slope[0]) * dx + at @ slope).astype(np.float32)
    column = ((disc[1, 1] * dy + 2 * slope[1]) * dy).astype(np.float32)
    crossed = (2 * disc[0, 1] * dy).astype(np.float32)
    value = crossed[:, None] * dx.astype(np.float32)
    value += row
    value += column[:, None]
    met = value > 0
    np.maximum(value, 0, out=value)
    np.sqrt(value, out=value)
    value -= (linear[0] * x).astype(np.float32)
    value -= (linear[1] * y + linear[2]).astype(np.float32)[:, None]
    with np.errstate(divide="ignore"):
        depth = np.divide(np.float32(constant), value, out=value)
    if is_cone:
        axis = view.inverse[frame, index, 1]
        along = (axis[1] * y + axis[2]).astype(np.float32)[:, None] + (axis[0] * x).astype(
            np.float32
        )
        along *= depth
        start = -view.eye[frame, index, 1]
        met &= along > start
        met &= along < start + view.solids.sizes[index, 2]
    return depth, met


def _rays(inverse: Floats, x: Floats, y: Floats) -> list[Singles]:
    """Components [h, w] of the rays along the solid's three axes."""
    rows = inverse.astype(np.float32)
    x32, y32 = x.astype(np.float32), y.astype(np.float32)[:, None]
    return [(rows[axis, 1] * y32 + rows[axis, 2]) + rows[axis, 0] * x32 for axis in range(3)]


def _trace_disc(
    view: View, frame: int, index: int, x: Floats, y: Floats
) -> tuple[Singles, NDArray[np.bool_]]:
    eye = view.eye[frame, index].astype(np.float32)
    radius, facing = view.solids.sizes[index, :2]
    if eye[1] * facing <= 0:
        return np.zeros((len(y), len(x)), np.float32), np.zeros((len(y), len(x)), bool)
    ray = _rays(view.inverse[frame, index], x, y)
    with np.errstate(divide="ignore", invalid="ignore"):
        depth = -eye[1] / ray[1]
        across, into = eye[0] + depth * ray[0], eye[2] + depth * ray[2]
        met = (across * across + into * into < np.float32(radius**2)) & (depth > 0)
    return depth, met


def _trace_box(
    view: View, frame: int, index: int, x: Floats, y: Floats
) -> tuple[Singles, NDArray[np.bool_]]:
    eye = view.eye[frame, index].astype(np.float32)
    size = view.solids.sizes[index].astype(np.float32)
    enter, leave = None, None
    for axis, ray in enumerate(_rays(view.inverse[frame, index], x, y)):
        ray = np.where(np.abs(ray) < 1e-7, np.float32(1e-7), ray)
        middle = -eye[axis] / ray
        half = size[axis] / np.abs(ray)
        low, high = middle - half, middle + half
        enter = low if enter is None else np.maximum(enter, low, out=enter)
        leave = high if leave is None else np.minimum(leave, high, out=leave)
    assert enter is not None and leave is not None
    return enter, (enter < leave) & (enter > 0)


def ray_grid(view: View, frame: int) -> tuple[Floats, Floats]:
    """Ray coordinates of the columns [w] and rows [h] of pixel centres."""
    columns = (np.arange(view.width_px) + 0.5 - view.width_px / 2) / view.focal_px[frame]
    rows = (np.arange(view.height_px) + 0.5 - view.height_px / 2) / view.focal_px[frame]
    return columns, rows


def trace(view: View, frame: int) -> Hits:
    """Intersects all rays of one frame with all solids."""
    shape = (view.height_px, view.width_px)
    depth = np.full(shape, np.inf, dtype=np.float32)
    ids = np.full(shape, -1, dtype=np.int32)
    columns, rows = ray_grid(view, frame)
    for index, kind in enumerate(view.solids.kinds):
        x0, y0, x1, y1 = view.boxes_px[frame, index]
        if x0 >= x1 or y0 >= y1:
            continue
        x, y = columns[x0:x1], rows[y0:y1]
        if kind == DISC:
            found, met = _trace_disc(view, frame, index, x, y)
        elif kind == BOX:
            found, met = _trace_box(view, frame, index, x, y)
        else:
            found, met = _trace_quadric(view, frame, index, x, y, is_cone=kind == CONE)
        near = depth[y0:y1, x0:x1]
        met &= found < near
        met &= found > 0
        np.copyto(near, found, where=met)
        np.copyto(ids[y0:y1, x0:x1], np.int32(index), where=met)
    return Hits(depth=depth, ids=ids)


@dataclass(frozen=True, kw_only=True)
class Surface:
    """The visible points of solids in one frame, as lists of n pixels."""

    pixels: NDArray[np.int64]  # [n], flat index into h x w
    ids: NDArray[np.int32]  # [n]
    points: Singles  # [n, 3], in the solid's own frame
    normals: Singles  # [n, 3], unit, in camera axes, facing the camera
    rays: Singles  # [n, 3], (x, y, 1)
    depth: Singles  # [n]


def surface_of(view: View, frame: int, hits: Hits, *, every: int = 1) -> Surface:
    """Gives place and normal of the visible points; `every` thins the pixels in both directions."""
    columns, rows = ray_grid(view, frame)
    if every == 1:
        pixels = np.flatnonzero(hits.ids >= 0)
    else:
        seen = np.zeros(hits.ids.shape, dtype=bool)
        seen[every // 2 :: every, every // 2 :: every] = True
        pixels = np.flatnonzero(seen & (hits.ids >= 0))
    ids = hits.ids.ravel()[pixels]
    depth = hits.depth.ravel()[pixels]
    row, column = np.divmod(pixels, view.width_px)
    rays = np.ones((len(pixels), 3), dtype=np.float32)
    rays[:, 0] = columns.astype(np.float32)[column]
    rays[:, 1] = rows.astype(np.float32)[row]
    inverse = view.inverse[frame].astype(np.float32)[ids]
    points = np.einsum("nij,nj->ni", inverse, rays * depth[:, None])
    points += view.eye[frame].astype(np.float32)[ids]

    solids = view.solids
    sizes = solids.sizes
    weight = np.zeros((len(sizes), 3), dtype=np.float32)
    offset = np.zeros_like(weight)
    ellipsoid, cone, disc = (solids.kinds == kind for kind in (ELLIPSOID, CONE, DISC))
    weight[ellipsoid] = 1.0 / sizes[ellipsoid] ** 2
    slope = (sizes[cone, 1] - sizes[cone, 0]) / sizes[cone, 2]
    weight[cone] = np.stack([np.ones_like(slope), -(slope**2), np.ones_like(slope)], axis=-1)
    offset[cone, 1] = -slope * sizes[cone, 0]
    offset[disc, 1] = sizes[disc, 1]
    normals = points * weight[ids] + offset[ids]
    boxed = np.flatnonzero(solids.kinds[ids] == BOX)
    if len(boxed):
        share = points[boxed] / sizes.astype(np.float32)[ids[boxed]]
        face = np.argmax(np.abs(share), axis=1)
        normals[boxed] = 0.0
        normals[boxed, face] = np.sign(share[np.arange(len(boxed)), face])
    normals = np.einsum("nji,nj->ni", inverse, normals)
    normals /= np.sqrt(np.einsum("ni,ni->n", normals, normals))[:, None] + 1e-12
    return Surface(pixels=pixels, ids=ids, points=points, normals=normals, rays=rays, depth=depth)
