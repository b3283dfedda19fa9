"""What the journal is allowed to see: everything is redacted once, at the sink, except who acted."""

from typing import cast

from extproc.domain.json import JSON, Document
from extproc.masking.redact import redact_json

# Names of verified parties: an e-mail address as a subject is who it was, and the trail must say so.
_PARTIES = frozenset({"principal", "approver", "approvers"})


def redact_record(body: Document) -> Document:
    """The body of a record without any value that a rule matches; itself where there is none."""
    names = [name for name in body if name not in _PARTIES]
    values, found = redact_json([body[name] for name in names])
    return {**body, **dict(zip(names, cast(list[JSON], values), strict=True))} if found else body
