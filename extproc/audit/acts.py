"""Records that excuse what is missing: they say what was erased, retired or deleted, and count only with a signature.

Whoever can write the files, and does not have the key, could else take something out and write that it was let go of:
at the end of a stream, behind the last seal and checkpoint, nothing else keeps them from it.

The signature (Ed25519, base64) is over "holdpoint", the kind, "1" and a line feed, and the canonical JSON (sorted
members, no spaces, UTF-8) of all other members of the record's body.
"""

from typing import Any

import orjson

from extproc.audit.keys import BadSignature, PublicKeys, Signer
from extproc.domain.json import Document

KINDS = frozenset({"erased", "retired", "body-deleted"})


def sign(kind: str, body: Document, signer: Signer) -> dict[str, Any]:
    """The body with its key and signature."""
    said = {**body, "key": signer.key_id}
    return said | {"signature": signer.sign(_text(kind, said))}


def check(kind: str, body: Document, keys: PublicKeys) -> None:
    """Raises BadSignature for a body that none of the keys signed so."""
    if not isinstance(body.get("signature"), str):
        raise BadSignature("it is not signed")
    said = {name: value for name, value in body.items() if name != "signature"}
    keys.verify(str(body.get("key")), _text(kind, said), str(body["signature"]))


def _text(kind: str, body: Document) -> str:
    return f"holdpoint {kind} 1\n{orjson.dumps(body, option=orjson.OPT_SORT_KEYS).decode()}"
