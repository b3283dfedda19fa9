"""What a value is called: the name before it says whether it may be public, and whether an identifier is a secret.

A stream keeps the last 64 bytes before a match, for words of context, and a value begins no earlier than its match:
they are the same whatever the cuts.
"""

import re

from extproc.masking.checks.looks import UUID

_LOOK = 64
_IDENTIFIER = re.compile(rb"[A-Za-z_$][\w.$-]*")
_KEY = re.compile(rb"pass|pwd|pw|token|secret|key|cred|auth|login", re.IGNORECASE)
_HARMLESS = re.compile(
    rb"pub(?:lic|lishable)[_.-]?(?:api[_.-]?)?(?:key|token)|(?:[cx]srf(?:[_.-]?middleware)?|authenticity|request[_.-]?verification)[_.-]?token|credentials?[_.-]?ids?\Z",
    re.IGNORECASE,
)
_CREDENTIAL = re.compile(
    rb"(?:token|secret|key|passw(?:or)?d|passphrase|passwort|contrasena|pwd|pass|pw|credentials?|creds)\d?\Z",
    re.IGNORECASE,
)
_NUMERIC = re.compile(
    rb"asana|discord|facebook|finicity|hubspot|instagram|intercom|messagebird|plaid|shopify|steam|telegram|twitch|"
    rb"twitter|vkontakte|zendesk",
    re.IGNORECASE,
)
_FEW = 4
_UUID_LENGTH = 36
_NUMBER, _LONG_NUMBER = 15, 24


def harmless(data: bytes, start: int) -> bool:
    """Whether what begins at `start` is called a public key, a token against forged requests, or the name of a
    credential: everybody may see the first, a page has the second, and the third is none."""
    return _HARMLESS.search(_name(data, start)) is not None


def identifies(data: bytes, start: int, end: int) -> bool:
    """Whether an identifier is a secret by its name: a UUID that is called a key, token, secret or password (not
    `token_id`); digits, where the name has a service that issues such, or there are more of them than a clock has."""
    text = data[start:end]
    if not (text.isdigit() or (len(text) == _UUID_LENGTH and UUID.fullmatch(text))) or len(set(text)) <= _FEW:
        return False
    name = _name(data, start)
    if not _CREDENTIAL.search(name) or _HARMLESS.search(name):
        return False
    return not text.isdigit() or len(text) >= (_NUMBER if _NUMERIC.search(name) else _LONG_NUMBER)


def _name(data: bytes, start: int) -> bytes:
    """The last identifier before a value that has a word of a secret in it."""
    names = _IDENTIFIER.findall(data, max(0, start - _LOOK), start)
    return next((name for name in reversed(names) if _KEY.search(name)), b"")
