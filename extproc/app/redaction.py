"""What the journal is allowed to see: everything is redacted once, at the sink, except who acted."""


from extproc.domain.json import JSON, Document
from extproc.masking.redact import redact_json

# Names of verified parties: an e-mail address as a subject is who it was, and the trail must say so.
_PARTIES = frozenset({"principal", "approver", "approvers"})


def redact_record(body: Document) -> Document:
    """The body of a record without any value that a rule matches."""
    clean: dict[str, JSON] = {}
    for name, value in body.items():
        clean[name] = value if name in _PARTIES else redact_json(value)[0]
    return clean
