"""Each signal as a story: a journal, the watcher, a worker's document, and a real OPA's decision."""

from dataclasses import replace

import pytest

from extproc.domain.target import Protocol, Target
from tests.signals.conftest import AGENT, START, Policies, Story

HOUR, DAY = 3600.0, 86400.0


def test_an_ordinary_day_is_no_finding(story: Story, policies: Policies) -> None:
    """Reads, some of them masked, one refusal: nothing to say."""
    for n in range(30):
        story.used(resource=f"/customers/{n}")
        story.now += 60
    story.decided("block", "sensitive-path", resource="/admin")
    history = story.history()
    assert history["target"]["requests"] == {"minute": 2, "hour": 31, "day": 31}
    assert history["principal"]["bytes"]["response"]["day"] == 3000
    assert policies.says({**history, "used": used(1)}, story.now) == ("allow", set())


def used(n: int) -> dict[str, dict[str, int]]:
    """Counters as the workers reserve them."""
    return {scope: {"minute": n, "hour": n, "day": n} for scope in ("all", "target", "verb")}


def test_an_agent_in_a_loop_is_told_to_stop_and_is_let_go_when_it_does(story: Story, policies: Policies) -> None:
    """Five refusals of one action block it, with advice; other actions pass; an hour after it stopped it is over."""
    for _ in range(4):
        story.decided("block", "sensitive-path", resource="/admin")
    assert policies.says({**story.history(), "used": used(1)}, story.now, path="/admin") == ("block", set())
    story.decided("block", "sensitive-path", resource="/admin")
    history = {**story.history(), "used": used(1)}
    decision = policies.decide(history, story.now, path="/admin")
    assert "history-loop" in {r.code for r in decision.reasons}
    assert any("Stop repeating it" in r.message and "sensitive-path" in r.message for r in decision.reasons)
    assert policies.says(history, story.now) == ("allow", set())
    # What is refused for the loop alone does not feed it.
    for _ in range(20):
        story.decided("block", "history-loop", resource="/admin")
    assert story.history()["target"]["repeated"][0]["count"] == 5
    story.now += 1.1 * HOUR
    assert story.history()["target"]["repeated"] == []


def test_the_same_action_spread_over_workers_is_one_loop(story: Story) -> None:
    """Each worker has its journal; the figures join them. People's no counts, waiting for them does not."""
    for n in range(6):
        story.decided("block", "sensitive-path", resource="/admin", stream=f"worker-{n % 2}")
    story.decided("hold", "write", outcome="denied", verb="POST")
    story.decided("hold", "write", outcome="denied", verb="POST")
    for _ in range(9):
        story.decided("hold", "write", outcome="pending", verb="PUT")
    repeated = story.history()["target"]["repeated"]
    assert [(r["count"], r["verb"], r["code"]) for r in repeated] == [
        (6, "GET", "sensitive-path"),
        (2, "POST", "write"),
    ]


@pytest.mark.parametrize(
    ("cards", "expected"),
    [
        (499, ("allow", set())),
        (500, ("hold", {"history-many-masked"})),
        (5000, ("block", {"history-many-masked"})),
    ],
)
def test_many_masked_values(story: Story, policies: Policies, cards: int, expected: tuple[str, set[str]]) -> None:
    """Cards in answers add up over targets within an hour."""
    story.delivered(masked={"response": {"card": cards - 9}})
    story.delivered(masked={"response": {"card": 9, "email": 1}}, target=Target("mail", Protocol.HTTP, "dev"))
    history = {**story.history(), "used": used(1)}
    assert history["principal"]["masked"]["response"]["card"]["hour"] == cards
    assert policies.says(history, story.now) == expected


def test_reading_in_bulk(story: Story, policies: Policies) -> None:
    """A target copied in slices, over the day: only what falls in an hour counts."""
    for _ in range(8):
        story.delivered(size=40 << 20)
        story.now += 1.2 * HOUR
    assert policies.says({**story.history(), "used": used(1)}, story.now) == ("allow", set())
    for _ in range(7):
        story.delivered(size=40 << 20, rows=20_000)
    history = story.history()
    assert history["target"]["rows"]["hour"] == 140_000
    assert policies.says({**history, "used": used(1)}, story.now) == (
        "hold",
        {"history-bulk-bytes", "history-bulk-rows"},
    )
    assert policies.says({**story.history(target="mail"), "used": used(1)}, story.now, target="mail")[0] == "allow"


def test_what_went_through_opaque_tunnels_counts_when_they_end(story: Story) -> None:
    """Only Envoy knows how much it was, and its record names the decision alone."""
    for stream in ("worker-0", "worker-1"):
        opened = story.decided(verb="CONNECT", resource="bank.test:443", opaque=True, stream=stream)
        story.journal("gateway").append("tunnel", {"decision": opened, "bytes_in": 7, "bytes_out": 1 << 30})
    story.journal("gateway").append("tunnel", {"decision": "unknown", "bytes_in": 7, "bytes_out": 9})
    sums = story.history()["target"]["bytes"]
    assert (sums["request"]["hour"], sums["response"]["hour"]) == (14, 2 << 30)


def test_a_new_destination_for_an_agent_with_habits(story: Story, policies: Policies) -> None:
    """Refused tries make a target no better known; a granted one does."""
    for _ in range(6):
        story.used()
        story.now += DAY
    mail = Target("mail", Protocol.HTTP, "production")
    expected = ("hold", {"history-new-destination"})
    assert policies.says({**story.history(target="mail"), "used": used(1)}, story.now, target="mail") == expected
    story.decided("hold", "history-new-destination", target=mail)
    assert policies.says({**story.history(target="mail"), "used": used(1)}, story.now, target="mail") == expected
    assert policies.says({**story.history(), "used": used(1)}, story.now) == ("allow", set())
    story.used(target=mail)
    assert policies.says({**story.history(target="mail"), "used": used(1)}, story.now, target="mail")[0] == "allow"


def test_asking_for_what_is_no_target(story: Story, policies: Policies) -> None:
    """An agent that tries one host after another through the proxy."""
    for n in range(5):
        story.unexpected(f"host-{n}.evil.test:443")
    history = story.history()
    assert history["principal"]["unexpected_destinations"]["hour"] == 5
    assert policies.says({**history, "used": used(1)}, story.now) == ("hold", {"history-unexpected-destinations"})


def test_a_copied_token(story: Story, policies: Policies) -> None:
    """The same credential from a second network; another credential of the same agent is not concerned."""
    story.used(source="10.0.0.9")
    story.used(source="10.0.0.77")
    assert story.history()["credential"] == {"networks": ["10.0.0.0/24"], "environments": ["production"]}
    story.used(source="2001:db8:1:2:3::9", target=Target("crm", Protocol.HTTP, "dev"))
    history = story.history()
    assert history["credential"] == {
        "networks": ["10.0.0.0/24", "2001:db8:1:2::/64"],
        "environments": ["dev", "production"],
    }
    assert policies.says({**history, "used": used(1)}, story.now) == ("hold", {"history-several-networks"})
    renewed = replace(AGENT, credential="jwt:2")
    assert story.history(renewed)["credential"]["networks"] == []
    story.now += HOUR + 1
    assert story.history()["credential"]["networks"] == []


def test_failures_in_a_row(story: Story, policies: Policies) -> None:
    """Errors and refusals make a row; a success ends it, and so does a quiet quarter of an hour."""
    for _ in range(10):
        story.decided()
        story.delivered(403)
        story.decided("block", "sensitive-path", resource="/admin")
        story.delivered(403, outcome="refused:blocked")
    history = story.history()
    assert (history["target"]["failures_in_a_row"], history["target"]["blocked_in_a_row"]) == (20, 1)
    assert policies.says({**history, "used": used(1)}, story.now) == ("hold", {"history-failures"})
    story.now += 901
    assert story.history()["target"]["failures_in_a_row"] == 0
    story.now -= 800
    story.used()
    assert story.history()["target"]["failures_in_a_row"] == 0


def test_unusual_hours(story: Story, policies: Policies) -> None:
    """An agent of office hours at night, known after a week; what it does now makes the hour no more usual."""
    for day in range(8):
        story.now = START + day * DAY
        story.used()
        if day == 5:
            night = story.now + 18 * HOUR
            assert policies.says({**story.history(), "used": used(1)}, night) == ("allow", set())
    story.now = START + 8 * DAY - 6 * HOUR
    story.used()
    history = {**story.history(), "used": used(1)}
    assert history["principal"]["hours"]["days"] == 8
    assert policies.says(history, story.now) == ("hold", {"history-unusual-hour"})


def test_a_budget(story: Story, policies: Policies) -> None:
    """The limit passes, one more does not; where it can't be told, nothing passes."""
    history = story.history()
    assert policies.says({**history, "used": used(3)}, story.now) == ("allow", set())
    assert policies.says({**history, "used": used(4)}, story.now) == ("block", {"history-budget-spent"})
    assert policies.says(history, story.now) == ("block", {"history-uncounted"})


def test_enforced_and_blind_is_a_block(story: Story, policies: Policies) -> None:
    """While nobody knows the figures, enforced policies on them let nothing pass, and each says so."""
    decision = policies.decide({"known": False, "used": used(1)}, story.now)
    assert decision.effect.value == "block"
    blind = {r.policy for r in decision.reasons if r.code == "history-unknown"}
    assert len(blind) == 8
