"""Compiled loops of the renderer: where rays meet solids, and the light that comes back.

Everything is exact geometry in the world's frame: a ray is eye + t * ray, and with a camera's rays
(x, y, 1) turned into the world, t is the depth along the camera's axis. Compiled by numba on first
use and kept on disk. Shapes: N solids, h x w fine pixels, H x W pixels of the picture.
"""

import math

import numba
import numpy as np

from avssl.world.solids import CONE, DISC, ELLIPSOID

njit = numba.njit(cache=True, error_model="numpy", fastmath={"contract", "arcp", "nsz"})
TILE_MASK = 63  # pattern tiles are 64 pixels wide


@njit
def turned(m, x, y, z):
    """Gives m · (x, y, z); a matrix product of numba's costs a call of a library."""
    return (
        m[0, 0] * x + m[0, 1] * y + m[0, 2] * z,
        m[1, 0] * x + m[1, 1] * y + m[1, 2] * z,
        m[2, 0] * x + m[2, 1] * y + m[2, 2] * z,
    )


@njit
def turned_back(m, x, y, z):
    """Gives the transpose of m · (x, y, z)."""
    return (
        m[0, 0] * x + m[1, 0] * y + m[2, 0] * z,
        m[0, 1] * x + m[1, 1] * y + m[2, 1] * z,
        m[0, 2] * x + m[1, 2] * y + m[2, 2] * z,
    )


@njit
def placed(m, n, x, y, z):
    """Gives m[n] · (x, y, z) without making a view of m[n] for every pixel."""
    return (
        m[n, 0, 0] * x + m[n, 0, 1] * y + m[n, 0, 2] * z,
        m[n, 1, 0] * x + m[n, 1, 1] * y + m[n, 1, 2] * z,
        m[n, 2, 0] * x + m[n, 2, 1] * y + m[n, 2, 2] * z,
    )


@njit
def placed_back(m, n, x, y, z):
    """Gives the transpose of m[n] · (x, y, z)."""
    return (
        m[n, 0, 0] * x + m[n, 1, 0] * y + m[n, 2, 0] * z,
        m[n, 0, 1] * x + m[n, 1, 1] * y + m[n, 2, 1] * z,
        m[n, 0, 2] * x + m[n, 1, 2] * y + m[n, 2, 2] * z,
    )


@njit
def meet(kind, s0, s1, s2, ex, ey, ez, rx, ry, rz):
    """Gives t where a ray (in the solid's own frame) first meets it from outside, or inf."""
    if kind == ELLIPSOID or kind == CONE:  # noqa: SIM109 (a tuple is slow here)
        if kind == ELLIPSOID:
            wx, wy, wz = 1.0 / s0**2, 1.0 / s1**2, 1.0 / s2**2
            a = wx * rx * rx + wy * ry * ry + wz * rz * rz
            b = wx * ex * rx + wy * ey * ry + wz * ez * rz
            c = wx * ex * ex + wy * ey * ey + wz * ez * ez - 1.0
        else:
            slope = (s1 - s0) / s2
            radius = s0 + slope * ey
            a = rx * rx + rz * rz - slope * slope * ry * ry
            b = ex * rx + ez * rz - slope * radius * ry
            c = ex * ex + ez * ez - radius * radius
        disc = b * b - a * c
        if disc <= 0.0:
            return np.inf
        t = c / (math.sqrt(disc) - b)  # the near root, also where a is close to zero
        if kind == CONE:
            high = ey + t * ry
            if high < 0.0 or high > s2:
                return np.inf
        return t if t > 0.0 else np.inf
    if kind == DISC:
        if ey * s1 <= 0.0 or ry == 0.0:  # seen from one side only
            return np.inf
        t = -ey / ry
        x, z = ex + t * rx, ez + t * rz
        return t if t > 0.0 and x * x + z * z < s0 * s0 else np.inf
    enter, leave = -np.inf, np.inf
    for eye, ray, half in ((ex, rx, s0), (ey, ry, s1), (ez, rz, s2)):
        if abs(ray) < 1e-12:
            if abs(eye) > half:
                return np.inf
            continue
        low, high = (-half - eye) / ray, (half - eye) / ray
        enter, leave = max(enter, min(low, high)), min(leave, max(low, high))
    return enter if 0.0 < enter < leave else np.inf


@njit
def trace_camera(kinds, sizes, turns, centres, boxes, eye, camera, columns, rows, depth, ids):
    """Fills depth [h, w] and ids [h, w]: the nearest solid along every ray of a camera."""
    for n in range(len(kinds)):
        x0, y0, x1, y1 = boxes[n]
        if x0 >= x1 or y0 >= y1:
            continue
        kind, s0, s1, s2 = kinds[n], sizes[n, 0], sizes[n, 1], sizes[n, 2]
        ex, ey, ez = placed_back(
            turns, n, eye[0] - centres[n, 0], eye[1] - centres[n, 1], eye[2] - centres[n, 2]
        )
        ax, ay, az = placed_back(turns, n, camera[0, 0], camera[1, 0], camera[2, 0])
        bx, by, bz = placed_back(turns, n, camera[0, 1], camera[1, 1], camera[2, 1])
        cx, cy, cz = placed_back(turns, n, camera[0, 2], camera[1, 2], camera[2, 2])
        for j in range(y0, y1):
            y = rows[j]
            px, py, pz = bx * y + cx, by * y + cy, bz * y + cz
            for i in range(x0, x1):
                x = columns[i]
                t = meet(kind, s0, s1, s2, ex, ey, ez, px + ax * x, py + ay * x, pz + az * x)
                if t < depth[j, i]:
                    depth[j, i] = t
                    ids[j, i] = n


@njit
def trace_light(kinds, sizes, turns, centres, boxes, corner, axes, step, depth):
    """Fills depth [m, m] along parallel rays: texel (i, j) starts at corner + step * (i, j)."""
    for n in range(len(kinds)):
        x0, y0, x1, y1 = boxes[n]
        if x0 >= x1 or y0 >= y1:
            continue
        kind, s0, s1, s2 = kinds[n], sizes[n, 0], sizes[n, 1], sizes[n, 2]
        ex, ey, ez = placed_back(
            turns, n, corner[0] - centres[n, 0], corner[1] - centres[n, 1],
            corner[2] - centres[n, 2],
        )  # fmt: skip
        ax, ay, az = placed_back(turns, n, axes[0, 0], axes[0, 1], axes[0, 2])
        bx, by, bz = placed_back(turns, n, axes[1, 0], axes[1, 1], axes[1, 2])
        rx, ry, rz = placed_back(turns, n, axes[2, 0], axes[2, 1], axes[2, 2])
        for j in range(y0, y1):
            v = step * (j + 0.5)
            fx, fy, fz = ex + v * bx, ey + v * by, ez + v * bz
            for i in range(x0, x1):
                u = step * (i + 0.5)
                t = meet(kind, s0, s1, s2, fx + u * ax, fy + u * ay, fz + u * az, rx, ry, rz)
                if t < depth[j, i]:
                    depth[j, i] = t


@njit
def lit_share(x, y, z, corner, axes, step, depth, taps, shift):
    """Share (0…1) of the lamp's light that reaches a point, from `taps` x `taps` looks."""
    u, v, far = turned(axes, x - corner[0], y - corner[1], z - corner[2])
    scale = 1.0 / step
    u, v, far = u * scale + shift, v * scale - shift, far - 0.03
    size = depth.shape[0]
    total = 0.0
    for b in range(taps):
        for a in range(taps):
            i, j = int(u + 1.5 * (a - 0.5 * (taps - 1))), int(v + 1.5 * (b - 0.5 * (taps - 1)))
            if i < 0 or j < 0 or i >= size or j >= size or depth[j, i] > far:
                total += 1.0
    return total / (taps * taps)


@njit
def normal_of(kind, s0, s1, s2, x, y, z):
    """Outward normal (not scaled) at a point of a solid, in its own frame."""
    if kind == ELLIPSOID:
        return x / s0**2, y / s1**2, z / s2**2
    if kind == CONE:
        slope = (s1 - s0) / s2
        return x, -slope * (s0 + slope * y), z
    if kind == DISC:
        return 0.0, s1, 0.0
    a, b, c = abs(x) / s0, abs(y) / s1, abs(z) / s2
    if a >= b and a >= c:
        return math.copysign(1.0, x), 0.0, 0.0
    if b >= c:
        return 0.0, math.copysign(1.0, y), 0.0
    return 0.0, 0.0, math.copysign(1.0, z)


@njit
def meet_room(ey, ez, ry, rz, back):
    """Gives t where a ray meets floor (y = 0) or wall (z = -back), and whether the floor."""
    to_wall = (-back - ez) / rz if rz < -1e-9 else np.inf
    to_floor = -ey / ry if ry < -1e-9 else np.inf
    return (to_floor, True) if to_floor < to_wall else (to_wall, False)


@njit
def look_up(texture, u, v, share, out):
    """Adds `share` of a texture's colour at (u, v), linear between pixels, edges repeated."""
    height, width = texture.shape[:2]
    u = min(max(u - 0.5, 0.0), width - 1.001)
    v = min(max(v - 0.5, 0.0), height - 1.001)
    i, j = int(u), int(v)
    a, b = u - i, v - j
    for k in range(3):
        top = texture[j, i, k] * (1 - a) + texture[j, i + 1, k] * a
        low = texture[j + 1, i, k] * (1 - a) + texture[j + 1, i + 1, k] * a
        out[k] += share * (top * (1 - b) + low * b)


@njit
def paint(
    depth, ids, columns, rows, eye, camera, kinds, sizes, turns, centres,
    colours, patterns, tiles, back, wall, wall_place, floor, floor_place,
    corner, axes, step, shadow, lights, rim, out,
):  # fmt: skip
    """Fills the picture [H, W, 3], linear light, from traced fine pixels (2 x 2 to a pixel).

    `colours` [N, 8]: first colour, second colour, repeats per metre, shine. `lights` [4, 3]:
    direction to the lamp, its colour, light from above, light from below.
    """
    height, width = out.shape[:2]
    sx, sy, sz = lights[0, 0], lights[0, 1], lights[0, 2]
    ox, oy, oz = eye[0], eye[1], eye[2]
    wall_x, wall_y, wall_px = wall_place[0], wall_place[1], wall_place[2]
    floor_x, floor_z, floor_px = floor_place[0], floor_place[1], floor_place[2]
    room = np.zeros(3)
    for row in range(height):
        for column in range(width):
            bare = 0
            out[row, column, 0] = out[row, column, 1] = out[row, column, 2] = 0.0
            for part in range(4):
                j, i = 2 * row + part // 2, 2 * column + part % 2
                n = ids[j, i]
                if n < 0:
                    bare += 1
                    continue
                x, y, t = columns[i], rows[j], depth[j, i]
                rx, ry, rz = turned(camera, x, y, 1.0)
                wx, wy, wz = ox + t * rx, oy + t * ry, oz + t * rz
                px, py, pz = placed_back(
                    turns, n, wx - centres[n, 0], wy - centres[n, 1], wz - centres[n, 2]
                )
                nx, ny, nz = normal_of(kinds[n], sizes[n, 0], sizes[n, 1], sizes[n, 2], px, py, pz)
                nx, ny, nz = placed(turns, n, nx, ny, nz)
                scale = 1.0 / math.sqrt(nx * nx + ny * ny + nz * nz)
                nx, ny, nz = nx * scale, ny * scale, nz * scale

                repeats = colours[n, 6] * 64.0
                u = int(np.floor((px + pz) * repeats)) & TILE_MASK
                v = int(np.floor((py + 0.6 * pz) * repeats)) & TILE_MASK
                share = tiles[patterns[n], v, u]

                lambert = nx * sx + ny * sy + nz * sz
                lit = 0.0
                if lambert > -0.15:
                    lit = lit_share(
                        wx + 0.02 * nx, wy + 0.02 * ny, wz + 0.02 * nz,
                        corner, axes, step, shadow, 2, 0.4 * (part - 1.5),
                    )  # fmt: skip
                soft = max(0.87 * lambert + 0.13, 0.0) * lit
                length = math.sqrt(rx * rx + ry * ry + rz * rz)
                vx, vy, vz = -rx / length, -ry / length, -rz / length
                facing = max(nx * vx + ny * vy + nz * vz, 0.0)
                hx, hy, hz = sx + vx, sy + vy, sz + vz
                gloss = (nx * hx + ny * hy + nz * hz) / math.sqrt(hx * hx + hy * hy + hz * hz)
                gloss = max(gloss, 0.0) if lambert > 0.0 else 0.0
                for _ in range(4):  # to the power of 16
                    gloss *= gloss
                edge = 1.0 - facing
                glow = 0.6 * rim * edge * edge * edge * (0.5 + 0.5 * ny)
                above = 0.5 + 0.5 * ny
                near_floor = 0.6 + 0.4 * min(max(4.0 * wy, 0.0), 1.0)
                for k in range(3):
                    albedo = colours[n, k] + share * (colours[n, 3 + k] - colours[n, k])
                    around = (lights[2, k] * above + lights[3, k] * (1.0 - above)) * near_floor
                    value = albedo * (soft * lights[1, k] + around)
                    value += (colours[n, 7] * gloss * lit + glow) * lights[1, k]
                    out[row, column, k] += 0.25 * min(value, 1.0)
            if not bare:
                continue
            # Once in the middle of the pixel; twice where it lies on the edge of floor and wall.
            first, last = 2 * column, 2 * row
            x0, x1, y0, y1 = columns[first], columns[first + 1], rows[last], rows[last + 1]
            rx, ry, rz = turned(camera, x0, y0, 1.0)
            one = meet_room(eye[1], eye[2], ry, rz, back)[1]
            rx, ry, rz = turned(camera, x1, y1, 1.0)
            two = meet_room(eye[1], eye[2], ry, rz, back)[1]
            room[:] = 0.0
            num_looks = 1 if one == two else 2
            for look in range(num_looks):
                x, y = 0.5 * (x0 + x1), 0.5 * (y0 + y1)
                if num_looks == 2:
                    x, y = (x0, y0) if look == 0 else (x1, y1)
                rx, ry, rz = turned(camera, x, y, 1.0)
                t, on_floor = meet_room(oy, oz, ry, rz, back)
                wx, wy, wz = ox + t * rx, oy + t * ry, oz + t * rz
                lit = 0.4 + 0.6 * lit_share(wx, wy, wz, corner, axes, step, shadow, 3, 0.0)
                if on_floor:
                    look_up(floor, (wx - floor_x) * floor_px, (wz - floor_z) * floor_px, lit, room)
                else:
                    look_up(wall, (wx - wall_x) * wall_px, (wall_y - wy) * wall_px, lit, room)
            for k in range(3):
                out[row, column, k] += 0.25 * bare * min(room[k] / num_looks, 1.0)
