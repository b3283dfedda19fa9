"""What an agent that runs any code on its host would try. The demo runs this as the agent's user, with its Python.

The environment names what to try, as JSON in PROBE: {"read": [paths], "list": [paths], "connect": [unix sockets],
"fetch": [{"url", "token"}], "login": [{"address", "user", "dbname", "password"}]}. Prints a JSON list of {"what",
"held", "how"}: `held` is true when the way was shut.
"""

import json
import os
import socket
import urllib.error
import urllib.request
from collections.abc import Callable
from functools import partial
from typing import Any


def attempt(what: str, action: Callable[[], str]) -> dict[str, Any]:
    """Try one way in. An OSError means that it is shut."""
    try:
        return {"what": what, "held": False, "how": action()}
    except OSError as error:
        return {"what": what, "held": True, "how": error.strerror or str(error)}


def read(path: str) -> str:
    """Read a file."""
    with open(path, "rb") as file:
        return f"{len(file.read(1))} byte read"


def list_names(path: str) -> str:
    """List a directory."""
    return f"{len(os.listdir(path))} names"


def connect(path: str) -> str:
    """Connect to a unix socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.connect(path)
    return "connected"


def fetch(url: str, token: str) -> str:
    """GET with a bearer token. An answer of 401 or 403 comes as HTTPError, which is an OSError."""
    if not url.startswith("http://"):
        raise ValueError(f"{url}: expected an http address")
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})  # noqa: S310 - checked above
    with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310 - checked above
        return f"answered {response.status}"


def login(address: str, **words: str) -> str:
    """Log in to PostgreSQL."""
    import psycopg  # the agent's own; only who has a database tries

    host, _, port = address.rpartition(":")
    try:
        psycopg.connect(host=host, port=port, connect_timeout=10, **words).close()
    except psycopg.OperationalError as error:
        raise OSError(str(error)) from error
    return "logged in"


def main() -> None:
    """Try everything that PROBE names."""
    plan = json.loads(os.environ["PROBE"])
    results = [attempt(f"read {path}", partial(read, path)) for path in plan["read"]]
    results += [attempt(f"list {path}", partial(list_names, path)) for path in plan["list"]]
    results += [attempt(f"connect to {path}", partial(connect, path)) for path in plan["connect"]]
    for target in plan["fetch"]:
        results.append(attempt(f"GET {target['url']}", partial(fetch, target["url"], target["token"])))
    for place in plan["login"]:
        results.append(attempt(f"login at {place['address']} as {place['user']}", partial(login, **place)))
    print(json.dumps(results))


if __name__ == "__main__":
    main()
