"""psql doing tests/support/sql_work.py's work: a script for each case, and what it prints read back."""

import re
import signal
import subprocess
import threading
from collections.abc import Mapping

from tests.support.postgres_binaries import clean_environment, literal, program
from tests.support.sql_work import Result, Step, large

MARK, FIELD, RECORD, NULL = "\x1c", "\x1f", "\x1e", "\x1d"
SECONDS = 60.0
TAG = re.compile(r"[A-Z]+(?: [A-Z]+)*(?: (\d+))*\n")
END = re.compile(rf"{RECORD}\((\d+) rows?\)\n")
NOTIFIED = re.compile(r'Asynchronous notification "(.*?)" with payload "(.*)" received')
# With VERBOSITY verbose: PostgreSQL's documentation of psql and, of the fields, "Error and Notice Message Fields".
NOTICE = re.compile(r"(NOTICE|WARNING):  \w{5}: (.*)")
ERROR = re.compile(r"ERROR:  (\w{5}): (.*)")
MORE = re.compile(r"^(DETAIL|HINT):  (.*)", re.MULTILINE)


def run(dsn: str, cases: Mapping[str, list[Step]]) -> dict[str, list[Result]]:
    """What comes of each case, each in a psql of its own."""
    return {name: _run(dsn, steps) for name, steps in cases.items()}


def _run(dsn: str, steps: list[Step]) -> list[Result]:
    marks = f"\\echo {MARK}\n\\warn {MARK}\n"
    script = "\\set VERBOSITY verbose\n" + "".join(f"{_written(step)}\n{marks}" for step in steps)
    layout = ["-A", "-F", FIELD, "-R", RECORD, "-P", f"null={NULL}", "-P", "footer=on"]
    with subprocess.Popen(
        [program("psql"), "-X", *layout, "-d", dsn, "-f", "-"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=clean_environment(),
    ) as psql:
        assert psql.stderr is not None
        complaints: list[str] = []
        interrupt = any(step["do"] == "cancel" for step in steps)

        def listen() -> None:
            assert psql.stderr is not None
            for line in psql.stderr:
                complaints.append(line.decode())
                if interrupt and b"NOTICE" in line:
                    psql.send_signal(signal.SIGINT)

        reader = threading.Thread(target=listen)
        reader.start()
        try:
            assert psql.stdin is not None
            assert psql.stdout is not None
            threading.Thread(target=_write, args=(psql, script.encode()), daemon=True).start()
            printed = psql.stdout.read().decode()
            psql.wait(SECONDS)
        finally:
            psql.kill()
            reader.join()
    out, said = printed.split(f"{MARK}\n"), "".join(complaints).split(f"{MARK}\n")
    found = [_read(step, text, words) for step, text, words in zip(steps, out, said, strict=False)]
    # What follows the last mark follows the last step, unless psql ended before.
    if psql.returncode and len(found) == len(steps) and not interrupt:
        found[-1] = {"broken": "".join(complaints)}
    return found


def _write(psql: "subprocess.Popen[bytes]", script: bytes) -> None:
    assert psql.stdin is not None
    try:
        psql.stdin.write(script)
        psql.stdin.close()
    except OSError:  # it ended without reading all: seen by what it printed
        return


def _written(step: Step) -> str:
    """The step as psql's script."""
    match step["do"]:
        case "query" | "notices" | "cancel" | "large":
            # Several statements go in one message only when it is said so.
            body: str = step["sql"]
            return (body if "$$" in body else body.replace("; ", r" \; ")) + ";"
        case "copy_in":
            return f"{step['sql']};\n{step['data']}\\."
        case "copy_out":
            return f"{step['sql']};"
        case "cursor":
            return f"\\set FETCH_COUNT {step['size']}\n{step['sql']};\n\\set FETCH_COUNT 0"
        case "listen":
            words = ", ".join(literal(step[word]) for word in ("channel", "payload"))
            return f'LISTEN "{step["channel"]}";\nSELECT pg_notify({words});'
    raise NotImplementedError(step["do"])


def _read(step: Step, printed: str, said: str) -> Result:
    """What psql printed and complained about for one step."""
    if refused := ERROR.search(said):
        more = dict(MORE.findall(said))
        code, message = refused.groups()
        return {"error": {"code": code, "message": message, "detail": more.get("DETAIL"), "hint": more.get("HINT")}}
    match step["do"]:
        case "copy_out":
            return {"data": printed}
        case "notices":
            return {"notices": [list(found) for found in NOTICE.findall(said)]}
        case "listen":
            return {"notifications": [list(found) for found in NOTIFIED.findall(printed)]}
    found: list[Result] = []
    at = 0
    while at < len(printed):
        if tag := TAG.match(printed, at):
            found.append({"count": int(tag.group(1) or 0)})
            at = tag.end()
        elif end := END.search(printed, at):
            lines = [line.split(FIELD) for line in printed[at : end.start()].split(RECORD)]
            body = [[None if value == NULL else value for value in line] for line in lines[1:]]
            assert len(body) == int(end.group(1)), printed[at : at + 1000]
            found.append({"columns": lines[0], "rows": body})
            at = end.end()
        else:
            return {"broken": printed[at:] + said}
    if step["do"] in ("large", "cursor"):
        return large([str(row[0]) for row in found[0]["rows"]])
    return found[0] if len(found) == 1 else {"results": found}
