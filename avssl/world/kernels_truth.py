"""Compiled loops that read the truth off a rendered frame: outlines, depth, normals, flow.

Shapes as in `kernels`: N solids, h x w fine pixels.
"""

import math

import numpy as np

from avssl.world.kernels import (
    meet_room,
    njit,
    normal_of,
    placed,
    placed_back,
    turned,
    turned_back,
)


@njit
def extents(ids, owners, num_owners):
    """Gives [num_owners, 5]: x0, y0, x1, y1 (exclusive) and pixel count of what is seen of each."""
    found = np.zeros((num_owners, 5), dtype=np.int64)
    found[:, 0], found[:, 1] = ids.shape[1], ids.shape[0]
    for j in range(ids.shape[0]):
        for i in range(ids.shape[1]):
            if ids[j, i] < 0:
                continue
            own = owners[ids[j, i]]
            found[own, 0], found[own, 1] = min(found[own, 0], i), min(found[own, 1], j)
            found[own, 2], found[own, 3] = max(found[own, 2], i + 1), max(found[own, 3], j + 1)
            found[own, 4] += 1
    return found


@njit
def surface(depth, ids, columns, rows, eye, camera, kinds, sizes, turns, centres, back, out):
    """Fills out [h, w, 4]: depth and unit normal (camera axes) of every ray, room included."""
    for j in range(depth.shape[0]):
        for i in range(depth.shape[1]):
            rx, ry, rz = turned(camera, columns[i], rows[j], 1.0)
            n = ids[j, i]
            if n < 0:
                t, on_floor = meet_room(eye[1], eye[2], ry, rz, back)
                x, y, z = (0.0, 1.0, 0.0) if on_floor else (0.0, 0.0, 1.0)
            else:
                t = depth[j, i]
                x, y, z = eye[0] + t * rx, eye[1] + t * ry, eye[2] + t * rz
                x, y, z = placed_back(
                    turns, n, x - centres[n, 0], y - centres[n, 1], z - centres[n, 2]
                )
                x, y, z = normal_of(kinds[n], sizes[n, 0], sizes[n, 1], sizes[n, 2], x, y, z)
                x, y, z = placed(turns, n, x, y, z)
            x, y, z = turned_back(camera, x, y, z)
            scale = 1.0 / math.sqrt(x * x + y * y + z * z)
            out[j, i, 0] = t
            out[j, i, 1], out[j, i, 2], out[j, i, 3] = x * scale, y * scale, z * scale


@njit
def flow(
    depth, ids, columns, rows, eye, camera, eye2, camera2, turns, centres, turns2, centres2,
    back, focal, focal2, every, out,
):  # fmt: skip
    """Fills out [a, b, 2]: where every `every`-th fine pixel's point goes, in units of focal."""
    for a in range(out.shape[0]):
        for b in range(out.shape[1]):
            j, i = every // 2 + a * every, every // 2 + b * every
            rx, ry, rz = turned(camera, columns[i], rows[j], 1.0)
            n = ids[j, i]
            t = depth[j, i] if n >= 0 else meet_room(eye[1], eye[2], ry, rz, back)[0]
            x, y, z = eye[0] + t * rx, eye[1] + t * ry, eye[2] + t * rz
            if n >= 0:  # carry the point along with its solid
                x, y, z = placed_back(
                    turns, n, x - centres[n, 0], y - centres[n, 1], z - centres[n, 2]
                )
                x, y, z = placed(turns2, n, x, y, z)
                x, y, z = x + centres2[n, 0], y + centres2[n, 1], z + centres2[n, 2]
            x, y, z = turned_back(camera2, x - eye2[0], y - eye2[1], z - eye2[2])
            out[a, b, 0] = focal2 * x / z - focal * columns[i]
            out[a, b, 1] = focal2 * y / z - focal * rows[j]
