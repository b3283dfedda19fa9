"""The database's administrator, past the gateway: with psycopg of the agent's environment, but not as the agent.

The demo runs this as its own user. Reads {"where": of libpq's parameters, "statements": [[database, text, values or
null], ...]} from standard input; prints the rows of the last statement as a JSON list of objects.
"""

import json
import sys
from typing import Any

import psycopg
from psycopg.rows import dict_row


def run(where: dict[str, str], statements: list[list[Any]]) -> list[dict[str, Any]]:
    """Run them one after the other, each in a session of its own. Raises psycopg.Error."""
    rows: list[dict[str, Any]] = []
    for database, text, values in statements:
        with psycopg.connect(**where, dbname=database, autocommit=True, row_factory=dict_row) as connection:
            cursor = connection.execute(text, values)
            rows = cursor.fetchall() if cursor.description else []
    return rows


if __name__ == "__main__":
    given = json.load(sys.stdin)
    print(json.dumps(run(given["where"], given["statements"]), default=str))
