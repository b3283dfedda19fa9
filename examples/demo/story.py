"""The demo's story: start everything, watch the agent and those beside it, show the trail, check the claims."""

import time
from dataclasses import replace
from typing import Any

from examples.demo import auditor
from examples.demo.agent_run import AgentRun, Vote, database_work, refund
from examples.demo.agent_runtime import Runtime, other_user, prepare
from examples.demo.checks import Evidence, run_checks
from examples.demo.checks_database import TAGS, database_checks
from examples.demo.checks_outside import COPIED, UNEXPECTED
from examples.demo.checks_paperwork import paperwork_checks
from examples.demo.checks_trail import trail_checks
from examples.demo.database import INSTALL, Database, installed
from examples.demo.evidence import database_seen, in_jaeger, silence, strangers, try_ways_in
from examples.demo.gateway import (
    JAEGER_LIMIT_SECONDS,
    OPA_LIMIT_SECONDS,
    POSTGRES_LIMIT_SECONDS,
    Gateway,
    ToolFetch,
    command,
    free_addresses,
    start_upstream,
)
from examples.demo.holdings import Holdings, look
from examples.demo.jaeger import has_pages, start_jaeger
from examples.demo.outside import Names, take_data_out
from examples.demo.paperwork import do_paperwork
from examples.demo.people import AGENT_SUBJECT
from examples.demo.processes import DemoFailed, Processes
from examples.demo.seen import Seen
from examples.demo.stolen import ELSEWHERE, Theft, elsewhere_exists
from examples.demo.summary import check_lines, isolation_lines, keep_lines, trail_lines
from examples.demo.upstream import read_log
from examples.demo.workplace import Addresses, Workplace

Rows = list[dict[str, Any]]


class Teller:
    """Prints progress: the seconds since the start, and a sentence."""

    def __init__(self) -> None:
        self._start = time.monotonic()

    def __call__(self, sentence: str) -> None:
        print(f"[{time.monotonic() - self._start:5.1f} s] {sentence}", flush=True)


class Story:
    """One run of the demo. `play` tells it; what it starts belongs to `processes`."""

    def __init__(self, processes: Processes, place: Workplace, say: Teller) -> None:
        self._processes = processes
        self._place = place
        self._say = say
        self._database: Database | None = None

    def play(self, keep: bool) -> bool:
        """Tell the whole story; whether every claim held. With `keep`, stays until a signal. Raises DemoFailed."""
        with Names() as names:
            return self._play(keep, names)

    def _play(self, keep: bool, names: Names) -> bool:
        runtime, gateway = self._start(names.address)
        shut = try_ways_in(self._place, runtime, gateway, self._database)
        theft = self._begin_job(runtime, gateway)
        self._say("the agent starts; this is its own account:")
        errand = refund(self._place, gateway.at.listen)
        vote = AgentRun(self._processes, gateway, self._say, errand).play(runtime)
        run = [row for row in gateway.trail() if row["principal"]["subject"] == AGENT_SUBJECT]
        ids = {row["decision"]["id"] for row in run}
        seen = self._evidence(vote)
        database, work = self._at_the_database(runtime, gateway, ids)
        self._say("the agent does its paperwork: what was sent on each way, and → what came")
        paperwork = do_paperwork(self._place, runtime, gateway)
        self._say("beside the agent, somebody with its token asks the proxy for places that nobody configured")
        outside = take_data_out(self._place, runtime, gateway, names)
        stolen = None
        if theft is not None:
            self._say("the job's token is used from another network, and the operator hears of it")
            stolen = theft.go_on()
        self._say("an auditor, who was not there, looks for the refund")
        audit = auditor.audit(gateway, run)
        print()
        ids |= {row["decision"]["id"] for row in work}
        others = [row for row in gateway.trail() if row["decision"]["id"] not in ids]
        lines = trail_lines(run, gateway.at.jaeger is not None)
        lines += ["", "at the database:", *trail_lines(work, gateway.at.jaeger is not None)] if work else []
        lines += ["", "and beside the agent:", *trail_lines(others, False), *jaeger_lines(gateway.at.jaeger)]
        for line in lines:
            print(line)
        print()
        checks = run_checks(seen)
        if gateway.at.jaeger is not None:
            checks.append(in_jaeger(self._place, run, gateway.at.jaeger))
        checks += [] if database is None else database_checks(database)
        checks += paperwork_checks(paperwork)
        checks += strangers(self._place, outside, stolen, gateway.at.jaeger)
        checks += trail_checks(audit)
        checks.append(silence(self._place, [] if stolen is None else stolen.tokens, gateway.at.jaeger))
        for line in [*check_lines(checks), *isolation_lines(shut, runtime.owner is not None)]:
            print(line)
        good = all(check.true for check in checks) and (runtime.owner is None or all(one["held"] for one in shut))
        print(flush=True)
        if keep:
            self._stay(gateway)
        return good

    def _start(self, names: str) -> tuple[Runtime, Gateway]:
        place, say, processes = self._place, self._say, self._processes
        opa_fetch, jaeger_fetch = ToolFetch(processes, place, "opa"), ToolFetch(processes, place, "jaeger")
        binaries = installed()
        postgres_fetch = None if binaries else ToolFetch(processes, place, "postgres")
        addresses = [start_upstream(processes, place, name) for name in ("customer_api", "model_server")]
        owner = other_user()
        who = f"user {owner.uid}, which shares nothing with the gateway" if owner else "the same user as the gateway"
        say(f"the agent will run as {who}")
        runtime = prepare(owner, say)
        opa = opa_fetch.path(OPA_LIMIT_SECONDS, say)
        if opa is None:
            raise DemoFailed(
                f"OPA is missing and could not be made; `make tools` tries again. It said:\n{opa_fetch.tail()}"
            )
        jaeger = jaeger_fetch.path(JAEGER_LIMIT_SECONDS, say)
        if jaeger is None:
            say(f"going on without Jaeger: {jaeger_fetch.why()}")
            say("`make jaeger` gets it, however long it takes")
        if postgres_fetch is not None and (found := postgres_fetch.path(POSTGRES_LIMIT_SECONDS, say)) is not None:
            binaries = found.parent
        if binaries is not None:
            say(f"starting PostgreSQL ({binaries})")
            self._database = Database(processes, place, binaries)
            self._database.start(runtime)
        elif postgres_fetch is not None:
            say(f"going on without PostgreSQL: {postgres_fetch.why()}")
            say(INSTALL)
        receiver, pages = None, None
        if jaeger is not None:
            say("starting Jaeger")
            receiver, pages = start_jaeger(processes, place, jaeger)
        customer_api, model_server = (address() for address in addresses)
        listen, ops, proxy, sql = free_addresses(4)
        say(f"starting the gateway on {listen}")
        at = Addresses(listen, ops, proxy, customer_api, model_server, names, receiver, pages)
        if self._database is not None:
            at = replace(at, database=self._database.address, sql=sql)
        gateway = Gateway(processes, place, at, opa)
        auditor.meet(place)
        say("the gateway is ready")
        return runtime, gateway

    def _at_the_database(self, runtime: Runtime, gateway: Gateway, before: set[str]) -> tuple[Seen | None, Rows]:
        """The agent's second errand: what is to be seen of it, and its decisions, which are those that are not in
        `before`. None and nothing without a database."""
        place, database, holdings = self._place, self._database, list[Holdings]()
        if database is None or gateway.at.sql is None:
            return None, []

        def search(pid: int | None) -> None:
            holdings.append(look(pid, place.agent, place.database_password, place.agent_token))

        self._say(f"the agent goes to the database: psycopg and psql at {gateway.at.sql}, its token as the password")
        if database.psql is None:
            self._say("without psql its script comes to nothing; it is in Debian's `postgresql-client`")
        errand = database_work(place, gateway.at.listen, gateway.at.sql, database.psql, search)
        vote = AgentRun(self._processes, gateway, self._say, errand).play(runtime)
        search(None)
        seen = database_seen(gateway, runtime, database, vote, holdings)
        rows = [row for row in gateway.trail() if row["principal"]["subject"] == AGENT_SUBJECT]
        return seen, [row for row in rows if row["decision"]["id"] not in before]

    def _begin_job(self, runtime: Runtime, gateway: Gateway) -> Theft | None:
        if not elsewhere_exists():
            self._say(f"without {ELSEWHERE}, a second network of this machine, no copied token can be shown")
            return None
        self._say("the operator issues a token to a job that no identity provider knows")
        return Theft(runtime, gateway)

    def _evidence(self, vote: Vote | None) -> Evidence:
        """Of the agent's run, as its upstreams and the agent itself wrote it down until now."""
        return Evidence(
            transcript=read_log(self._place.transcript),
            customer_api=read_log(self._place.upstream("customer_api", "received")),
            model_server=read_log(self._place.upstream("model_server", "received")),
            approver=vote.approver if vote else None,
            approved_at=vote.at if vote else None,
            secret=self._place.pasted_secret,
        )

    def _stay(self, gateway: Gateway) -> None:
        for line in keep_lines(self._place, gateway.at, command()):
            print(line)
        print("Everything stays up until Ctrl-C.", flush=True)
        while True:
            self._processes.check()
            time.sleep(0.5)


def jaeger_lines(jaeger: str | None) -> list[str]:
    """What to know about the traces' addresses."""
    if jaeger is None:
        return ["This trail is the journal's: Jaeger did not run. `make jaeger` gets it for the next `make demo`."]
    tags = [f"{name}=true" for name in (f"holdpoint.code.{UNEXPECTED}", f"holdpoint.policy.{COPIED}")]
    tags += [f"db.system.name={TAGS['db.system.name']}"]
    lines = ["In Jaeger, search the service holdpoint for these by their tags:", *(f"    {tag}" for tag in tags)]
    if not has_pages(jaeger):
        lines += ["This Jaeger was built without its web pages: read a trace as JSON at"]
        lines += [f"    http://{jaeger}/api/traces/<id>"]
    return lines
