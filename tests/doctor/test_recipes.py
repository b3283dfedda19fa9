"""The firewall rules of docs/network.md: they load, and close what the doctor reports."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

DOCUMENT = Path(__file__).parents[2] / "docs" / "network.md"
RULES = re.findall(r"^```nft\n(.*?)^```", DOCUMENT.read_text("utf-8"), re.MULTILINE | re.DOTALL)

# In a network namespace of its own: a gateway and a target listen, and the user of the rules looks, before and after.
_INSIDE = """
import fcntl, json, os, socket, struct, subprocess, sys
from extproc.app.doctor.network import target
from extproc.app.doctor.plan import Endpoint

with socket.socket() as control:  # SIOCSIFFLAGS: loopback up
    fcntl.ioctl(control, 0x8914, struct.pack("16sh14x", b"lo", 1))
servers = [socket.create_server(("127.0.0.1", port)) for port in (8080, 9001)]
servers.append(socket.create_server(("::1", 9001), family=socket.AF_INET6))

socket.getaddrinfo("localhost", 1)  # loads what another user may not be able to read

def look():
    reader, writer = os.pipe()
    if os.fork() == 0:
        os.setgroups([]); os.setresgid(65534, 65534, 65534); os.setresuid(65534, 65534, 65534)
        ends = [Endpoint("x", "127.0.0.1", 8080), Endpoint("x", "127.0.0.1", 9001), Endpoint("x", "::1", 9001)]
        os.write(writer, json.dumps([next(iter(target(end))).open for end in ends]).encode())
        os._exit(0)
    os.close(writer)
    return json.loads(os.read(reader, 1000))

before = look()
subprocess.run(["nft", "-f", "-"], input=sys.stdin.read(), text=True, check=True)
print(json.dumps([before, look()]))
"""


def _in_namespace(*command: str, rules: str) -> subprocess.CompletedProcess[str]:
    if os.geteuid() != 0 or not shutil.which("nft") or not shutil.which("unshare"):
        pytest.skip("takes root, nft and unshare")
    if subprocess.run(["unshare", "--net", "true"], capture_output=True, check=False).returncode:
        pytest.skip("network namespaces are not allowed here")
    return subprocess.run(
        ["unshare", "--net", *command], input=rules, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(DOCUMENT.parents[1])},
    )  # fmt: skip


@pytest.mark.parametrize("rules", RULES, ids=lambda rules: rules.split()[2])
def test_rules_load(rules: str) -> None:
    """nft takes each recipe, where the agent's user exists."""
    done = _in_namespace("nft", "-c", "-f", "-", rules=rules.replace("skuid agent", "skuid 65534"))
    assert (done.returncode, done.stderr) == (0, "")


def test_the_rules_by_user_close_what_is_open() -> None:
    """Before them the target is reached over both families; after them the gateway alone is."""
    done = _in_namespace(sys.executable, "-c", _INSIDE, rules=RULES[0].replace("skuid agent", "skuid 65534"))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [[True, True, True], [True, False, False]]
