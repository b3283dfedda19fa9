"""The gateway that is measured: `holdpoint up` as shipped, on a state folder of its own."""

import re
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import jwt
import orjson
from cryptography.hazmat.primitives.asymmetric import ec

from bench.cases import Payload
from bench.children import START_SECONDS, BenchFailed, Child
from bench.clock import Pids
from bench.net import free_port
from extproc.audit.reader import records, streams
from extproc.config import Settings, load
from extproc.domain.decision import Recording

DOMAIN = "holdpoint.internal"
ISSUER, AUDIENCE, PEOPLE = "https://agents.bench", "bench-agents", "https://people.bench"
_TOKEN_SECONDS = 6 * 3600
_RECORDED_SECONDS = 10.0
_BESIDE = ("control", "shipper", "archivist")
# Targets of `inspect: headers` can't be masked, and policy must be told so (docs: the policies' own data).
_DATA = f"""\
policies:
  http.pii_in_responses: {{unmasked_targets: [{Payload.HEADS}]}}
  http.secrets_in_requests: {{unmasked_targets: [{Payload.HEADS}]}}
"""


class Identity:
    """An identity provider for agents with a key of this run."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())

    def jwks(self) -> bytes:
        """What the gateway verifies tokens with."""
        public = orjson.loads(jwt.algorithms.ECAlgorithm.to_jwk(self._key.public_key()))
        return orjson.dumps({"keys": [{**public, "kid": "bench", "alg": "ES256", "use": "sig"}]})

    def token(self, subject: str = "agent-1") -> str:
        """A token of one agent, good for hours."""
        claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": subject, "exp": int(time.time()) + _TOKEN_SECONDS}
        return jwt.encode(claims, self._key, algorithm="ES256", headers={"kid": "bench"})


def configure(
    folder: Path,
    identity: Identity,
    upstream: int,
    workers: int,
    audit: str = "otlp: null",
    recordings: Sequence[Recording] = (),
) -> Settings:
    """Write holdpoint.yaml and what it names into the folder, and read it as the gateway will. `audit` are members of
    that section; each of `recordings` has a target of its own name, inspected like `bodies`. Raises SettingsError."""
    (folder / "agents.json").write_bytes(identity.jwks())
    (folder / "people.json").write_bytes(Identity().jwks())
    (folder / "policy-data.yaml").write_text(_DATA)
    credential = folder / "credential"
    credential.touch(0o600)
    credential.write_text("a-credential-that-agents-never-see")
    target = f'upstream: "http://127.0.0.1:{upstream}", environment: test, credential: credential'
    file = folder / "holdpoint.yaml"
    file.write_text(
        "version: 1\n"
        f"listen: {{address: 127.0.0.1:{free_port()}, ops: 127.0.0.1:{free_port()}, domain: {DOMAIN}}}\n"
        "identity:\n"
        f"  agents: [{{issuer: {ISSUER}, audience: {AUDIENCE}, jwks: agents.json}}]\n"
        f"  approvers: [{{issuer: {PEOPLE}, audience: bench-people, jwks: people.json}}]\n"
        "targets:\n"
        f"  {Payload.HEADS}: {{{target}, inspect: headers}}\n"
        f"  {Payload.BODIES}: {{{target}, inspect: 1MiB}}\n"
        + "".join(
            f"  {kept}: {{{target}, inspect: 1MiB, record: {{bodies: {kept}, head: 1KiB}}}}\n" for kept in recordings
        )
        +
        # An overloaded cell is to show its queue; with the default of 250 ms it would show refusals instead.
        "policy: {data: policy-data.yaml, deadline: 5s}\n"
        f"audit: {{{audit}}}\n"
        # One agent sends all of it.
        "limits: {requests: 10000, bytes: 4GiB}\n"
        f"workers: {workers}\n"
        "state: state\n"
    )
    return load(file)


class Gateway:
    """Runs until `stop`."""

    def __init__(self, settings: Settings) -> None:
        self.port = settings.listen.address.port
        self._state, self._ops = settings.state, settings.listen.ops.port
        self._child = Child(
            [sys.executable, "-m", "extproc.cli", "up", "--json", "--config", str(settings.file)], read_errors=True
        )
        self._pids: dict[str, int] = {}
        deadline = time.monotonic() + START_SECONDS
        try:
            while not self._heard(self._child.line(deadline - time.monotonic())):
                pass
        except BenchFailed:
            self._child.stop()
            raise

    def _heard(self, line: bytes) -> bool:
        entry = orjson.loads(line)
        message = str(entry.get("message", ""))
        if message.endswith(" is ready"):
            self._pids[message.removesuffix(" is ready")] = int(entry["pid"])
        return entry.get("program") == "up" and message.startswith("ready:")

    @property
    def pids(self) -> Pids:
        """Its processes: `envoy`, `python` (the workers), `opa`, and `beside` (control, shipper and archivist); and
        `databases` (their workers) where it serves any."""
        databases = [pid for name, pid in self._pids.items() if name.startswith("postgres-")]
        return {
            "envoy": [self._pids["envoy"]],
            "python": [pid for name, pid in self._pids.items() if name.startswith("worker-")],
            "opa": [self._pids["opa"]],
            "beside": [pid for name, pid in self._pids.items() if name in _BESIDE],
            **({"databases": databases} if databases else {}),
        }

    def loop_lag(self) -> tuple[float, float]:
        """Worst event-loop lag of any worker, in seconds: of the last whole second, and since it started."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self._ops}/metrics", timeout=10) as answer:
            text = answer.read().decode()
        return tuple(  # type: ignore[return-value]  # of two names
            max((float(v) for v in re.findall(rf"^{name}(?:{{[^}}]*}})? (\S+)$", text, re.MULTILINE)), default=0.0)
            for name in ("holdpoint_loop_lag_seconds", "holdpoint_loop_lag_worst_seconds")
        )

    def recorded(self, deliveries: int) -> Counter[tuple[str, str]]:
        """How many records the journals hold, by what and target, once there are so many deliveries, or after ten
        seconds: they are recorded when an exchange has ended, for which its client does not wait. What: `decision`
        (granted), `delivery` (its client got an answer of the upstream's), `aborted` (those that say otherwise), and
        `masked-request` and `masked-response` (those with a value masked on that lane)."""
        until = time.monotonic() + _RECORDED_SECONDS
        while _deliveries(found := self._recorded()) < deliveries and time.monotonic() < until:
            time.sleep(0.05)
        return found

    def _recorded(self) -> Counter[tuple[str, str]]:
        found: Counter[tuple[str, str]] = Counter()
        for stream in streams(self._state):
            for record in records(stream):
                outcome = str(record.body.get("outcome"))
                if (record.kind, outcome) == ("decision", "granted"):
                    found["decision", record.body["target"]["name"]] += 1
                elif record.kind == "delivery" and outcome in ("completed", "aborted:peer-left"):
                    target = record.body["target"]["name"]
                    found["delivery", target] += 1
                    found["aborted", target] += outcome != "completed"
                    for lane in record.body["masked"]:
                        found[f"masked-{lane}", target] += 1
        return found

    def stop(self) -> None:
        """Stop it as a user would."""
        self._child.stop()


def _deliveries(found: Counter[tuple[str, str]]) -> int:
    return sum(count for (what, _), count in found.items() if what == "delivery")
