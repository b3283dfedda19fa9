"""The demo's actions with httpx: read (masked), refund (held, asked again until it is answered), delete (blocked).

    GATEWAY=http://127.0.0.1:8080 TOKEN=... python examples/clients/with_httpx.py

TOKEN is the agent's own token; `make demo KEEP=1` prints one. This client does not wait on an open connection: it asks
with `Prefer: respond-async`, is answered 202 at once, and sends the same request again until somebody has decided.
"""

import os
import time

import httpx

MOST_ATTEMPTS = 40
PAUSE_SECONDS = 3.0


def show(title: str, response: httpx.Response) -> None:
    """Print one answer."""
    print(f"{title}: HTTP {response.status_code}\n  {response.text}\n", flush=True)


def refund(client: httpx.Client) -> httpx.Response:
    """Ask for a refund until it is no longer pending. An approval is for exactly this request, and is used once."""
    body = {"amount": 18.0, "reason": "broken on arrival"}
    headers = {"Prefer": "respond-async"}
    response = client.post("customers/1042/refunds", json=body, headers=headers)
    if response.status_code == httpx.codes.ACCEPTED:
        show("The refund is held; approve it with `holdpoint holds approve`", response)
    for _ in range(MOST_ATTEMPTS):
        if response.status_code != httpx.codes.ACCEPTED:
            break
        time.sleep(PAUSE_SECONDS)
        response = client.post("customers/1042/refunds", json=body, headers=headers)
    return response


def main() -> None:
    """Read, refund, delete."""
    base = os.environ["GATEWAY"].rstrip("/") + "/crm/"
    headers = {"Authorization": f"Bearer {os.environ['TOKEN']}"}
    with httpx.Client(base_url=base, headers=headers, timeout=30.0) as client:
        show("Reading a customer", client.get("customers/1042"))
        show("The refund", refund(client))
        show("Deleting all customers", client.delete("customers"))


if __name__ == "__main__":
    main()
