"""HTTP exactly as told: to a given address, from a given one, with any request target.

The demo runs this as the agent's user, with its Python. CALLS in the environment is a JSON list of objects with to,
source, method, target, headers and body. `to` is host:port; `source` the address to send from (null: any); `target`
what stands in the request line: a path, a whole address for a proxy, or host:port for CONNECT. Prints a JSON list of
{"status", "body"}, with status 0 where no answer came.
"""

import http.client
import json
import os
from typing import Any

SECONDS = 15.0
MOST_BYTES = 65536


def call(given: dict[str, Any]) -> dict[str, Any]:
    """Make one call, on a connection of its own."""
    source = (given["source"], 0) if given["source"] else None
    connection = http.client.HTTPConnection(given["to"], timeout=SECONDS, source_address=source)
    try:
        connection.request(given["method"], given["target"], given["body"], given["headers"])
        response = connection.getresponse()
        return {"status": response.status, "body": response.read(MOST_BYTES).decode("utf-8", "replace")}
    except (OSError, http.client.HTTPException) as error:
        return {"status": 0, "body": str(error) or type(error).__name__}
    finally:
        connection.close()


if __name__ == "__main__":
    print(json.dumps([call(given) for given in json.loads(os.environ["CALLS"])]))
