"""What is to be seen of the agent's work at the database, from each side of the gateway."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from examples.demo.agent_run import Vote
from examples.demo.checks import object_of
from examples.demo.database import Found
from examples.demo.holdings import Holdings

Rows = Sequence[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Seen:
    """What the claims are checked against.

    transcript: the agent's lines; model_server: what reached it; rows: what `audit list` has of the agent and the
    database, oldest first; found: the server, afterwards; vote: who approved; copy: the file that the agent's script
    made; holdings: the agent's, while it waited and when it was done; script: whether it had a psql for its script;
    spans: the tags of Jaeger's spans of the database, None without Jaeger.
    """

    transcript: Rows
    model_server: Rows
    rows: Rows
    found: Found
    vote: Vote | None
    copy: str
    holdings: Sequence[Holdings]
    script: bool
    spans: Sequence[Mapping[str, str]] | None

    def answer(self, statement: str) -> str:
        """What the agent's tool answered to a statement; empty when it was not run."""
        calls = [call for line in self.transcript if line["kind"] == "calls" for call in line["calls"]]
        ids = [call["id"] for call in calls if object_of(call["arguments"]).get("statement") == statement]
        results = [one for line in self.transcript if line["kind"] == "results" for one in line["results"]]
        return next((str(one["content"]) for one in results if one["id"] in ids), "")

    @property
    def output(self) -> str:
        """What the agent's script printed."""
        return "\n".join(str(line["content"]) for line in self.transcript if line["kind"] == "output")

    def decisions(self, text: str) -> Rows:
        """The journal's on a text, whatever surrounds it there."""
        return [row for row in self.rows if same(text) in same(str(summary_of(row).get("statement", "")))]

    def ran(self, text: str) -> int:
        """How many times the server got a text."""
        return sum(same(text) in same(one) for one in self.found.ran)


def same(statement: str) -> str:
    """A statement, to compare: PostgreSQL's clients put spaces and semicolons of their own."""
    return " ".join(statement.split()).rstrip("; ").lower()


def rows_of(answer: str) -> list[dict[str, Any]]:
    """The rows in an answer of the tool's; none where it is none."""
    try:
        rows = json.loads(answer.partition("\n")[2])
    except ValueError:
        return []
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def summary_of(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """What the journal has of the statement itself."""
    summary = row["action"].get("summary")
    return summary if isinstance(summary, dict) else {}


def effect_of(row: Mapping[str, Any]) -> str:
    """What was decided."""
    return str(row.get("decision", {}).get("effect"))


def id_of(row: Mapping[str, Any]) -> str:
    """The decision's id."""
    return str(row.get("decision", {}).get("id"))


def blocked_by(row: Mapping[str, Any]) -> list[str]:
    """The policies that blocked it."""
    reasons = row["decision"]["reasons"]
    return [str(one["policy"]) for one in reasons if one["effect"] == "block" and one["mode"] == "enforce"]
