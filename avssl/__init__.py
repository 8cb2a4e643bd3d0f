"""avssl: from a folder of unlabelled videos to encoders that see and hear.

Importing this package is light: every public name below is imported when it is first used.
"""

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOMES = {
    "Catalog": "avssl.catalog",
    "open_video": "avssl.decode",
    "Sound": "avssl.records",
    "load_encoder": "avssl.model",
    "load_localizer": "avssl.run.localize",
    "load_pose": "avssl.run.pose",
    "train": "avssl.run.train",
    "TrainConfig": "avssl.config",
    "AvsslError": "avssl.errors",
    "InputError": "avssl.errors",
    "MediaError": "avssl.errors",
}

__all__ = ["__version__", *_HOMES]  # pyright: ignore[reportUnsupportedDunderAll]

if TYPE_CHECKING:
    from avssl.catalog import Catalog as Catalog
    from avssl.config import TrainConfig as TrainConfig
    from avssl.decode import open_video as open_video
    from avssl.errors import AvsslError as AvsslError
    from avssl.errors import InputError as InputError
    from avssl.errors import MediaError as MediaError
    from avssl.model import load_encoder as load_encoder
    from avssl.records import Sound as Sound
    from avssl.run.localize import load_localizer as load_localizer
    from avssl.run.pose import load_pose as load_pose
    from avssl.run.train import train as train


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'avssl' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
