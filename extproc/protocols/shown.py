"""What people are shown of an action: a little in its record, all of it where they approve it. Both masked."""

from extproc.domain.grant import Lane
from extproc.domain.mask import SECRET, Mask, Operator
from extproc.masking.plan import Knowledge
from extproc.masking.redact import redact

EXCERPT_CHARACTERS = 1000
RENDER_BYTES = 1 << 20
"""What a person can be asked to read before they approve, at most."""

MARGIN = 4000
"""Characters: longer than any one value that a rule matches in full, so that cutting leaves no half of one behind."""

HIDDEN = Mask("holdpoint", (SECRET, "card", "identity", "health"), (), Operator.REDACT, (Lane.REQUEST.value,))
"""What an approver is never shown. Names and accounts stay: a payee must be told from another."""


def excerpt(text: str, known: Knowledge, most: int = EXCERPT_CHARACTERS) -> str:
    """The start of a text for a record: masked first, cut after, so that no half of a value is left."""
    masked = redact(text[: most + MARGIN], known)[0]
    return masked if len(masked) <= most else masked[:most] + "…"
