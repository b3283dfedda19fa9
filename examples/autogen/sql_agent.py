"""A real AutoGen agent at a database behind Holdpoint: one tool that runs SQL, and a shell in which its scripts run.

Both are clients of PostgreSQL as they are, psycopg and psql. They take the usual variables, which here lead to the
gateway and not to the server:

    PGHOST, PGPORT   the gateway's `listen.postgres`
    PGDATABASE       the target's name, e.g. crm-db
    PGUSER           any name; who it is, the token says
    PGPASSWORD       the agent's own token; the server's password stays with the gateway
    AGENT_FOLDER     where its scripts run and leave their files (default: scripts)

The others are those of agent.py. Run it from the folder above, with the packages of requirements.txt:
`python -m autogen.sql_agent`. Exit codes are those of agent.py, too.
"""

import json
import os
import warnings
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
from autogen_agentchat.agents import AssistantAgent, CodeExecutorAgent
from autogen_agentchat.teams import RoundRobinGroupChat
from autogen_ext.code_executors.local import LocalCommandLineCodeExecutor
from psycopg.rows import dict_row

from .agent import MAX_MODEL_TURNS, Line, Note, listen, main, model_client, start_telemetry

NEEDED = ("OPENAI_BASE_URL", "OPENAI_API_KEY", "PGHOST", "PGPORT", "PGDATABASE", "PGPASSWORD", "AGENT_TASK")
SHELL = "shell"
SCRIPT_SECONDS = 60
TURNS = 3  # the analyst works and writes a script, the shell runs it, the analyst reports

SYSTEM = (
    "You look after the customer database. Use your tool for single statements; for anything longer write a "
    "shell script in a ```sh block, which is run for you: psql needs no arguments. When a statement is refused, do not "
    "run it again: say why, and go on with the rest."
)


class Database:
    """The database, as the agent's tool sees it: one session, opened with the first statement."""

    def __init__(self, note: Note) -> None:
        self._note = note
        self._connection: Any = None

    async def run_sql(self, statement: str) -> str:
        """Run one SQL statement. The answer is its rows as JSON, or why it was refused."""
        if self._connection is None or self._connection.closed:
            self._connection = await psycopg.AsyncConnection.connect(autocommit=True, row_factory=dict_row)
            self._connection.add_notice_handler(self._notice)
        try:
            cursor = await self._connection.execute(statement)
            rows = await cursor.fetchall() if cursor.description else []
        except psycopg.Error as error:
            return told(error.diag) or f"{type(error).__name__}: {error}"
        return f"{cursor.statusmessage}\n{json.dumps(rows, ensure_ascii=False, default=str)}"

    async def close(self) -> None:
        """End the session."""
        if self._connection is not None:
            await self._connection.close()

    def _notice(self, diag: Any) -> None:
        # It comes while the statement waits, long before its answer.
        self._note({"kind": "notice", "at": datetime.now(UTC).isoformat(), "content": told(diag)})


def told(diag: Any) -> str:
    """An error or a notice, as psql shows it and a model can read it; empty where the server said nothing."""
    if not diag.sqlstate:
        return ""
    lines = [f"{diag.severity} {diag.sqlstate}: {diag.message_primary}"]
    lines += [f"DETAIL: {diag.message_detail}"] if diag.message_detail else []
    lines += [f"HINT: {diag.message_hint}"] if diag.message_hint else []
    return "\n".join(lines)


async def work(task: str, note: Note) -> int:
    """Let the two do `task`; `note` gets every line of the transcript. Returns the number of streamed chunks."""
    tracer, model, database = start_telemetry(), model_client(), Database(note)
    # AutoGen warns of whoever runs a model's code on his own machine, unread. Here the gateway is what stands between.
    warnings.filterwarnings("ignore", category=UserWarning, module=__name__)
    executor = LocalCommandLineCodeExecutor(SCRIPT_SECONDS, Path(os.environ.get("AGENT_FOLDER", "scripts")))
    analyst = AssistantAgent(
        "analyst",
        model,
        tools=[database.run_sql],
        system_message=SYSTEM,
        model_client_stream=True,
        max_tool_iterations=MAX_MODEL_TURNS,
    )
    team = RoundRobinGroupChat([analyst, CodeExecutorAgent(SHELL, executor, sources=["analyst"])], max_turns=TURNS)

    def take_down(line: Line) -> None:
        note(line | {"kind": "output"} if line.get("source") == SHELL else line)

    try:
        with tracer.start_as_current_span("database run") as span:
            note({"kind": "trace", "trace_id": f"{span.get_span_context().trace_id:032x}"})
            return await listen(team.run_stream(task=task), take_down)
    finally:
        await database.close()
        await model.close()


if __name__ == "__main__":
    raise SystemExit(main(work, NEEDED))
