"""`holdpoint login` against a real identity provider, as a person runs it."""

import asyncio
import json
import signal
import stat

import httpx
import jwt
import pytest

from extproc.adapters.identity import Approvers, Provider
from tests.support.idp import AGENTS, API_AUDIENCE, APPROVERS, OTHERS, Browser, Realm
from tests.support.idp_person import Person, device_address, finish, shown


async def verified(realm: Realm, token: str, audience: str = APPROVERS) -> tuple[str, ...]:
    """The groups of whom a token proves, as the gateway sees them."""
    person = await Approvers([Provider(realm.issuer, audience)], [AGENTS]).verify(token)
    return person.groups


def test_a_login_on_another_device(shared_realm: Realm, person: Person, page: Browser) -> None:
    """The code is shown, the person signs in elsewhere, and the token, which was not printed, is one that the gateway
    takes. Logging out ends it at the provider too."""
    process = person.login(shared_realm)
    page.sign_in(device_address(process), "alice")
    code, output, errors = finish(process)
    assert (code, output) == (0, ""), errors
    assert errors.endswith("logged in as alice\n")
    stored = json.loads(person.file.read_text())
    assert stored["token"] not in errors
    assert stat.S_IMODE(person.file.stat().st_mode) == 0o600
    assert stat.S_IMODE(person.file.parent.stat().st_mode) == 0o700
    assert set(asyncio.run(verified(shared_realm, stored["token"]))) == {"finance", "holdpoint-admins"}

    status, told, _ = person.run("login", "--status")
    assert (status, told.startswith(f"alice, {shared_realm.issuer}: the token ends in")) == (0, True)
    assert person.run("login", "--status", "--print-token")[1] == f"{stored['token']}\n"

    assert person.run("logout") == (0, "", "logged out alice\n")
    assert not person.file.exists()
    with pytest.raises(httpx.HTTPStatusError):
        shared_realm.token(grant_type="refresh_token", client_id=APPROVERS, refresh_token=stored["refresh_token"])
    assert person.run("login", "--status")[0] == 1


def test_a_login_that_is_refused(shared_realm: Realm, person: Person, page: Browser) -> None:
    """The person says no on the provider's page: no login, and what was there before stays."""
    process = person.login(shared_realm)
    page.sign_in(device_address(process), "alice", consent=False)
    assert finish(process) == (2, "", "Waiting; Ctrl-C ends this.\nthe login was refused in the browser\n")
    assert not person.file.exists()


def test_a_login_with_the_browser(shared_realm: Realm, person: Person, page: Browser) -> None:
    """The browser comes back to a port of the loopback with a code that only this command can use; what others send
    there does not count. Afterwards the port is closed."""
    process = person.login(shared_realm, "--browser", "--print-token")
    address = shown(process, r"Open (\S+)")
    asked = httpx.URL(address).params
    assert (asked["code_challenge_method"], asked["response_type"]) == ("S256", "code")
    back = asked["redirect_uri"]
    assert back.startswith("http://127.0.0.1:")
    for forged in ({"code": "x"}, {"code": "x", "state": "y"}, {"error": "access_denied", "state": ""}):
        assert httpx.get(back, params=forged).status_code == 400
    forged = {"code": "x", "state": asked["state"], "iss": "https://elsewhere.test"}
    assert httpx.get(back, params=forged).status_code == 400
    assert "You are logged in" in page.sign_in(address, "bob").text
    code, output, errors = finish(process)
    assert (code, errors.endswith("logged in as bob\n")) == (0, True), errors
    claims = jwt.decode(output.strip(), options={"verify_signature": False})
    assert (claims["preferred_username"], claims["nonce"]) == ("bob", asked["nonce"])
    with pytest.raises(httpx.TransportError):
        httpx.get(back)


def test_an_api_audience_takes_the_access_token(shared_realm: Realm, person: Person, page: Browser) -> None:
    """Where the approvers' audience is not the client itself, the access token is the one that is made out to it."""
    process = person.login(shared_realm, "--audience", API_AUDIENCE, client=OTHERS)
    page.sign_in(device_address(process), "alice")
    assert finish(process)[0] == 0
    claims = jwt.decode(json.loads(person.file.read_text())["token"], options={"verify_signature": False})
    assert (claims["aud"], claims["typ"]) == (API_AUDIENCE, "Bearer")


def test_a_token_for_somebody_else_is_not_kept(shared_realm: Realm, person: Person, page: Browser) -> None:
    """A provider that makes out no token to the approvers' audience is found out at the login, not at a vote."""
    process = person.login(shared_realm, "--audience", "holdpoint-elsewhere")
    page.sign_in(device_address(process), "alice")
    code, _, errors = finish(process)
    assert code == 2
    assert "is not for the audience holdpoint-elsewhere; let the provider add that audience" in errors
    assert not person.file.exists()


def test_a_login_is_renewed_until_the_provider_ends_it(realm: Realm, person: Person, page: Browser) -> None:
    """A token that is about to end is exchanged when a command needs one, and stored; once the provider has ended the
    session, the person is told to log in again."""
    realm.set_lifespan(20)  # less than what counts as about to end
    process = person.login(realm)
    page.sign_in(device_address(process), "alice")
    assert finish(process)[0] == 0
    first = json.loads(person.file.read_text())
    code, token, _ = person.run("login", "--status", "--print-token")
    assert (code, token.strip() != first["token"]) == (0, True)
    assert json.loads(person.file.read_text())["token"] == token.strip()
    assert stat.S_IMODE(person.file.stat().st_mode) == 0o600
    realm.end_sessions("alice")
    code, output, errors = person.run("login", "--status", "--print-token")
    assert (code, output) == (2, "")
    assert errors == "your login has ended at the provider: run `holdpoint login` again\n"


@pytest.mark.parametrize("way", [(), ("--browser",)])
def test_an_interrupted_login_leaves_nothing(shared_realm: Realm, person: Person, way: tuple[str, ...]) -> None:
    """Ctrl-C ends it at once, quietly, with nothing stored."""
    process = person.login(shared_realm, *way)
    shown(process, r"(Waiting)")
    process.send_signal(signal.SIGINT)
    assert finish(process) == (130, "", "")
    assert not person.file.exists()
