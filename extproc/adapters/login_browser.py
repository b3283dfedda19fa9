"""Logging in with the browser of this machine: authorization code with PKCE (RFC 7636) and a loopback redirect
(RFC 8252, 7.3)."""

import asyncio
import hmac
import secrets
from collections.abc import Callable
from urllib.parse import urlencode

from aiohttp import web

from extproc.adapters.login import Login, LoginFailed, Provider, pkce

WAIT_SECONDS = 300.0
PATH = "/callback"
_PAGE = "<!doctype html><title>holdpoint</title><p>{}</p><p>You can close this page.</p>"


async def browser(provider: Provider, show: Callable[[str], None], wait: float = WAIT_SECONDS) -> Login:
    """Log in: `show` gets the address to open; the provider sends the browser back to a port of the loopback, which is
    open for this one login and at most `wait` seconds. Raises LoginFailed."""
    address = provider.endpoint("authorization_endpoint", "offers no login with a browser")
    state, nonce = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
    verifier, challenge = pkce()
    back: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def returned(request: web.Request) -> web.Response:
        told = request.query
        if not hmac.compare_digest(told.get("state", "").encode(), state.encode()):
            # Not the answer to our question. Anybody here can send such a thing, and it must not end the login.
            return _page("This does not belong to the login that is under way.", 400)
        if provider.says_issuer() and told.get("iss") != provider.client.issuer:
            return _page("This is the answer of another provider.", 400)
        if back.done():
            return _page("This login is over.", 400)
        if (code := told.get("code")) and "error" not in told:
            back.set_result(code)
            return _page("You are logged in, as soon as the terminal says so.")
        error = told.get("error", "no code")
        words = "the login was refused in the browser" if error == "access_denied" else f"the provider refused: {error}"
        back.set_exception(LoginFailed(words, error))
        return _page("The login failed; the terminal says why.")

    application = web.Application()
    application.router.add_get(PATH, returned)
    runner = web.AppRunner(application, access_log=None, handle_signals=False)
    await runner.setup()
    try:
        # The number, not the name: `localhost` can mean another address than ours (RFC 8252, 8.3).
        await web.TCPSite(runner, "127.0.0.1", 0, shutdown_timeout=1.0).start()
        redirect = f"http://127.0.0.1:{runner.addresses[0][1]}{PATH}"
        words = (
            provider.client.asked()
            | challenge
            | {
                "response_type": "code",
                "redirect_uri": redirect,
                "state": state,
                "nonce": nonce,
            }
        )
        show(f"{address}{'&' if '?' in address else '?'}{urlencode(words)}")
        try:
            async with asyncio.timeout(wait):
                code = await back
        except TimeoutError:
            raise LoginFailed(f"nobody logged in within {wait:.0f} seconds; start again") from None
    finally:
        await runner.cleanup()
    words = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": redirect,
        "code_verifier": verifier,
        "client_id": provider.client.client_id,
    }
    return await provider.token(words, nonce)


def _page(text: str, status: int = 200) -> web.Response:
    headers = {
        "Cache-Control": "no-store",
        "Referrer-Policy": "no-referrer",
        "Content-Security-Policy": "default-src 'none'",
    }
    return web.Response(text=_PAGE.format(text), content_type="text/html", status=status, headers=headers)
