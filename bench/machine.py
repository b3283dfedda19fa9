"""What a figure depends on: the machine and the versions. No names of hosts, people or folders."""

import os
import platform
import re
import subprocess
from importlib.metadata import version
from pathlib import Path

from extproc import resources
from extproc.adapters.opa.binary import find_opa

_PACKAGES = ("grpcio", "uvloop", "protobuf", "orjson", "google-re2")


def facts() -> dict[str, str]:
    """Name to value, in the order to show them. What can't be found out is `unknown`. Raises OpaMissing."""
    found = basics() | {
        "Envoy": _first(_output([str(resources.executable("envoy")), "--version"]), r"/(\d+\.\d+\.\d+[^/]*)/"),
        "OPA": _first(_output([str(find_opa()), "version"]), r"Version: (\S+)"),
    }
    return found | {name: version(name) for name in _PACKAGES}


def basics() -> dict[str, str]:
    """What every program depends on: processor, kernel, Python."""
    return {
        "CPU": _cpu(),
        "cores": str(len(os.sched_getaffinity(0))),
        "kernel": ".".join(platform.release().split(".")[:2]),
        "Python": platform.python_version(),
    }


def load_average() -> float:
    """How many processes wanted to run, over the last minute: what else the machine was doing."""
    return os.getloadavg()[0]


def _cpu() -> str:
    try:
        return _first(Path("/proc/cpuinfo").read_text("utf-8"), r"model name\s*: (.+)")
    except OSError:
        return "unknown"


def _output(command: list[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=30).stdout


def _first(text: str, pattern: str) -> str:
    found = re.search(pattern, text)
    return found[1].strip() if found else "unknown"
