"""The receipt of a purge: what went, because of whom, and where the trail says so. Signed with the trail's key.

    {"purge": {"id", "at", "by", "reason", "query", "decisions", "bodies", "kept"}, "done": when (RFC 3339),
     "addresses": {address: [decision, ...]}, "records": [{"stream", "seq", "hash"}, ...], "key", "signature"}

The signature (Ed25519, base64) is over SIGNED and the canonical JSON (sorted members, no spaces, UTF-8) of all other
members. `kept` is how many bodies a legal hold kept.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from extproc.audit.keys import BadSignature, PublicKeys, Signer
from extproc.audit.retention.store import Purge
from extproc.domain.json import Document

SIGNED = "holdpoint purge receipt 1\n"
_MEMBERS = {
    "purge": dict, "done": str, "addresses": dict, "records": list, "key": str, "signature": str
}  # fmt: skip


class BadReceipt(ValueError):
    """It is no receipt, or not as it was signed. The message says which."""


def receipt(
    purge: Purge, places: Sequence[Document], uses: Mapping[str, Sequence[str]], done: str, signer: Signer
) -> dict[str, Any]:
    """The signed receipt of a purge that is done."""
    said = ("id", "at", "by", "reason", "query", "decisions", "bodies", "kept")
    body: dict[str, Any] = {
        "purge": {name: getattr(purge, name) for name in said},
        "done": done,
        "addresses": {address: sorted(decisions) for address, decisions in uses.items()},
        "records": list(places),
        "key": signer.key_id,
    }
    return body | {"signature": signer.sign(_text(body))}


def verify_receipt(document: object, keys: PublicKeys) -> Mapping[str, Any]:
    """The receipt, if one of the keys signed it just so. Raises BadReceipt."""
    if not isinstance(document, dict) or document.keys() != _MEMBERS.keys():
        raise BadReceipt(f"not a receipt: expected an object with exactly the members {sorted(_MEMBERS)}")
    for name, kind in _MEMBERS.items():
        if not isinstance(document[name], kind):
            raise BadReceipt(f"not a receipt: its {name} is not of the right type")
    try:
        keys.verify(document["key"], _text(document), document["signature"])
    except (BadSignature, orjson.JSONEncodeError) as error:
        raise BadReceipt(f"not as it was signed: {error}") from None
    return document


def _text(document: Document) -> str:
    body = {name: value for name, value in document.items() if name != "signature"}
    return SIGNED + orjson.dumps(body, option=orjson.OPT_SORT_KEYS).decode()
