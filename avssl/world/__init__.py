"""A synthetic world: short videos with sound and known truth.

from avssl.world import make_world
make_world("world", num_train=60, num_validation=20, num_test=20)
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from avssl.world.clip import ClipSpec
    from avssl.world.contact import sheet
    from avssl.world.make import make_world, render_clip
    from avssl.world.truth import WORLD_VERSION

__all__ = ["WORLD_VERSION", "ClipSpec", "make_world", "render_clip", "sheet"]

_PLACES = {
    "ClipSpec": "clip",
    "make_world": "make",
    "render_clip": "make",
    "sheet": "contact",
    "WORLD_VERSION": "truth",
}


def __getattr__(name: str) -> Any:
    """Imports the public names when they are first used."""
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"{__name__}.{_PLACES[name]}"), name)
