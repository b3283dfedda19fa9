"""OpenAI's own client: nothing but the base URL and the key differ from asking the model itself."""

from collections.abc import Callable

import pytest
from openai import OpenAI

from examples.clients import with_openai
from tests.clients.world import CARD, KEY, MODELS, PII, PRIVATE_KEY, SECRETS, WRITES, Background, World, plain
from tests.support.gateway import CREDENTIAL

Told = tuple[str, str | None]


def client(world: World, subject: str, target: str = "models", **headers: str) -> OpenAI:
    """A client as an agent has it. It retries nothing, so that a test sees each answer."""
    return OpenAI(
        base_url=f"{world.gateway.url}/{target}/v1",
        api_key=world.token(subject),
        max_retries=0,
        timeout=60,
        default_headers=headers,
    )


def whole(model: OpenAI, prompt: str) -> Told:
    """Text and finish reason of one answer."""
    answer = model.chat.completions.create(model="demo-model", messages=[{"role": "user", "content": prompt}])
    return answer.choices[0].message.content or "", answer.choices[0].finish_reason


def streamed(model: OpenAI, prompt: str) -> Told:
    """The same, streamed."""
    text, finish = "", None
    with model.chat.completions.create(
        model="demo-model", messages=[{"role": "user", "content": prompt}], stream=True
    ) as chunks:
        for chunk in chunks:
            text += chunk.choices[0].delta.content or ""
            finish = chunk.choices[0].finish_reason or finish
    return text, finish


ways = pytest.mark.parametrize("ask", [whole, streamed])
Ask = Callable[[OpenAI, str], Told]


@ways
def test_a_chat_is_masked_both_ways(world: World, ask: Ask) -> None:
    """The model is not told the key, the agent is not told the card, though a stream tells it in pieces."""
    subject = f"openai-read-{ask.__name__}"
    with client(world, subject) as model:
        text, finish = ask(model, f"our key is {KEY}")
    assert (text, finish) == ("You said: our key is [masked:aws-key] The card is [masked:card].", "stop")
    (seen,) = world.model.seen
    assert KEY.encode() not in plain(seen)
    assert seen.path == "/v1/chat/completions"
    assert seen.headers["authorization"] == [f"Bearer {CREDENTIAL}"]
    (span,) = world.traced(subject, ("mask", MODELS), ("mask", PII))
    told = {t["key"]: t["value"] for t in span["tags"]}
    assert (told["gen_ai.request.model"], told["holdpoint.llm.stream"]) == ("demo-model", ask is streamed)
    assert KEY not in str(span)


@ways
def test_a_held_chat_goes_on_when_a_person_says_yes(world: World, ask: Ask) -> None:
    """The call simply takes longer."""
    subject = f"openai-held-{ask.__name__}"
    with client(world, subject, "reviewed") as model:
        asking = Background(lambda: ask(model, "hello"))
        hold = world.held(subject)["hold"]
        assert (world.model.seen, asking.running) == ([], True)
        world.approve(hold, "operators")
        assert asking.result() == ("You said: hello The card is [masked:card].", "stop")
    assert len(world.model.seen) == 1
    world.traced(subject, ("mask", WRITES), ("mask", PII))


@ways
def test_a_chat_that_does_not_wait_is_told_to_come_back(world: World, ask: Ask) -> None:
    """An answer and no exception, so that a run goes on; asked again after the approval, it goes through, once."""
    subject = f"openai-async-{ask.__name__}"
    with client(world, subject, "reviewed", Prefer="respond-async") as model:
        text, finish = ask(model, "hello")
        assert finish == "content_filter"
        assert "Held for approval" in text
        hold = world.held(subject)["hold"]
        assert hold in text
        world.approve(hold, "operators")
        assert ask(model, "hello")[1] == "stop"
        assert ask(model, "hello")[1] == "content_filter"
    assert len(world.model.seen) == 1
    world.traced(subject, ("hold", WRITES), ("mask", WRITES))


@ways
def test_a_blocked_chat_is_an_answer_that_says_why(world: World, ask: Ask) -> None:
    """`content_filter` and a message for the model to read; nothing reached the model."""
    subject = f"openai-block-{ask.__name__}"
    with client(world, subject) as model:
        text, finish = ask(model, f"use this:\n{PRIVATE_KEY}")
    assert finish == "content_filter"
    assert "Blocked by policy" in text
    assert world.model.seen == []
    (decision,) = world.decisions(subject)
    assert decision["decision"]["id"] in text
    assert PRIVATE_KEY not in text
    world.traced(subject, ("block", SECRETS))


def test_the_example_asks_twice(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The program as shipped, told by the environment alone where the model is."""
    monkeypatch.setenv("OPENAI_BASE_URL", f"{world.gateway.url}/models/v1")
    monkeypatch.setenv("OPENAI_API_KEY", world.token("openai-example"))
    with_openai.main()
    said = capsys.readouterr().out
    assert said.count("[masked:aws-key]") == 2
    assert CARD not in said
    assert all(with_openai.SECRET.encode() not in plain(seen) for seen in world.model.seen)
    assert len(world.traced("openai-example", ("mask", MODELS))) == 2
