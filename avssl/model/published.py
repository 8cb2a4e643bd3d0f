"""Weights that timm publishes: from the hub's cache or the network, in safetensors only."""

import socket
import urllib.parse
import urllib.request
from pathlib import Path

from avssl.errors import InputError

_TIMEOUT_S = 5.0


def _reachable(endpoint: str) -> bool:
    """Tries to connect once: the hub's own client tries again and again for half a minute."""
    if urllib.request.getproxies():
        return True  # the proxy knows; a direct connection need not work
    address = urllib.parse.urlsplit(endpoint)
    try:
        port = address.port or (443 if address.scheme == "https" else 80)
        socket.create_connection((address.hostname or "", port), timeout=_TIMEOUT_S).close()
    except OSError:
        return False
    return True


def published_weights(name: str) -> Path:
    """Gives the file of a timm network's published weights, downloaded where need be.

    timm itself falls back to pickled weights where there are no others; this does not.

    Args:
        name: timm's name, such as "resnet18" or "resnet18.a1_in1k".

    Raises:
        InputError: there are none in safetensors, or they cannot be had here and now.
    """
    import huggingface_hub
    import timm

    way_out = f"pass a local file: timm:{name}@FILE.safetensors"
    config = timm.get_pretrained_cfg(name)
    repository = getattr(config, "hf_hub_id", None)
    if not repository:
        raise InputError(f"timm:{name}: has no published weights in safetensors; {way_out}")
    where = {
        "repo_id": repository,
        "filename": getattr(config, "hf_hub_filename", None) or "model.safetensors",
    }
    cached = huggingface_hub.try_to_load_from_cache(**where)
    if isinstance(cached, str):
        return Path(cached)
    endpoint = huggingface_hub.constants.ENDPOINT
    if not _reachable(endpoint):
        raise InputError(
            f"timm:{name}: its weights are not in the cache and {endpoint} cannot be reached; "
            f"go online once, or {way_out}"
        )
    try:
        return Path(huggingface_hub.hf_hub_download(**where))
    except Exception as error:  # the hub's client raises a dozen kinds, all of them "not to be had"
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise InputError(f"timm:{name}: no weights to be had ({reason}); {way_out}") from error
