"""What reaches the journal."""

import pytest

from extproc.app.redaction import redact_record
from extproc.domain.json import JSON
from extproc.masking.shipped import knowledge

CARD = "4111111111111111"


@pytest.mark.parametrize(
    "body",
    [
        {"request": "79130280-4634-4752-a400-d985afe60af9"},
        {"hold": "2049273069254441", "session": "4111111111111111"},
        {"decision": "ad2118ae1858a60d6e27e95a"},
        {"decision": {"id": "ad2118ae1858a60d6e27e95a", "revision": "4111111111111111"}},
        {"action": {"digest": "4111111111111111"}},
        {"trace": {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-4111111111111111-01"}},
        {"masked": {"response": {"private-key": 1, "card": 2}}},
        {"llm": {"usage": {"token": 3, "total_tokens": 4}}},
        {"principal": {"subject": "jane@example.com"}},
        {"by": {"subject": "ann@example.com", "credential": "jwt:4111111111111111"}, "subject": "bot@example.com"},
        {"owner": {"issuer": "https://id.example", "subject": "ann@example.com"}, "issuer": "https://id.example"},
        {"key": "be49157a558294ca", "signature": f"{CARD}+==", "previous": CARD},
        {"key": "6513302780893290", "streams": {"worker-0": {"id": CARD, "offset": 7570843305116}}},
    ],
    ids=str,
)
def test_names_and_numbers_of_our_own_are_kept(body: dict[str, JSON]) -> None:
    """They join records, and they are not an agent's to choose; verified parties are who they are."""
    assert redact_record(body, knowledge()) == body
    beside = redact_record({**body, "note": CARD}, knowledge())
    assert beside == {**body, "note": "[masked:card]"}


@pytest.mark.parametrize(
    "body",
    [
        {"action": {"resource": f"/x/{CARD}", "summary": {"prompt": CARD}}},
        {"decision": {"id": "d", "reasons": [{"message": CARD}]}},
        {"trace": {"traceparent": CARD}},
        {"trace": {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00", "tracestate": CARD}},
        {"llm": {"id": CARD, "usage": {"total_tokens": 1}}},
        {"reason": f"the card {CARD} is theirs"},
    ],
    ids=str,
)
def test_what_others_choose_is_redacted(body: dict[str, JSON]) -> None:
    """Whatever a client, an upstream or a person wrote."""
    assert CARD not in str(redact_record(body, knowledge()))
