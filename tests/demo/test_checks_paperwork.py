"""What the demo claims of masking: true of a run that went right, false of every run that went wrong in its way."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from examples.demo import records
from examples.demo.checks import Check
from examples.demo.checks_paperwork import masks_of, paperwork_checks
from examples.demo.model_server import pieces
from examples.demo.paperwork import Document, Paperwork, message
from examples.demo.workplace import COMPANY

ROOT = Path(__file__).parents[2]
ONE, TWO = f"[masked:acme-customer:{'1' * 16}]", f"[masked:acme-customer:{'2' * 16}]"


def hashed(masked: str) -> str:
    """What comes, where a hash stands in the place of each customer number."""
    return masked.replace(records.NUMBER, ONE).replace(records.OTHER_NUMBER, TWO)


def document(body: str, **headers: str) -> Document:
    """A good answer."""
    return Document(200, headers, hashed(body))


def prompt(text: str) -> str:
    """A chat completion request."""
    return json.dumps({"messages": [{"role": "user", "content": text}]})


ARGUMENTS = hashed(json.dumps(records.NOTE_MASKED))
GOOD = Paperwork(
    prompts=[prompt(records.PROMPT_MASKED)],
    asked={records.ORDERS_PATH: "identity"},
    text=pieces(records.RECALLED_MASKED),
    arguments=[ARGUMENTS[:20], ARGUMENTS[20:]],
    payments=document(records.PAYMENTS_MASKED),
    orders=document(records.ORDERS_MASKED),
    page=document(records.PAGE_MASKED),
)


def checks(**changed: Any) -> list[Check]:
    """The claims of a run in which this was otherwise."""
    return paperwork_checks(replace(GOOD, **changed))


def test_all_claims_hold_of_a_good_run() -> None:
    """Nothing is false, and each claim names its evidence."""
    assert [check.claim for check in checks() if not check.true or not check.evidence] == []


@pytest.mark.parametrize(
    ("claim", "changed"),
    [
        (0, {"prompts": []}),
        (0, {"prompts": [prompt(records.PROMPT)]}),
        (0, {"prompts": [prompt(records.PROMPT_MASKED), prompt(records.PROMPT)]}),
        (0, {"prompts": [prompt(records.PROMPT_MASKED.replace("courier", ""))]}),
        (1, {"text": []}),
        (1, {"text": [records.RECALLED_MASKED]}),
        (1, {"text": pieces(records.RECALLED)}),
        (1, {"text": [*GOOD.text, "6"]}),
        (1, {"arguments": [json.dumps(records.NOTE_MASKED), ""]}),
        (1, {"arguments": [ARGUMENTS[:20], ARGUMENTS[20:-1]]}),
        (2, {"payments": document(records.PAYMENTS)}),
        (2, {"payments": document(records.PAYMENTS_MASKED.replace("12.10", "12.1"))}),
        (2, {"payments": document(records.PAYMENTS_MASKED.replace("null", '"5555555555554444"'))}),
        (2, {"payments": replace(GOOD.payments, status=502)}),
        (3, {"asked": {}}),
        (3, {"asked": {records.ORDERS_PATH: "gzip"}}),
        (3, {"orders": document(records.ORDERS)}),
        (3, {"orders": document(records.ORDERS_MASKED, **{"content-encoding": "gzip"})}),
        (3, {"orders": document(records.ORDERS_MASKED.replace(records.BATCH, "[masked:passport]"))}),
        (3, {"orders": replace(GOOD.orders, body=GOOD.orders.body.replace(TWO, ONE))}),
        (3, {"orders": replace(GOOD.orders, body=GOOD.orders.body.replace(ONE, TWO, 1))}),
        (3, {"page": replace(GOOD.page, body=GOOD.page.body.replace(ONE, TWO))}),
        (4, {"page": document(records.PAGE)}),
        (4, {"page": document(records.PAGE_MASKED.replace("[masked:iban]", records.IBAN))}),
        (4, {"page": document(records.PAGE_MASKED + "<p>")}),
    ],
)
def test_a_claim_is_false_when_its_evidence_is_missing(claim: int, changed: dict[str, Any]) -> None:
    """Each way of going wrong turns its own claim false."""
    assert checks(**changed)[claim].true is False


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (f"a {ONE} b", {records.NUMBER: ONE}),
        ("a [masked:acme-customer] b", None),
        (f"a {records.NUMBER} b", None),
        (f"a {ONE} b {TWO}", None),
        ("", None),
    ],
)
def test_the_hashes_of_a_text(body: str, expected: dict[str, str] | None) -> None:
    """Found where everything else is as it should be."""
    assert masks_of(body, f"a {records.NUMBER} b") == expected


@pytest.mark.parametrize("body", ["", "[]", "{}", '{"messages": []}', '{"messages": [{}, {}]}', '{"messages": [1]}'])
def test_a_prompt_that_is_none(body: str) -> None:
    """Not the shape of a chat completion request with one message."""
    assert message(body) is None


def test_a_model_spells_numbers_digit_by_digit() -> None:
    """And nothing is lost of what it says."""
    assert pieces("paid 12.5,\n twice. ") == ["paid", " 1", "2", ".", "5", ",", "\n twice.", " "]
    assert sum(piece.strip().isdigit() for piece in pieces(records.RECALLED)) == 16


@pytest.mark.parametrize(
    ("noun", "name", "said"),
    [("masking", "rules.yaml", "no failures"), ("policy", "policies", "http.known_customers: 2 tests")],
)
def test_what_the_company_adds_is_good(noun: str, name: str, said: str) -> None:
    """Its rule passes its own cases, and its policy its own tests."""
    done = subprocess.run(
        [sys.executable, "-m", "extproc.cli", noun, "test", str(COMPANY / name)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, said in done.stdout) == (0, True), done.stdout + done.stderr


def test_no_case_of_the_rule_is_a_value_of_the_demo() -> None:
    """The gateway keeps the rule's cases; what is looked for in its records must not be one of them."""
    (rule,) = yaml.safe_load((COMPANY / "rules.yaml").read_text("utf-8"))["rules"]
    cases = " ".join([*rule["positive"], *rule["negative"]])
    assert [value for value in records.SECRETS.values() if value in cases] == []
