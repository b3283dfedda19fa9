"""What `holdpoint login` does with a provider that is slow, broken or hostile: a fake one, for faults only. The real
one is in test_login.py."""

import asyncio
import http.server
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import jwt
import pytest

from extproc.adapters import login as adapter
from extproc.adapters.login import Asked, Client, LoginFailed, Provider
from extproc.cli import _credentials as credentials
from extproc.cli._common import CommandError

CLIENT = "holdpoint-cli"
CODE = {"device_code": "d", "user_code": "ABCD-EFGH", "expires_in": 12, "interval": 1}
Answer = tuple[int, Any]


def token(seconds: float = 300, audience: str = CLIENT, **claims: Any) -> str:
    """A JWT that nobody here verifies."""
    body = {"aud": audience, "sub": "alice", "exp": time.time() + seconds, **claims}
    return jwt.encode(body, "k" * 32, algorithm="HS256")


class Fake:
    """Answers each path from a list; the last one again and again. None hangs until the end."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.over = threading.Event()
        fake = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer()

            def do_POST(self) -> None:
                self._answer()

            def _answer(self) -> None:
                form = parse_qs(self.rfile.read(int(self.headers.get("content-length") or 0)).decode())
                fake.asked.append((self.path, {n: v[0] for n, v in form.items()}))
                answers = fake.answers.get(self.path, [(404, {})])
                status, body = answers.pop(0) if len(answers) > 1 else answers[0]
                if body is None:
                    fake.over.wait(60)
                    return
                data = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                if status == 302:
                    self.send_header("location", f"{fake.issuer}/elsewhere")
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: object) -> None:
                """Stay quiet."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.issuer = f"http://127.0.0.1:{self._server.server_port}"
        self.document: dict[str, Any] = {"issuer": self.issuer} | {
            name: f"{self.issuer}/{name.partition('_')[0]}"
            for name in ("device_authorization_endpoint", "token_endpoint", "authorization_endpoint")
        }
        self.answers: dict[str, list[Answer]] = {
            "/.well-known/openid-configuration": [(200, self.document)],
            "/device": [(200, CODE | {"verification_uri": f"{self.issuer}/go"})],
            "/token": [(200, {"id_token": token()})],
        }
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        """Let go of what hangs, and close."""
        self.over.set()
        self._server.shutdown()
        self._server.server_close()

    def login(self, pauses: list[float] | None = None) -> adapter.Login:
        """A device login of a person in no hurry: pauses are noted, and pass at once."""
        shown: list[Asked] = []

        async def pause(seconds: float) -> None:
            (pauses if pauses is not None else []).append(seconds)

        async def ask() -> adapter.Login:
            async with Provider(Client(self.issuer, CLIENT, CLIENT)) as provider:
                return await provider.device(shown.append, pause)

        return asyncio.run(ask())


@pytest.fixture
def fake() -> Iterator[Fake]:
    """A provider that does what it is told."""
    provider = Fake()
    yield provider
    provider.stop()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where logins are kept; nobody is logged in."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.delenv("HOLDPOINT_TOKEN", raising=False)
    return tmp_path / "holdpoint" / "credentials.json"


def stored(issuer: str, seconds: float, refresh_token: str | None = "r1") -> credentials.Stored:
    """A login whose token ends in so many seconds."""
    return credentials.Stored(
        issuer=issuer,
        client_id=CLIENT,
        audience=CLIENT,
        scopes=("openid",),
        ca=None,
        name="alice",
        expires_at=time.time() + seconds,
        token=token(seconds),
        refresh_token=refresh_token,
    )


@pytest.mark.parametrize(
    ("answers", "pauses"),
    [
        ([(400, {"error": "authorization_pending"})] * 2, [1, 1, 1]),
        ([(400, {"error": "slow_down"}), (400, {"error": "authorization_pending"})], [1, 6, 6]),
        ([(503, b"busy"), (502, b"<html>")], [1, 2, 4]),
    ],
)
def test_it_asks_as_seldom_as_the_provider_wants(fake: Fake, answers: list[Answer], pauses: list[float]) -> None:
    """RFC 8628, 3.5: the interval, five seconds more for each slow_down, twice as long when nobody answers."""
    fake.answers["/token"] = [*answers, (200, {"id_token": token()})]
    waited: list[float] = []
    assert fake.login(waited).token
    assert waited == pauses


@pytest.mark.parametrize(
    ("where", "answer", "reason"),
    [
        ("/token", (400, {"error": "access_denied"}), "the login was refused in the browser"),
        ("/token", (400, {"error": "expired_token"}), "nobody logged in before the code expired"),
        ("/token", (400, {"error": "slow_down"}), "nobody logged in before the code expired"),
        ("/token", (400, {"error": "invalid_client", "error_description": "who?"}), "invalid_client: who?"),
        ("/token", (400, {"error": ["odd"]}), "gives no token: status 400"),
        ("/token", (200, b"<html>"), "not a JSON object"),
        ("/token", (200, b"[" * 100_000), "not a JSON object"),
        ("/token", (200, b" " * (adapter.MAX_BYTES + 1)), "answered more than"),
        ("/token", (302, {}), "gives no token: status 302"),
        ("/token", (200, {"access_token": token()}), "gave no id_token (is openid among the scopes?)"),
        ("/token", (200, {"id_token": "opaque"}), "is not a JSON Web Token"),
        ("/token", (200, {"id_token": token(audience="another")}), f"is not for the audience {CLIENT}"),
        ("/token", (200, {"id_token": token(exp=None)}), "never ends"),
        ("/device", (401, {"error": "unauthorized_client"}), "starts no device login: unauthorized_client"),
        ("/device", (200, CODE), "no device_code, user_code or verification_uri"),
        ("/device", (200, CODE | {"verification_uri": "http://far.test/"}), "an address that is not https"),
        ("/device", (200, CODE | {"verification_uri": "javascript:alert(1)"}), "an address that is not https"),
        ("/device", (200, CODE | {"verification_uri": "https://a.test", "expires_in": "x"}), "no expires_in"),
    ],
)
def test_a_fault_has_a_reason(fake: Fake, where: str, answer: Answer, reason: str) -> None:
    """Each thing that a provider can get wrong ends the login with a sentence that says what."""
    fake.answers[where] = [answer]
    with pytest.raises(LoginFailed) as failed:
        fake.login()
    assert reason in str(failed.value)
    assert not any(path == "/elsewhere" for path, _ in fake.asked)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"issuer": "https://another.test"}, "no discovery document of its own"),
        ({"device_authorization_endpoint": None}, "offers no device login; try --browser"),
        ({"token_endpoint": "http://far.test/token"}, "names a token_endpoint that is not an https address"),
    ],
)
def test_a_discovery_document_is_not_believed_blindly(fake: Fake, changed: dict[str, Any], reason: str) -> None:
    """It is the issuer's own, and leads to no address where others can listen."""
    fake.document.update(changed)
    with pytest.raises(LoginFailed) as failed:
        fake.login()
    assert reason in str(failed.value)


def test_a_provider_that_hangs_is_given_up(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    """No answer is an error that says so, not a command that never ends."""
    monkeypatch.setattr(adapter, "ANSWER_SECONDS", 0.2)
    fake.answers["/.well-known/openid-configuration"] = [(200, None)]
    with pytest.raises(LoginFailed, match="did not answer"):
        fake.login()


def test_an_issuer_in_the_clear_is_not_asked() -> None:
    """Whoever is on the way to a plain http issuer could take the login."""
    with pytest.raises(LoginFailed, match="not an https address"):
        asyncio.run(Provider(Client("http://login.example.test", CLIENT, CLIENT)).__aenter__())


def test_the_environment_goes_before_the_stored_login(fake: Fake, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """HOLDPOINT_TOKEN, then the login, then a sentence that names both."""
    with pytest.raises(CommandError, match="no token: run `holdpoint login`, or set"):
        credentials.person_token()
    kept = stored(fake.issuer, 300)
    credentials.write(kept)
    assert credentials.person_token() == kept.token
    monkeypatch.setenv("HOLDPOINT_TOKEN", "another")
    assert credentials.person_token() == "another"
    assert fake.asked == []


@pytest.mark.parametrize(
    ("seconds", "refresh_token", "answer", "outcome"),
    [
        (5, "r1", (503, b""), None),
        (-5, "r1", (503, b""), "has ended, and could not be renewed: .* answered 503"),
        (5, "r1", (400, {"error": "invalid_grant"}), "ended at the provider: run `holdpoint login` again"),
        (-5, None, (500, b""), "your login has ended: run `holdpoint login` again"),
        (5, None, (500, b""), None),
        (-5, "r1", (200, {"id_token": token(audience="another")}), "could not be renewed: .* is not for the audience"),
    ],
)
def test_a_login_that_cannot_be_renewed(
    fake: Fake, home: Path, seconds: float, refresh_token: str | None, answer: Answer, outcome: str | None
) -> None:
    """While the token counts it is used; after that the person is told. The stored login stays as it was."""
    kept = stored(fake.issuer, seconds, refresh_token)
    credentials.write(kept)
    before = home.read_bytes()
    fake.answers["/token"] = [answer]
    if outcome is None:
        assert credentials.person_token() == kept.token
    else:
        with pytest.raises(CommandError, match=outcome):
            credentials.person_token()
    assert home.read_bytes() == before


def test_commands_at_once_renew_once(fake: Fake, home: Path) -> None:
    """A refresh token that counts once is used once: the others take what the first one got."""
    credentials.write(stored(fake.issuer, 5))
    fresh = token(300)
    fake.answers["/token"] = [(200, {"id_token": fresh, "refresh_token": "r2"}), (400, {"error": "invalid_grant"})]
    asks = "from extproc.cli._credentials import person_token; print(person_token())"
    running = [subprocess.Popen([sys.executable, "-c", asks], stdout=subprocess.PIPE, text=True) for _ in range(3)]
    assert {process.communicate(timeout=60)[0] for process in running} == {f"{fresh}\n"}
    assert [form["refresh_token"] for path, form in fake.asked if path == "/token"] == ["r1"]
    assert json.loads(home.read_text())["refresh_token"] == "r2"


@pytest.mark.parametrize(
    ("mode", "text", "reason"),
    [
        (0o640, None, "others can read or change it"),
        (0o600, "{", "not a login that this version wrote"),
        (0o600, '{"version": 2}', "not a login that this version wrote"),
        (0o600, "[" * 100_000, "not a login that this version wrote"),
    ],
)
def test_a_file_that_is_no_login_of_ours_is_not_used(home: Path, mode: int, text: str | None, reason: str) -> None:
    """What others could have read or written proves nothing; `holdpoint logout` removes it."""
    credentials.write(stored("https://login.example.test", 300))
    if text is not None:
        home.write_text(text)
    os.chmod(home, mode)
    with pytest.raises(CommandError, match=reason):
        credentials.person_token()
    assert credentials.remove() is None
    assert not home.exists()
