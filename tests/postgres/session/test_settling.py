"""What an approval binds is asked for where people are asked, and nowhere else; and what is known of cursors."""

import pytest

from extproc.domain.action import Unrenderable
from extproc.protocols.connection import CancelAsked, Withdraw
from extproc.protocols.postgres.wire.backend import (
    BindComplete,
    CommandComplete,
    ErrorResponse,
    NoData,
    ParameterStatus,
    ParseComplete,
    ReadyForQuery,
    Transaction,
)
from extproc.protocols.postgres.wire.frontend import Bind, Execute, Flush, Parse, Query, Sync
from tests.postgres.masks.answers import KNOWN
from tests.postgres.session.playbook import IDLE, Play, allowed, blocked, looked, looks, told_around, unsettled

OPEN, FAILED = ReadyForQuery(Transaction.OPEN), ReadyForQuery(Transaction.FAILED)
UPDATE = "UPDATE bills SET due = '03/04/2026' WHERE id = 4"
WRONG = ErrorResponse((("S", "ERROR"), ("V", "ERROR"), ("C", "22012"), ("M", "division by zero")))


def holding() -> Play:
    """A session in which people are asked about everything."""
    play = Play(known=KNOWN).opened()
    play.rule = unsettled
    return play


def ran(play: Play, *texts: str, status: ReadyForQuery = IDLE) -> Play:
    """Texts that were allowed, and ran."""
    rule, play.rule = play.rule, lambda _: allowed()
    for text in texts:
        play.says(Query(text)).server_says(CommandComplete(text.split()[0]), status)
    play.rule = rule
    play.take()
    return play


def asks(message: object) -> bool:
    """Whether this is the gateway's question about surroundings."""
    return isinstance(message, Parse) and "pg_show_all_settings" in message.text


def errors(messages: list[object]) -> list[str]:
    """The texts of errors."""
    return [dict(one.fields)["M"] for one in messages if isinstance(one, ErrorResponse)]


def test_what_is_allowed_costs_no_question() -> None:
    """The server gets the client's messages, and no other."""
    play = Play().opened()
    play.says(Query(UPDATE))
    assert play.take()[1] == [Query(UPDATE)]
    play.server_says(CommandComplete("UPDATE 1"), IDLE)
    play.says(Parse("", UPDATE), Bind("", ""), Execute(""), Sync())
    assert not any(map(asks, play.take()[1]))
    assert [action.settled for action in play.actions[1:]] == [False, False]


def test_what_is_held_is_settled_first_by_one_question() -> None:
    """It is decided again with what the server said, and goes on as it is."""
    play = holding()
    play.says(Query(UPDATE))
    client, server = play.take()
    assert (client, len(list(filter(asks, server))), server[-1]) == ([], 1, Sync())
    play.server_says(*told_around(temporary='[["r", "bills"]]', customs='[["app.token", "t0psecret"]]'))
    assert play.take() == ([], [])
    action = play.actions[-1]
    assert (len(play.actions), action.settled) == (3, True)
    shown = action.render(())
    assert '-- setting "DateStyle" = "ISO, MDY"' in shown
    assert '-- temporary table "bills"' in shown
    assert ("app.token" in shown, "t0psecret" in shown) == (True, False)
    play.decide(allowed())
    assert play.take()[1] == [Query(UPDATE)]


@pytest.mark.parametrize(
    "other",
    [
        told_around("ISO, DMY", fingerprint="0" * 64),
        told_around(temporary='[["r", "bills"]]'),
        told_around(customs='[["app.tenant", "acme"]]'),
        told_around(path="other"),
    ],
)
def test_each_part_of_it_is_bound(other: tuple[object, ...]) -> None:
    """And what is the same again gives the same digest, in whatever connection."""

    def digest(answer: tuple[object, ...]) -> str:
        play = holding().says(Query(UPDATE)).server_says(*answer)
        return play.actions[-1].digest

    assert digest(told_around()) == digest(told_around())
    assert digest(told_around()) != digest(other)


def test_in_a_pipeline_the_question_has_no_sync() -> None:
    """It would end the transaction that the pipeline is; a Flush has the server answer."""
    play = holding()
    play.rule = lambda action: allowed() if action.facts["text"] == "BEGIN" else unsettled(action)
    play.says(Parse("", "BEGIN"), Bind("", ""), Execute(""), Parse("", UPDATE), Bind("", ""), Execute(""), Sync())
    server = play.take()[1]
    assert any(map(asks, server))
    assert (server[-1], Sync() in server) == (Flush(), False)
    play.server_says(ParseComplete(), BindComplete(), NoData(), CommandComplete("BEGIN"))
    play.server_says(*told_around(sync=False))
    assert play.actions[-1].settled
    play.decide(allowed())
    assert [type(message) for message in play.take()[1]][:2] == [Parse, Bind]


def test_cancelled_while_it_is_asked_for() -> None:
    """The statement ends as a cancelled one does; the answer is for nobody any more."""
    play = holding().says(Query(UPDATE))
    play.take()
    play.event(CancelAsked())
    play.server_says(*told_around(), WRONG, IDLE)
    client, _ = play.take()
    assert errors(client) == ["canceling statement due to user request"]
    assert client[-1] == IDLE
    assert not any(isinstance(command, Withdraw) for command in play.done)
    assert len(play.actions) == 2
    ran(play, "SELECT 1")


@pytest.mark.parametrize("sync", [True, False])
def test_an_answer_that_does_not_come(sync: bool) -> None:
    """A server that fails to tell: nothing is approvable, and the session goes on."""
    play = holding()
    if sync:
        play.says(Query(UPDATE)).server_says(WRONG, IDLE)
        with pytest.raises(Unrenderable):
            play.actions[-1].render(())
        play.decide(blocked()).server_says(WRONG, IDLE)
    else:
        play.rule = lambda action: allowed() if action.facts["text"] == "BEGIN" else unsettled(action)
        play.says(Parse("", "BEGIN"), Bind("", ""), Execute(""), Parse("", UPDATE), Bind("", ""), Execute(""), Sync())
        play.server_says(ParseComplete(), BindComplete(), NoData(), CommandComplete("BEGIN"), WRONG)
        play.server_says(FAILED)
    client, _ = play.take()
    assert (len(errors(client)), isinstance(client[-1], ReadyForQuery)) == (1, True)


def test_after_an_approval_it_is_looked_at_again() -> None:
    """Until somebody else changes all the time what it means: then it is for nobody to approve."""
    play = holding().says(Query(UPDATE))
    for number in range(5):
        play.server_says(*told_around(fingerprint=str(number)))
        assert play.actions[-1].settled
        play.decide(unsettled(play.actions[1]) or blocked())
    with pytest.raises(Unrenderable, match="all the time"):
        play.actions[-1].render(())
    assert len({action.digest for action in play.actions[2:7]}) == 5


def test_plans_are_discarded_before_the_question() -> None:
    """A plan keeps what names stood for, and constants as they were read."""
    play = holding()
    ran(play, f"PREPARE q AS {UPDATE}", "SET DateStyle TO 'ISO, DMY'")
    play.says(Query("EXECUTE q"))
    texts = [message.text for message in play.take()[1] if isinstance(message, Parse)]
    assert (texts[0], len(texts)) == ("DISCARD PLANS", 2)
    play.server_says(*told_around())
    assert UPDATE in play.actions[-1].render(())


def test_a_report_of_the_server_counts_as_a_change() -> None:
    """A function may have made it that no text shows. What a cursor gives was fixed before."""
    play = holding()
    ran(play, "BEGIN", DECLARE, status=OPEN)
    play.server_says(ParameterStatus("DateStyle", "ISO, DMY"))
    play.says(Query("FETCH c"))
    with pytest.raises(Unrenderable, match="anew"):
        play.actions[-1].render(())


@pytest.mark.parametrize("change", ["CREATE TEMP TABLE bills (id int)", "DROP TABLE pg_temp.bills", "SET a.b = 1"])
def test_a_portal_that_was_approved_does_not_run_behind_a_change(change: str) -> None:
    """TRUNCATE and its like look names up when they are executed."""
    play = ran(holding(), "BEGIN", status=OPEN)
    play.says(Parse("", "TRUNCATE bills"), Bind("p", ""), Flush()).server_says(*told_around(status=OPEN))
    play.decide(allowed()).server_says(ParseComplete(), BindComplete())
    play.rule = lambda _: allowed()
    play.says(Parse("", change), Bind("", ""), Execute(""), Execute("p"), Sync())
    server = play.take()[1]
    assert [one.portal for one in server if isinstance(one, Execute)].count("p") == 0


# -- cursors -----------------------------------------------------------------------------------------------------------

DECLARE = "DECLARE c CURSOR FOR SELECT id, card FROM bills WHERE due < now()"
CURRENT = "DELETE FROM bills WHERE CURRENT OF c"


def facts(play: Play) -> dict[str, object]:
    """Of the statement that was decided last."""
    statements = play.actions[-1].facts["statements"]
    assert isinstance(statements, list)
    assert isinstance(statements[0], dict)
    return dict(statements[0])


def test_a_row_by_its_cursor_is_of_what_the_cursor_reads() -> None:
    """Its columns count, its text is shown and bound, and where it stands is unknown."""
    play = ran(Play().opened(), "BEGIN", DECLARE, status=OPEN)
    play.says(Query(CURRENT)).server_says(CommandComplete("DELETE 1"), OPEN)
    said = facts(play)
    assert (said["unknown"], said["name"], said["where"]) == (["cursor-position"], "c", "some")
    assert {"schema": None, "table": "bills", "name": "due"} in said["columns"]["filtered"]  # type: ignore[index]
    one = play.actions[-1].digest
    other = ran(Play().opened(), "BEGIN", DECLARE.replace("<", ">"), status=OPEN).says(Query(CURRENT))
    assert other.actions[-1].digest != one


@pytest.mark.parametrize(
    "between",
    [
        ["COMMIT", "BEGIN"],
        ["SELECT open_one('c')"],
        ["DO $$BEGIN NULL; END$$"],
        ["CLOSE c"],
        ["CLOSE ALL"],
        ["DISCARD ALL"],
    ],
)
@pytest.mark.parametrize("text", [CURRENT, "FETCH c"])
def test_a_cursor_that_may_be_another_one_is_not_known(between: list[str], text: str) -> None:
    """Its transaction ended, or a function may have opened one of that name."""
    play = ran(Play().opened(), "BEGIN", DECLARE, status=OPEN)
    for one in between:
        ran(play, one, status=IDLE if one == "COMMIT" else OPEN)
    play.says(Query(text))
    if any(map(looks, play.take()[1])):
        play.server_says(*looked(status=OPEN))
    assert "cursor" in facts(play)["unknown"]  # type: ignore[operator]


def test_a_cursor_with_hold_outlives_its_transaction() -> None:
    """And what is fetched runs its own functions alone."""
    declared = "DECLARE c CURSOR WITH HOLD FOR SELECT total(id) FROM bills"
    play = ran(Play().opened(), "BEGIN", declared, "FETCH c", status=OPEN)
    ran(play, "COMMIT").says(Query("FETCH c"))
    assert facts(play)["unknown"] == ["function"]


def test_a_prepared_statement_by_a_cursor_is_read_by_the_cursor_of_now() -> None:
    """Or, in SQL, is not known."""
    play = ran(Play().opened(), "BEGIN", DECLARE, status=OPEN)
    play.says(Parse("p", CURRENT), Sync()).server_says(ParseComplete(), OPEN)
    assert facts(play)["unknown"] == ["cursor-position"]
    ran(play, f"PREPARE q AS {CURRENT}", "CLOSE c", status=OPEN)
    play.says(Query("EXECUTE q")).server_says(CommandComplete("DELETE"), OPEN)
    assert "cursor" in facts(play)["unknown"]  # type: ignore[operator]
    play.says(Bind("", "p"), Execute(""), Sync())
    assert "cursor" in facts(play)["unknown"]  # type: ignore[operator]


def test_a_failed_change_leaves_its_cursor_known() -> None:
    """It names it, and does nothing to it."""
    play = ran(Play().opened(), "BEGIN", DECLARE, "SAVEPOINT s", status=OPEN)
    play.says(Query(CURRENT)).server_says(WRONG, FAILED)
    ran(play, "ROLLBACK TO s", status=OPEN).says(Query(CURRENT))
    assert facts(play)["unknown"] == ["cursor-position"]
