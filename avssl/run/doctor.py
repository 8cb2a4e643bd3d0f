"""`avssl doctor`: what works on this machine, what does not, and the one line that would fix it.

Every probe runs in a process of its own with a time limit, so that a library that crashes or hangs
(an ABI that does not fit, a driver that is away) costs one row of the table and not the command.
Nothing heavy is imported here.
"""

import argparse
import dataclasses
import functools
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from avssl.run import doctor_media as media
from avssl.run import doctor_probes as probes
from avssl.run.doctor_probes import Finding, Probe, pip_fix

TIME_LIMIT_S = 60.0
MIN_FREE_BYTES = 5 * 10**9


def _package(name: str, module: str, **words: Any) -> Probe:
    core = words.get("core", False)
    look = functools.partial(probes.look_at_package, name, module, **words)
    return Probe(look=look, group="packages", parts={name: name}, core=core)


def _backend(name: str, package: str, *, core: bool = False) -> Probe:
    look = functools.partial(media.look_at_backend, name, core=core)
    return Probe(look=look, group="reading video", parts={name: package}, core=core)


PROBES: dict[str, Probe] = {
    "torch": Probe(
        look=probes.look_at_torch,
        group="torch",
        parts={"torch": "torch", "torchvision": "torchvision"},
        core=True,
    ),
    "accelerators": Probe(look=probes.look_at_accelerators, group="accelerators"),
    "pyav": _backend("pyav", "av", core=True),
    "decord": _backend("decord", "decord"),
    "torchcodec": _backend("torchcodec", "torchcodec"),
    "codecs": Probe(
        look=media.look_at_codecs,
        group="codecs",
        parts={title: "av" for title, _, _, core in media.CODECS if core},
        core=True,
    ),
    "timm": _package("timm", "timm", use="image encoders by name", core=True),
    "librosa": _package("librosa", "librosa", use="loudness and onsets", core=True),
    "pytorchvideo": _package("pytorchvideo", "pytorchvideo.models", use="clip encoders by name"),
    "tensorboard": _package("tensorboard", "torch.utils.tensorboard", use="curves"),
    "ray": _package("ray", "ray", use="`avssl prepare --engine ray`", optional=True),
    "tools": Probe(look=probes.look_at_tools, group="tools"),
}
"""Name → probe, in the order of the table."""


def run_probe(name: str, *, time_limit_s: float = TIME_LIMIT_S) -> list[Finding]:
    """Runs one probe in a process of its own and gives what it found.

    A probe prints a line of JSON for each part as soon as it knows; the parts that it announced and
    never reached are reported as broken, with the reason (signal, time limit, last line of error).
    """
    probe = PROBES[name]
    command = [sys.executable, "-c", f"from avssl.run import doctor; doctor.main({name!r})"]
    try:
        # The folder of avssl comes first, not the current one: a folder of the user's must not
        # take the place of a package.
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=time_limit_s,
            env={**os.environ, "PYTHONSAFEPATH": "1", "TF_CPP_MIN_LOG_LEVEL": "3"},
            stdin=subprocess.DEVNULL,
        )
        printed = done.stdout
        errors = [line for line in done.stderr.splitlines() if line.strip()]
        reason = errors[-1] if errors else f"exit code {done.returncode}"
        if done.returncode < 0:
            reason = f"the process was killed by signal {-done.returncode}"
    except subprocess.TimeoutExpired as error:
        printed = error.stdout or ""
        printed = printed.decode(errors="replace") if isinstance(printed, bytes) else printed
        reason = f"no answer in {time_limit_s:g} s"
    found: list[Finding] = []
    for line in printed.splitlines():
        if line.startswith("{"):
            found.append(Finding(**json.loads(line)))
    reached = {item.part for item in found}
    for part, package in probe.parts.items():
        if part not in reached:
            found.append(
                Finding(
                    group=probe.group,
                    part=part,
                    state="broken",
                    core=probe.core,
                    found=reason,
                    fix=pip_fix(package),
                )
            )
    return found


def main(name: str) -> None:
    """Runs probe `name` in this process and prints a line of JSON for each finding."""
    for finding in PROBES[name].look():
        print(json.dumps(dataclasses.asdict(finding)), flush=True)


def machine() -> list[Finding]:
    """Looks at what needs no library: Python, cores, memory, free disk."""
    version = ".".join(map(str, sys.version_info[:3]))
    good = sys.version_info >= (3, 11)
    affinity = getattr(os, "sched_getaffinity", None)
    num_cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    free_bytes = shutil.disk_usage(Path.cwd()).free
    roomy = free_bytes >= MIN_FREE_BYTES
    found = [
        Finding(
            group="machine",
            part="Python",
            state="works" if good else "broken",
            core=True,
            found=f"{version}, {sys.platform} {os.uname().machine}",
            fix="" if good else "install Python 3.11 or newer and make .venv anew",
        ),
        Finding(group="machine", part="cores", state="works", found=f"{num_cores} to be used"),
        Finding(
            group="machine",
            part="free disk",
            state="works" if roomy else "absent",
            found=f"{free_bytes / 1e9:.1f} GB in {Path.cwd()}",
            fix="" if roomy else "prepare to another disk: avssl prepare SRC /other/disk/DST",
        ),
    ]
    if "SC_PHYS_PAGES" in os.sysconf_names:
        num_bytes = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        found.insert(
            2,
            Finding(
                group="machine", part="memory", state="works", found=f"{num_bytes / 1e9:.1f} GB"
            ),
        )
    return found


def examine(*, time_limit_s: float = TIME_LIMIT_S, num_processes: int = 2) -> list[Finding]:
    """Runs all probes, `num_processes` at a time, and gives the findings in the table's order."""
    with ThreadPoolExecutor(max_workers=num_processes) as pool:
        parts = list(pool.map(lambda name: run_probe(name, time_limit_s=time_limit_s), PROBES))
    return [*machine(), *(item for part in parts for item in part)]


def core_works(findings: Sequence[Finding]) -> bool:
    """Says whether every part that avssl cannot do without works."""
    return all(item.state == "works" for item in findings if item.core)


def print_table(findings: Sequence[Finding]) -> None:
    """Prints the table for a person: part, state, what was found, the line that would fix it."""
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False, soft_wrap=False)
    table = Table(box=None, pad_edge=False, show_header=False)
    for overflow in ("fold", "ignore", "fold"):
        table.add_column(overflow=overflow)  # type: ignore[arg-type]
    group = ""
    for item in findings:
        if item.group != group:
            group = item.group
            table.add_row(f"[bold]{group}[/bold]", "", "")
        style = {"works": "green", "absent": "yellow", "broken": "red"}[item.state]
        detail = item.found.replace("[", r"\[")
        if item.fix:
            arrow = "→ " + item.fix.replace("[", r"\[")
            detail = f"{detail}\n[cyan]{arrow}[/cyan]" if detail else f"[cyan]{arrow}[/cyan]"
        table.add_row(f"  {item.part}", f"[{style}]{item.state}[/{style}]", detail)
    console.print(table)
    missing = [item.part for item in findings if item.core and item.state != "works"]
    optional = [item.part for item in findings if not item.core and item.state == "broken"]
    if missing:
        console.print(f"\n[red]The core does not work:[/red] {', '.join(missing)}.")
    else:
        console.print(
            "\n[green]The core works.[/green]"
            + (f" Broken, and not needed: {', '.join(optional)}." if optional else "")
        )


def doctor(arguments: Sequence[str]) -> int:
    """Runs `avssl doctor` and gives its exit code: 0 if the core works, 1 otherwise."""
    parser = argparse.ArgumentParser(
        prog="avssl doctor",
        description="Tries every part of avssl on this machine and prints the one line that would "
        "fix each part that does not work. Exit code 0 if the core works, 1 otherwise.",
    )
    parser.add_argument("--json", action="store_true", help="print a JSON list instead of a table")
    parser.add_argument(
        "--time-limit-s", type=float, default=TIME_LIMIT_S, help="seconds for each probe"
    )
    options = parser.parse_args(list(arguments))
    findings = examine(time_limit_s=options.time_limit_s, num_processes=min(os.cpu_count() or 1, 4))
    if options.json:
        print(json.dumps([dataclasses.asdict(item) for item in findings], indent=2))
    else:
        print_table(findings)
    return 0 if core_works(findings) else 1
