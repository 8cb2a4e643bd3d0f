"""CIE Lab colours on the device, and the colours that a screen can show as 313 classes.

    sRGB → linear → XYZ (D65) → L 0–100 (lightness), a (green to red), b (blue to yellow)

The bins are those of colorful image colourisation (Zhang, Isola, Efros, ECCV 2016; papers.md §5.1,
file `pts_in_hull.npy`): a grid of 10 over (a, b), "313 in gamut". Which rule gives 313 the paper
does not say. Points of the grid that some colour has exactly are 229, those in the convex hull of
all colours' (a, b) 233, those nearest to some colour 262. The corners of all squares of the grid
that the hull touches are 313, and row by row they are those of the published file.

Shapes: pictures [..., 3, H, W]; ab [..., 2] last where bins are meant.
"""

import functools

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

GRID = 10
"""Distance of neighbouring bins in a and in b."""
NUM_BINS = 313
# IEC 61966-2-1, with the white point of D65 seen under 2°: what scikit-image takes.
_XYZ = (
    (0.412453, 0.357580, 0.180423),
    (0.212671, 0.715160, 0.072169),
    (0.019334, 0.119193, 0.950227),
)
_WHITE = (0.95047, 1.0, 1.08883)
_LINEAR_BELOW = 0.008856  # (6/29)³, where the cube root turns into a line
_SURFACE = 65  # colours along each side of a face of the cube; 17 to 513 give the same bins


def rgb_to_lab(pictures: Tensor) -> Tensor:
    """Gives Lab colours, float32 [..., 3, H, W].

    Args:
        pictures: sRGB, uint8 0–255 or float 0–1, [..., 3, H, W].
    """
    rgb = pictures.float() / (1 if pictures.is_floating_point() else 255)
    linear = torch.where(rgb > 0.04045, ((rgb.clamp_min(0) + 0.055) / 1.055) ** 2.4, rgb / 12.92)
    matrix = linear.new_tensor(_XYZ) / linear.new_tensor(_WHITE)[:, None]
    xyz = torch.einsum("ij,...jhw->...ihw", matrix, linear)
    f = torch.where(
        xyz > _LINEAR_BELOW, xyz.clamp_min(_LINEAR_BELOW) ** (1 / 3), 7.787 * xyz + 16 / 116
    )
    x, y, z = f.unbind(dim=-3)
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], dim=-3)


def lab_to_rgb(lab: Tensor) -> Tensor:
    """Gives sRGB colours 0–1, float32 [..., 3, H, W]; what a screen cannot show is clipped."""
    light, a, b = lab.float().unbind(dim=-3)
    y = (light + 16) / 116
    f = torch.stack([y + a / 500, y, (y - b / 200).clamp_min(0)], dim=-3)
    xyz = torch.where(f > 0.2068966, f**3, (f - 16 / 116) / 7.787)
    inverse = torch.linalg.inv(torch.tensor(_XYZ, dtype=torch.float64)).float().to(lab.device)
    matrix = inverse * lab.new_tensor(_WHITE, dtype=torch.float32)
    linear = torch.einsum("ij,...jhw->...ihw", matrix, xyz)
    root = 1.055 * linear.clamp_min(0.0031308) ** (1 / 2.4) - 0.055
    return torch.where(linear > 0.0031308, root, 12.92 * linear).clamp(0, 1)


@functools.lru_cache(maxsize=1)
def ab_bins() -> NDArray[np.float64]:
    """Gives the classes of colour, float64 [313, 2] (a, b), sorted by a, then b."""
    from scipy.spatial import ConvexHull

    # The outermost colours lie on the surface of the cube of RGB values.
    side = np.linspace(0, 1, _SURFACE)
    one, two = (grid.ravel() for grid in np.meshgrid(side, side))
    faces = [
        np.roll(np.stack([np.full_like(one, end), one, two]), turn, axis=0)
        for turn in range(3)
        for end in (0.0, 1.0)
    ]
    lab = rgb_to_lab(torch.from_numpy(np.concatenate(faces, axis=1))[:, :, None])
    hull = ConvexHull(lab[1:, :, 0].T.double().numpy())
    # A square and a convex polygon meet unless a line along a side of either parts them.
    first = GRID * np.arange(-13, 13)
    squares = np.stack(np.meshgrid(first, first, indexing="ij"), axis=-1).reshape(-1, 2)
    corners = squares[:, None] + GRID * np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    low, high = hull.min_bound, hull.max_bound
    meets = ((squares <= high) & (squares + GRID >= low)).all(axis=1)
    nearest = np.einsum("scd,ed->sce", corners, hull.equations[:, :2]).min(axis=1)
    meets &= (nearest + hull.equations[:, 2] <= 0).all(axis=1)
    return np.unique(corners[meets].reshape(-1, 2), axis=0).astype(np.float64)


def soft_bins(ab: Tensor, *, num_nearest: int = 5, sigma: float = 5.0) -> tuple[Tensor, Tensor]:
    """Spreads colours over their nearest bins (papers.md §5.1: 5 neighbours, Gaussian of σ 5).

    Args:
        ab: float [..., 2].
        num_nearest: bins that get a share.
        sigma: of the Gaussian of the distance.

    Returns:
        Bins int64 [..., num_nearest], nearest first, and shares float32 that add up to 1.
    """
    bins = torch.as_tensor(ab_bins(), dtype=torch.float32, device=ab.device)
    flat = ab.reshape(-1, 2).float()
    # |x − c|² less |x|², which is the same for all bins: one product of matrices.
    offset = bins.square().sum(dim=1) - 2 * flat @ bins.T
    found = offset.topk(num_nearest, dim=1, largest=False, sorted=True).indices
    squared = (flat[:, None] - bins[found]).square().sum(dim=2)
    shares = torch.softmax(-squared / (2 * sigma**2), dim=1)
    return found.reshape(*ab.shape[:-1], -1), shares.reshape(*ab.shape[:-1], -1)


@functools.lru_cache(maxsize=4)
def spread_of_bins(*, num_nearest: int = 5, sigma: float = 5.0) -> NDArray[np.float64]:
    """Gives how `soft_bins` spreads the colours of each bin on average, float64 [313, 313].

    Row k: the mean target of colours that lie evenly in the square of the grid around bin k.
    """
    steps = (np.arange(GRID) + 0.5) - GRID / 2
    inside = np.stack(np.meshgrid(steps, steps), axis=-1).reshape(-1, 2)
    ab = torch.from_numpy(ab_bins()[:, None] + inside)
    found, shares = soft_bins(ab, num_nearest=num_nearest, sigma=sigma)
    mean = torch.zeros(NUM_BINS, NUM_BINS, dtype=torch.float64)
    mean.scatter_add_(1, found.flatten(1), shares.double().flatten(1) / len(inside))
    return mean.numpy()


def smoothed(prior: NDArray[np.float64], *, sigma: float = 5.0) -> NDArray[np.float64]:
    """Smooths a distribution over the bins with a Gaussian in ab, float64 [313], sum 1."""
    bins = ab_bins()
    squared = np.square(bins[:, None] - bins[None]).sum(axis=2)
    kernel = np.exp(-squared / (2 * sigma**2))
    return (kernel / kernel.sum(axis=0)) @ (prior / prior.sum())


def rebalancing_weights(
    prior: NDArray[np.float64], *, mix: float = 0.5, sigma: float = 5.0
) -> NDArray[np.float64]:
    """Gives each bin's weight w ∝ ((1 − λ) p̃ + λ / Q)⁻¹ with mean Σ p̃ w = 1 (papers.md §5.1).

    Args:
        prior: how often each bin occurs, float64 [313].
        mix: λ, the share of the even distribution; 1 gives even weights.
        sigma: of the Gaussian that smooths the prior to p̃.
    """
    smooth = smoothed(prior, sigma=sigma)
    weights = 1 / ((1 - mix) * smooth + mix / len(smooth))
    return weights / (smooth @ weights)


def annealed_mean(logits: Tensor, *, temperature: float = 0.38) -> Tensor:
    """Gives the colour between mean (T 1) and mode (T → 0), float32 [B, 2, h, w].

    The mean over bins of the distribution with its logarithm divided by T (papers.md §5.1).

    Args:
        logits: of the bins, [B, 313, h, w].
        temperature: T.
    """
    bins = torch.as_tensor(ab_bins(), dtype=torch.float32, device=logits.device)
    shares = functional.softmax(logits.float() / temperature, dim=1)
    return torch.einsum("bkhw,kc->bchw", shares, bins)
