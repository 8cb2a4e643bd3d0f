"""The probes of `avssl doctor` that look at packages, accelerators and tools.

Each runs in a process of its own (`avssl.run.doctor`) and gives a `Finding` as soon as it knows, so
that a crash loses only what comes after it. Imports stand inside the functions: an import is what
may crash.
"""

import os
import shutil
import subprocess
import sysconfig
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib import metadata, util
from pathlib import Path
from typing import Any

REMOTE = {"s3": "s3fs", "gs": "gcsfs", "https": "aiohttp", "hf": "huggingface_hub"}
"""fsspec protocol → the package that gives it."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One row of the doctor's table."""

    group: str
    part: str
    state: str
    """"works", "absent" (not here, and nothing is wrong) or "broken"."""
    found: str = ""
    """What was seen: a version, a device, the reason."""
    fix: str = ""
    """The one line that would make it work, empty where it does."""
    core: bool = False
    """avssl cannot do without it."""


@dataclass(frozen=True, kw_only=True)
class Probe:
    """A function that looks at some parts, and what it owes if it dies on the way."""

    look: Callable[[], Iterator[Finding]]
    group: str
    parts: Mapping[str, str] = field(default_factory=dict)
    """Part → package to install again; each must be reported, or it counts as broken."""
    core: bool = False


def requirement(name: str) -> str:
    """Gives what avssl's metadata asks of package `name`, such as "torchcodec==0.11.1"."""
    for line in metadata.requires("avssl") or []:
        wanted = line.partition(";")[0].strip()
        rest = wanted[len(name) :]
        if wanted[: len(name)].lower() == name and (not rest or rest[0] in "=<>~!["):
            return wanted
    return name


def pip_fix(*names: str) -> str:
    """Gives the line that installs packages in the versions that avssl asks for."""
    return "pip install " + " ".join(f"'{requirement(name)}'" for name in names)


def reason(error: BaseException) -> str:
    """Gives an error as one short line."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0] if lines else ''}"[:300]


def look_at_torch() -> Iterator[Finding]:
    """Imports the three packages that must fit each other and runs a compiled part of each."""
    import torch

    fix = pip_fix("torch", "torchvision", "torchaudio")
    whole: dict[str, Any] = {"group": "torch", "core": True}
    yield Finding(**whole, part="torch", state="works", found=torch.__version__)
    try:
        import torchvision

        boxes = torch.tensor([[0.0, 0, 1, 1], [0, 0, 1, 1]])
        torchvision.ops.nms(boxes, torch.tensor([0.9, 0.8]), 0.5)
        yield Finding(**whole, part="torchvision", state="works", found=torchvision.__version__)
    except Exception as error:
        yield Finding(**whole, part="torchvision", state="broken", found=reason(error), fix=fix)
    try:
        import torchaudio

        torchaudio.functional.resample(torch.zeros(1, 480), 48000, 16000)
        yield Finding(group="torch", part="torchaudio", state="works", found=torchaudio.__version__)
    except Exception as error:  # only training with sound needs it
        yield Finding(
            group="torch", part="torchaudio", state="broken", found=reason(error), fix=fix
        )
    numbers = {
        name: metadata.version(name).partition("+")[0].split(".")[:2]
        for name in ("torch", "torchvision", "torchaudio")
        if util.find_spec(name)
    }
    # torchvision's 0.(n + 15) belongs to torch's 2.n, torchaudio has torch's own number.
    torch_minor = int(numbers["torch"][1])
    expected = {"torchvision": ["0", str(torch_minor + 15)], "torchaudio": numbers["torch"]}
    off = [name for name, number in expected.items() if numbers.get(name) != number]
    seen = ", ".join(f"{name} {'.'.join(number)}" for name, number in numbers.items())
    yield Finding(
        group="torch",
        part="one release",
        state="broken" if off else "works",
        found=seen,
        fix=fix if off else "",
    )


def look_at_accelerators() -> Iterator[Finding]:
    """Multiplies two matrices on every accelerator that torch knows."""
    import torch

    def multiply(device: str) -> None:
        square = torch.ones(64, 64, device=device)
        if float((square @ square)[0, 0]) != 64.0:
            raise RuntimeError("a product of matrices came out wrong")

    whole: dict[str, Any] = {"group": "accelerators"}
    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            part = f"cuda:{index}"
            try:
                multiply(part)
                memory = torch.cuda.get_device_properties(index).total_memory / 2**30
                found = f"{torch.cuda.get_device_name(index)}, {memory:.0f} GiB"
                found += ", bf16" if torch.cuda.is_bf16_supported() else ""
                yield Finding(**whole, part=part, state="works", found=found)
            except Exception as error:
                fix = "update the NVIDIA driver: https://www.nvidia.com/drivers"
                yield Finding(**whole, part=part, state="broken", found=reason(error), fix=fix)
    elif shutil.which("nvidia-smi"):
        found = f"a driver is here, but torch (CUDA {torch.version.cuda}) sees no GPU"
        fix = "update the NVIDIA driver (`nvidia-smi` shows the CUDA version that it allows)"
        yield Finding(**whole, part="cuda", state="broken", found=found, fix=fix)
    else:
        yield Finding(**whole, part="cuda", state="absent", found="no NVIDIA driver; CPU is used")
    if torch.backends.mps.is_available():
        try:
            multiply("mps")
            yield Finding(**whole, part="mps", state="works", found="Apple GPU")
        except Exception as error:
            fix = "run with --device cpu"
            yield Finding(**whole, part="mps", state="broken", found=reason(error), fix=fix)


def look_at_package(
    package: str, module: str, *, use: str, core: bool = False, optional: bool = False
) -> Iterator[Finding]:
    """Imports one package."""
    whole: dict[str, Any] = {"group": "packages", "part": package, "core": core}
    fix = pip_fix(package)
    if util.find_spec(module.partition(".")[0]) is None:
        state = "absent" if optional else "broken"
        yield Finding(**whole, state=state, found=use, fix=fix)
        return
    try:
        __import__(module)
        yield Finding(**whole, state="works", found=f"{metadata.version(package)}, {use}")
    except Exception as error:
        yield Finding(**whole, state="broken", found=reason(error), fix=fix)


def look_at_tools() -> Iterator[Finding]:
    """Looks for the C++ compiler that `--compile` needs and for remote file systems."""
    whole: dict[str, Any] = {"group": "tools", "part": "compiler for --compile"}
    compiler = next(
        filter(None, map(shutil.which, (os.environ.get("CXX", ""), "g++", "clang++"))), ""
    )
    fix = "Debian: apt install g++ python3-dev; macOS: xcode-select --install"
    if not compiler:
        yield Finding(**whole, state="absent", found="only for `--compile`", fix=fix)
    else:
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder) / "probe.cpp"
            source.write_text("#include <Python.h>\nint main() { return 0; }\n")
            command = [compiler, "-c", "-I", sysconfig.get_path("include"), str(source)]
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        if done.returncode:
            first = next(iter(done.stderr.splitlines()), f"exit code {done.returncode}")
            yield Finding(**whole, state="broken", found=first, fix=fix)
        else:
            yield Finding(**whole, state="works", found=compiler)
    for protocol, package in REMOTE.items():
        there = util.find_spec(package) is not None
        yield Finding(
            group="tools",
            part=f"data at {protocol}://",
            state="works" if there else "absent",
            found=f"{package} {metadata.version(package)}" if there else "only for remote data",
            fix="" if there else pip_fix(package),
        )
