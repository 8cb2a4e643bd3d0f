"""From a folder of videos to a prepared data set.

prepare("videos", "prepared")        # scan, re-encode, measure, group, shard, catalogue
check("videos")                      # the health of a folder or of a prepared set; changes nothing
"""

import importlib
from typing import TYPE_CHECKING, Any

_HOMES = {
    "PrepareSettings": "avssl.prepare.settings",
    "Report": "avssl.prepare.run",
    "check": "avssl.prepare.health",
    "prepare": "avssl.prepare.run",
}
__all__ = ["PrepareSettings", "Report", "check", "prepare"]

if TYPE_CHECKING:
    from avssl.prepare.health import check as check
    from avssl.prepare.run import Report as Report
    from avssl.prepare.run import prepare as prepare
    from avssl.prepare.settings import PrepareSettings as PrepareSettings


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        value = getattr(importlib.import_module(_HOMES[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'avssl.prepare' has no attribute {name!r}")
