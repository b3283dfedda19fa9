"""Did masking do what the demo claims of it? What the upstreams give out is compared with what came, byte for byte."""

import json
import re

from examples.demo import records
from examples.demo.checks import Check
from examples.demo.model_server import pieces
from examples.demo.paperwork import Document, Paperwork, message

NUMBER = re.compile(f"{records.NUMBER}|{records.OTHER_NUMBER}")
SHOWN_CHARACTERS = 200
HASH = re.compile(r"\[masked:acme-customer:[0-9a-f]{16}\]")


def paperwork_checks(paperwork: Paperwork) -> list[Check]:
    """All claims of the paperwork, in its order."""
    return [
        check_prompt(paperwork),
        check_stream(paperwork),
        check_json(paperwork.payments),
        check_table(paperwork),
        check_page(paperwork.page),
    ]


def check_prompt(paperwork: Paperwork) -> Check:
    """The model server got the prompt once, with masks in the place of values and every other character in its own."""
    claim = "a card, an address and the company's own customer number in a prompt reach the model as masks"
    got = [message(prompt) for prompt in paperwork.prompts]
    return Check(claim, got == [records.PROMPT_MASKED], f"it received: {' / '.join(map(str, got)) or 'nothing'}")


def check_stream(paperwork: Paperwork) -> Check:
    """No delta has what the model spelled over many; the call's arguments are JSON, with masks in their place."""
    claim = "a card that the model spells digit by digit is masked as it streams, and so are its tool call's arguments"
    text, arguments = "".join(paperwork.text), "".join(paperwork.arguments)
    masked = json.dumps(records.NOTE_MASKED)
    good = text == records.RECALLED_MASKED and masks_of(arguments, masked) is not None
    streamed = min(len(paperwork.text), len(paperwork.arguments)) > 1
    told = f"of {len(pieces(records.RECALLED))} pieces of text, {len(paperwork.text)} came, and together they say"
    return Check(claim, good and streamed, f"{told}: {text or 'nothing'} {arguments}")


def check_json(payments: Document) -> Check:
    """Masked by a member's name, within a sentence, and as a number, which becomes null; nothing else has changed."""
    claim = "in JSON, values are masked by name, in a sentence and as a number; the rest is byte for byte as it was"
    good = payments.status == 200 and masks_of(payments.body, records.PAYMENTS_MASKED) is not None
    return Check(claim, good, _shown(payments))


def check_table(paperwork: Paperwork) -> Check:
    """The columns' names tell what is in them, though the table came packed; one customer has one mask everywhere."""
    claim = "a table that came in gzip, unasked, is masked by its header; rows of one customer are seen to be that"
    orders = paperwork.orders
    asked = paperwork.asked.get(records.ORDERS_PATH)
    if asked != "identity":
        return Check(claim, False, f"the upstream was asked for {asked or 'any coding'}, so gzip was no surprise")
    masks = masks_of(orders.body, records.ORDERS_MASKED)
    if orders.status != 200 or masks is None or "content-encoding" in orders.headers:
        return Check(claim, False, _shown(orders))
    others = (
        masks_of(paperwork.payments.body, records.PAYMENTS_MASKED),
        masks_of(paperwork.page.body, records.PAGE_MASKED),
        masks_of("".join(paperwork.arguments), json.dumps(records.NOTE_MASKED)),
    )
    if any(other is None or not other.items() <= masks.items() for other in others):
        return Check(claim, False, f"a customer has another mask elsewhere: {[masks, *others]}")
    kept = f"cards keep four digits, passports none; two rows are of {masks[records.NUMBER]}, one is of another"
    return Check(claim, True, f"{kept}; the same hashes in JSON, page and tool call")


def check_page(page: Document) -> Check:
    """Text between tags and in attributes is masked as a browser would show it."""
    claim = "a web page is masked as it is read, in attributes too, and where &nbsp; parts the digits"
    return Check(claim, page.status == 200 and masks_of(page.body, records.PAGE_MASKED) is not None, _shown(page))


def masks_of(body: str, masked: str) -> dict[str, str] | None:
    """The hash of each customer number, where `body` is `masked` with hashes in the place of numbers, of each number
    one and of no two the same; None where it is anything else."""
    masks = dict(zip(NUMBER.findall(masked), HASH.findall(body), strict=False))
    alike = NUMBER.sub(lambda number: masks.get(number[0], number[0]), masked) == body
    return masks if masks and alike and len(set(masks.values())) == len(masks) else None


def _shown(document: Document) -> str:
    text = " ".join(document.body.split())
    return f"HTTP {document.status} {text if len(text) <= SHOWN_CHARACTERS else f'…{text[1 - SHOWN_CHARACTERS :]}'}"
