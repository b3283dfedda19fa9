"""Getting a person's token from an OpenID provider: discovery, the device grant (RFC 8628), refreshing, revoking.

The browser's way is in login_browser. Tokens come straight from the provider's token endpoint over a connection that
nobody can tamper with, so nothing is verified here (OpenID Connect Core, 3.1.3.7): the gateway does that, each time.
"""

import asyncio
import hashlib
import json
import secrets
import ssl
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import aiohttp
import jwt

from extproc.adapters.identity.discovery import WELL_KNOWN, trustworthy

MAX_BYTES = 1 << 20
ANSWER_SECONDS = 15.0
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
# RFC 8628, 3.2 and 3.5: the pause where the provider names none, and what "slow_down" adds to it.
POLL_SECONDS = 5.0
SLOWER_SECONDS = 5.0
# The longest pause that a provider may ask for, and the longest that a code may last.
MAX_POLL_SECONDS = 60.0
MAX_CODE_SECONDS = 1800.0

Document = dict[str, Any]


class LoginFailed(Exception):
    """There is no token. The message is for people and quotes no credential. `code` is the provider's own word for it
    (RFC 6749, 5.2), or empty: it was not the provider that refused."""

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Client:
    """What `holdpoint login` is to a provider: a public client. `audience` is the approvers', as the gateway asks for
    it; `ca` is a PEM file that replaces the system's roots."""

    issuer: str
    client_id: str
    audience: str
    scopes: tuple[str, ...] = ("openid",)
    ca: Path | None = None

    def asked(self) -> dict[str, str]:
        """What both ways of logging in ask for."""
        words = {"client_id": self.client_id, "scope": " ".join(self.scopes)}
        # Not a standard's, but some providers issue a token for an API only when it is named so. Others ignore it.
        return words if self.audience == self.client_id else words | {"audience": self.audience}


@dataclass(frozen=True, slots=True)
class Login:
    """What a login gave. `token` is what the gateway is shown, `expires_at` its end in seconds since the epoch."""

    token: str = field(repr=False)
    expires_at: float
    refresh_token: str | None = field(default=None, repr=False)
    name: str = ""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a person has to do in the device grant: open `address` and enter `code` there. `complete` is an address with
    the code in it, or None."""

    address: str
    code: str
    complete: str | None


class Provider:
    """One provider, reached over one session. For `async with`."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self._endpoints: Document = {}

    async def __aenter__(self) -> Self:
        """Finds the endpoints. Raises LoginFailed."""
        if not trustworthy(self.client.issuer):
            raise LoginFailed(
                f"the issuer {self.client.issuer} is not an https address (or an http one of this machine)"
            )
        trust: ssl.SSLContext | bool = True
        try:
            if self.client.ca is not None:
                trust = await asyncio.to_thread(ssl.create_default_context, cafile=str(self.client.ca))
        except OSError as error:
            raise LoginFailed(f"{self.client.ca}: no certificate authorities: {error}") from None
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=trust),
            headers={"Accept": "application/json", "Accept-Encoding": "identity"},
            timeout=aiohttp.ClientTimeout(total=ANSWER_SECONDS),
            auto_decompress=False,
        )
        try:
            status, document = await self._call("GET", self.client.issuer.removesuffix("/") + WELL_KNOWN)
            if status != 200 or document.get("issuer") != self.client.issuer:
                raise LoginFailed(
                    f"{self.client.issuer} has no discovery document of its own; expected its address letter for letter"
                )
            self._endpoints = document
        except BaseException:
            await self._session.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    def endpoint(self, name: str, missing: str) -> str:
        """An endpoint's address; raises LoginFailed with `missing` where the provider has none that can be trusted."""
        address = self._endpoints.get(name)
        if not isinstance(address, str):
            raise LoginFailed(f"{self.client.issuer} {missing}")
        # One that is found over https does not lead back to http.
        if not trustworthy(address) or (self.client.issuer.startswith("https:") and not address.startswith("https:")):
            raise LoginFailed(f"{self.client.issuer} names a {name} that is not an https address")
        return address

    def says_issuer(self) -> bool:
        """Whether the provider names itself when it sends a browser back (RFC 9207)."""
        return self._endpoints.get("authorization_response_iss_parameter_supported") is True

    async def device(self, show: Callable[[Asked], None], pause: Callable[[float], Any] = asyncio.sleep) -> Login:
        """Log in on any device with a browser: `show` says where and with which code; then the provider is asked until
        it answers. Raises LoginFailed."""
        address = self.endpoint("device_authorization_endpoint", "offers no device login; try --browser")
        # RFC 8628 knows no PKCE, but Keycloak demands it here too of clients that have to use it. Others ignore it.
        verifier, challenge = pkce()
        status, started = await self._call("POST", address, self.client.asked() | challenge)
        if status != 200:
            raise _refusal("the provider starts no device login", status, started)
        code, seconds, interval, asked = _device(started)
        show(asked)
        words = {
            "grant_type": DEVICE_GRANT,
            "device_code": code,
            "client_id": self.client.client_id,
            "code_verifier": verifier,
        }
        clock = asyncio.get_running_loop().time
        end = clock() + seconds
        while clock() + interval < end:
            await pause(interval)
            try:
                return await self.token(words)
            except LoginFailed as failed:
                match failed.code:
                    case "authorization_pending":
                        pass
                    case "slow_down":
                        interval += SLOWER_SECONDS
                    case "unreachable":
                        # RFC 8628, 3.5: back off exponentially from a provider that does not answer.
                        interval = min(interval * 2, MAX_POLL_SECONDS)
                    case "access_denied":
                        raise LoginFailed("the login was refused in the browser", failed.code) from None
                    case "expired_token":
                        break
                    case _:
                        raise
        raise LoginFailed("nobody logged in before the code expired; start again", "expired_token")

    async def refresh(self, refresh_token: str) -> Login:
        """A new login from an old one's refresh token. Raises LoginFailed, with code `invalid_grant` where that has
        ended."""
        words = {"grant_type": "refresh_token", "refresh_token": refresh_token, "client_id": self.client.client_id}
        login = await self.token(words)
        if login.refresh_token is not None:
            return login
        # RFC 6749, 6: without a new one the old one stays good.
        return Login(login.token, login.expires_at, refresh_token, login.name)

    async def revoke(self, refresh_token: str) -> None:
        """End a refresh token at the provider (RFC 7009). Raises LoginFailed."""
        address = self.endpoint("revocation_endpoint", "can't end a login early")
        words = {"token": refresh_token, "token_type_hint": "refresh_token", "client_id": self.client.client_id}
        status, answer = await self._call("POST", address, words, empty=True)
        if status != 200:
            raise _refusal("the provider did not end the login", status, answer)

    async def token(self, words: Mapping[str, str], nonce: str | None = None) -> Login:
        """Ask the token endpoint. `nonce` has to come back in the ID token. Raises LoginFailed."""
        address = self.endpoint("token_endpoint", "gives no tokens")
        status, answer = await self._call("POST", address, words)
        if status != 200:
            raise _refusal("the provider gives no token", status, answer)
        return _chosen(self.client, answer, nonce)

    async def _call(
        self, method: str, address: str, words: Mapping[str, str] | None = None, *, empty: bool = False
    ) -> tuple[int, Document]:
        """Status and document of an answer; `empty` where a good one has none. Redirects are not followed: what is sent
        goes to the address that discovery named, or nowhere."""
        try:
            async with self._session.request(method, address, data=words, allow_redirects=False) as response:
                body = bytearray()
                async for chunk in response.content.iter_any():
                    body += chunk
                    if len(body) > MAX_BYTES:
                        raise LoginFailed(f"{address} answered more than {MAX_BYTES} bytes")
                status = response.status
        except TimeoutError:
            raise LoginFailed(f"{address} did not answer within {ANSWER_SECONDS:.0f} seconds", "unreachable") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise LoginFailed(f"{address} can't be reached: {error}", "unreachable") from None
        if status >= 500:
            raise LoginFailed(f"{address} answered {status}", "unreachable")
        if empty and status == 200:
            return status, {}
        try:
            document = json.loads(bytes(body))
        except (ValueError, RecursionError):
            document = None
        if not isinstance(document, dict):
            raise LoginFailed(f"{address} answered {status} with something that is not a JSON object")
        return status, document


def pkce() -> tuple[str, dict[str, str]]:
    """A secret that only the token endpoint is shown, and what is said of it beforehand (RFC 7636)."""
    verifier = secrets.token_urlsafe(32)
    challenge = urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    return verifier, {"code_challenge": challenge, "code_challenge_method": "S256"}


def _device(answer: Document) -> tuple[str, float, float, Asked]:
    """Device code, its life, the pause between questions, and what to show; of an answer of RFC 8628, 3.2."""
    code, user_code, address = (answer.get(n) for n in ("device_code", "user_code", "verification_uri"))
    if not (isinstance(code, str) and isinstance(user_code, str) and isinstance(address, str)):
        raise LoginFailed("the provider's answer has no device_code, user_code or verification_uri")
    complete = answer.get("verification_uri_complete")
    if not trustworthy(address) or (complete is not None and not (isinstance(complete, str) and trustworthy(complete))):
        raise LoginFailed("the provider sends people to an address that is not https")
    seconds, interval = _seconds(answer.get("expires_in")), _seconds(answer.get("interval", POLL_SECONDS))
    if seconds is None or interval is None:
        raise LoginFailed("the provider's answer has no expires_in, or an interval that is not a number of seconds")
    return code, min(seconds, MAX_CODE_SECONDS), min(interval, MAX_POLL_SECONDS), Asked(address, user_code, complete)


def _seconds(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) and value > 0 else None


def _chosen(client: Client, answer: Document, nonce: str | None) -> Login:
    """The token to show the gateway, which takes those that are made out to the approvers' audience.

    Where the audience is the client itself that is the ID token, which every provider makes out to the client. Where it
    is something else, an API that the provider knows, only an access token can be made out to it.
    """
    is_id = client.audience == client.client_id
    kind = "id_token" if is_id else "access_token"
    token = answer.get(kind)
    if not isinstance(token, str):
        hint = " (is openid among the scopes?)" if is_id else ""
        raise LoginFailed(f"the provider gave no {kind}{hint}")
    claims = _claims(token)
    if claims is None:
        raise LoginFailed(
            f"the provider's {kind} is not a JSON Web Token, which is what the gateway reads; "
            f"with audience {client.client_id}, the client's own, it is shown the ID token"
        )
    named = claims.get("aud")
    if client.audience not in (named if isinstance(named, list) else [named]):
        raise LoginFailed(
            f"the provider's {kind} is not for the audience {client.audience}; let the provider add that audience, "
            f"or set the approvers' audience to the client's id, {client.client_id}"
        )
    expires = _seconds(claims.get("exp"))
    if expires is None:
        raise LoginFailed(f"the provider's {kind} never ends (exp), which the gateway does not take")
    identity = _claims(answer.get("id_token"))
    if nonce is not None and identity is not None and identity.get("nonce") != nonce:
        raise LoginFailed("the provider's ID token answers another login (nonce)")
    refresh = answer.get("refresh_token")
    about = identity or claims
    name = next((v for n in ("preferred_username", "email", "sub") if isinstance(v := about.get(n), str) and v), "")
    return Login(token, expires, refresh if isinstance(refresh, str) else None, name)


def _claims(token: Any) -> Document | None:
    """Claims, unproven, to see what the gateway will see; None where there are none."""
    try:
        claims: Document = jwt.decode(token, options={"verify_signature": False})
    except (jwt.PyJWTError, ValueError, RecursionError):
        return None
    return claims


def _refusal(what: str, status: int, answer: Document) -> LoginFailed:
    code, words = answer.get("error"), answer.get("error_description")
    code = code if isinstance(code, str) else ""
    said = f": {words}" if isinstance(words, str) and words else ""
    return LoginFailed(f"{what}: {code or f'status {status}'}{said}", code)
