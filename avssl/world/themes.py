"""What the clips of a world are about: people and what they do, or things and what they sound like.

`people` has somebody acting in most clips and is for pose. `sounds` is for hearing: a player or one
to three things, seen from near, one of them sounding; *all* of them move, the silent ones to a beat
of their own, so that movement alone does not tell what sounds. `falls` has one thing that sounds,
and balls that drop or are thrown in, bounce lower each time and come to rest before a camera that
stands still: movement with a direction.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Theme:
    """How often what is shown, and from how near."""

    shows: tuple[str, ...]
    """What the clips of a split are about, over and over: `act`, `play` or (only) `things`."""
    num_things: Mapping[str, tuple[int, int]]
    """For each show the least and the most things that stand about."""
    silent_move: bool
    """Whether silent things move too."""
    spot_m: tuple[float, float]
    """Nearest and farthest place of a thing from the middle, where nobody stands there."""
    things_tall_m: tuple[float, float]
    """Height that the picture is made for where there are only things."""
    aim_beside_m: tuple[float, float]
    """How far beside what sounds the camera looks, in half of the clips."""
    num_thrown: tuple[int, int] = (0, 0)
    """Least and most balls that are thrown in (`falling`)."""
    still: bool = False
    """Whether the camera always stands on a tripod."""


THEMES: Mapping[str, Theme] = {
    "people": Theme(
        shows=("act", "play", "act", "act", "things", "act", "play", "act", "act", "play"),
        num_things={"act": (1, 3), "play": (0, 2), "things": (2, 3)},
        silent_move=False,
        spot_m=(0.5, 0.75),
        things_tall_m=(1.35, 1.6),
        aim_beside_m=(0.6, 1.05),
    ),
    "sounds": Theme(
        shows=("things", "play", "things", "things", "play"),
        num_things={"play": (0, 1), "things": (1, 3)},
        silent_move=True,
        spot_m=(0.42, 0.62),
        things_tall_m=(1.05, 1.3),
        aim_beside_m=(0.4, 0.7),
    ),
    "falls": Theme(
        shows=("things",),
        num_things={"things": (1, 1)},
        silent_move=False,
        spot_m=(0.42, 0.62),
        things_tall_m=(1.05, 1.3),
        aim_beside_m=(0.4, 0.7),
        num_thrown=(16, 24),
        still=True,
    ),
}
