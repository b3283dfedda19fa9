"""A real identity provider for tests: Keycloak, as `deploy/tools/fetch keycloak` gets it, with realms from a JSON file.

It takes some ten seconds to start and half a gigabyte, so one serves a whole test session; a test that changes keys,
users or clients makes a realm of its own.
"""

import json
import os
import re
import secrets
import signal
import subprocess
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from html import unescape
from http.cookiejar import CookieJar, DefaultCookiePolicy
from pathlib import Path
from typing import Any

import httpx

from extproc import resources
from tests.support.envoy import until
from tests.support.gateway import free_port

REALM = Path(__file__).with_name("idp_realm.json")
VARIABLE = "HOLDPOINT_KEYCLOAK"
START_SECONDS = 120.0
PASSWORDS = {"alice": "alice-password", "bob": "bob-password"}
AGENTS, APPROVERS, OTHERS = "holdpoint-agents", "holdpoint-approvers", "other-approvers"
# The audience of the access tokens of OTHERS; the other clients' audiences are their own names.
API_AUDIENCE = "holdpoint-api"
AGENTS_SECRET = "agents-secret"


def find_keycloak() -> Path:
    """Keycloak's start script: $HOLDPOINT_KEYCLOAK, beside this interpreter, on the PATH, or the newest in the cache of
    deploy/tools/fetch. Raises FileNotFoundError that says what to do."""
    named = os.environ.get(VARIABLE)
    if named:
        return Path(named)
    with suppress(FileNotFoundError):
        return resources.executable("keycloak")
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    cache = Path(os.environ.get("HOLDPOINT_CACHE") or Path(home) / "holdpoint")
    cached = [p for p in (cache / "keycloak").glob("*/bin/kc.sh") if os.access(p, os.X_OK)]
    if not cached:
        raise FileNotFoundError(
            f"no keycloak on PATH or in {cache}; run `make idp`, or name its kc.sh with ${VARIABLE}"
        )
    return max(cached, key=lambda p: tuple(map(int, re.findall(r"\d+", p.parents[1].name))))


@dataclass
class Realm:
    """One issuer: its users, clients and keys are its own."""

    issuer: str
    admin: "Keycloak" = field(repr=False)

    @property
    def name(self) -> str:
        """Its name, the last part of the issuer."""
        return self.issuer.rsplit("/", 1)[1]

    def token(self, **words: str) -> dict[str, Any]:
        """What the token endpoint answers to these parameters. Raises httpx.HTTPStatusError."""
        answer = httpx.post(f"{self.issuer}/protocol/openid-connect/token", data=words, timeout=30)
        document: dict[str, Any] = answer.raise_for_status().json()
        return document

    def agent_token(self) -> str:
        """An agent's access token, by client credentials."""
        words = {"grant_type": "client_credentials", "client_id": AGENTS, "client_secret": AGENTS_SECRET}
        return str(self.token(**words)["access_token"])

    def person(self, user: str, client: str = APPROVERS) -> dict[str, Any]:
        """All tokens of a person, by password."""
        return self.token(
            grant_type="password", client_id=client, username=user, password=PASSWORDS[user], scope="openid"
        )

    def rotate(self, *, withdraw: bool) -> str:
        """Sign with a new key from now on; the old ones are withdrawn or stay in the key set. Gives its id."""
        path = f"/admin/realms/{self.name}/components"
        providers = self.admin.call("GET", f"{path}?type=org.keycloak.keys.KeyProvider")
        old = [p for p in providers if p["providerId"] == "rsa-generated"]
        fresh = {
            "name": f"rsa-{secrets.token_hex(4)}",
            "providerId": "rsa-generated",
            "providerType": "org.keycloak.keys.KeyProvider",
            "config": {"priority": [str(1000 + len(providers))], "algorithm": ["RS256"]},
        }
        self.admin.call("POST", path, fresh)
        if withdraw:
            for provider in old:
                self.admin.call("DELETE", f"{path}/{provider['id']}")
        return str(self.admin.call("GET", f"/admin/realms/{self.name}/keys")["active"]["RS256"])

    def set_lifespan(self, seconds: int) -> None:
        """How long access and ID tokens last from now on."""
        self.admin.call("PUT", f"/admin/realms/{self.name}", {"accessTokenLifespan": seconds})

    def end_sessions(self, user: str) -> None:
        """Log a user out everywhere: refresh tokens end."""
        found = self.admin.call("GET", f"/admin/realms/{self.name}/users?exact=true&username={user}")
        self.admin.call("POST", f"/admin/realms/{self.name}/users/{found[0]['id']}/logout")


@dataclass
class Keycloak:
    """A running Keycloak: its address and its administrator."""

    address: str
    password: str = field(repr=False)

    def realm(self, name: str = "") -> Realm:
        """A new realm of tests/support/idp_realm.json, under a name of its own unless one is given."""
        document = json.loads(REALM.read_text()) | {"realm": name or f"r{secrets.token_hex(4)}"}
        self.call("POST", "/admin/realms", document)
        return Realm(f"{self.address}/realms/{document['realm']}", self)

    def call(self, method: str, path: str, body: object = None) -> Any:
        """One call of the admin API, with a fresh token; returns the answer's document, or None."""
        words = {"grant_type": "password", "client_id": "admin-cli", "username": "admin", "password": self.password}
        with httpx.Client(base_url=self.address, timeout=60) as client:
            signed_in = client.post("/realms/master/protocol/openid-connect/token", data=words).raise_for_status()
            bearer = {"authorization": f"Bearer {signed_in.json()['access_token']}"}
            answer = client.request(method, path, json=body, headers=bearer).raise_for_status()
        return answer.json() if answer.content else None


@contextmanager
def running_keycloak() -> Iterator[Keycloak]:
    """A started Keycloak on the loopback, stopped at the end; everything in it is in memory."""
    program, port, password = find_keycloak(), free_port(), secrets.token_urlsafe(16)
    address = f"http://127.0.0.1:{port}"
    environment = os.environ | {
        "KC_BOOTSTRAP_ADMIN_USERNAME": "admin",
        "KC_BOOTSTRAP_ADMIN_PASSWORD": password,
        # A short life: the start counts, not the peak; and no more memory than a small machine has.
        "JAVA_OPTS_APPEND": "-XX:TieredStopAtLevel=1",
        "JAVA_OPTS_KC_HEAP": "-Xms64m -Xmx384m",
    }
    command = [
        str(program), "start", "--optimized", "--cache=local", "--http-enabled=true", "--http-host=127.0.0.1",
        f"--http-port={port}", f"--hostname={address}", "--http-management-host=127.0.0.1",
        f"--http-management-port={free_port()}",
    ]  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="hp-idp-") as folder:
        log = Path(folder) / "log"
        with log.open("wb") as sink:
            process = subprocess.Popen(
                command, env=environment, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, start_new_session=True
            )
        try:

            def answers() -> bool:
                if process.poll() is not None:
                    raise AssertionError(f"Keycloak ended:\n{log.read_text(errors='replace')[-2000:]}")
                try:
                    return httpx.get(f"{address}/realms/master", timeout=5).status_code == 200
                except httpx.TransportError:
                    return False

            until(answers, "an answer of Keycloak", START_SECONDS)
            yield Keycloak(address, password)
        finally:
            # The script and the Java that it started; nothing in memory is worth a slow goodbye.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@dataclass
class Page:
    """What a browser shows."""

    url: str
    status: int
    text: str


class Browser:
    """As much of a browser as Keycloak's pages need: cookies, redirects and forms."""

    def __init__(self) -> None:
        # Keycloak's cookies are Secure; browsers send those to the loopback without TLS too, and httpx does not.
        jar = CookieJar(DefaultCookiePolicy(secure_protocols=("https", "http")))
        self._opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar))

    def sign_in(self, address: str, user: str, *, consent: bool = True) -> Page:
        """Open an address, sign in, and answer a question for consent; gives the last page."""
        page = self._open(address)
        for _ in range(5):
            action = _form(page)
            if action is None:
                return page
            if 'name="password"' in page.text:
                page = self._open(action, {"username": user, "password": PASSWORDS[user]})
            elif 'name="accept"' in page.text:
                page = self._open(action, _hidden(page) | ({"accept": "Yes"} if consent else {"cancel": "No"}))
            else:
                return page
        raise AssertionError(f"the pages go round in circles at {page.url}")

    def _open(self, address: str, form: dict[str, str] | None = None) -> Page:
        body = urllib.parse.urlencode(form).encode() if form is not None else None
        try:
            answer = self._opener.open(address, body, timeout=30)
        except urllib.error.HTTPError as error:
            answer = error
        with answer:
            return Page(answer.url, answer.status, answer.read().decode())


def _form(page: Page) -> str | None:
    found = re.search(r'<form[^>]*\baction="([^"]*)"', page.text)
    return urllib.parse.urljoin(page.url, unescape(found.group(1))) if found else None


def _hidden(page: Page) -> dict[str, str]:
    fields = re.findall(r'<input[^>]*type="hidden"[^>]*>', page.text)
    named = [(re.search(r'name="([^"]*)"', f), re.search(r'value="([^"]*)"', f)) for f in fields]
    return {unescape(n.group(1)): unescape(v.group(1)) for n, v in named if n and v}
