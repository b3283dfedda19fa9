"""Text full of decoys: every fifty bytes something that begins like a value and is none."""

import random
from collections.abc import Iterator

from bench.masking.corpora import cut
from bench.masking.records import digest, uuid

_BASE62 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_PREFIXES = ("ghp_", "AKIA", "sk-", "xoxb-", "glpat-", "eyJ", "SG.", "npm_", "AIza", "sk_live_", "hvs.", "dop_v1_")
_WORDS = ("password", "ssn", "passport", "account", "token", "born", "phone", "secret", "IBAN", "licence", "api key")
_NOTHING = ("n/a", "none", "unknown", "example", "***")
FILL = ("and so on", "see below", "in the list", "as before", "for the record", "which is fine")


def decoys(size: int) -> str:
    """At least `size` characters of them, always the same."""
    return cut(_decoys(random.Random(5)), size)


def _decoys(rng: random.Random) -> Iterator[str]:
    makers = (_number, _prefix, _address, _hexadecimal, _account, _word, _clock, _network)
    while True:
        yield f"{rng.choice(makers)(rng)} {rng.choice(FILL)} {rng.choice(FILL)} "
        if rng.random() < 0.3:
            yield "\n"


def _number(rng: random.Random) -> str:
    """Digits in groups, as on a card, with one that breaks the Luhn sum."""
    digits = [rng.choice("3456"), *(rng.choice("0123456789") for _ in range(15))]
    total = sum(int(d) if i % 2 else sum(divmod(int(d) * 2, 10)) for i, d in enumerate(digits))
    if total % 10 == 0:
        digits[-1] = str((int(digits[-1]) + 1) % 10)
    text = "".join(digits)
    joint = rng.choice(("", " ", "-"))
    return joint.join(text[at : at + 4] for at in range(0, 16, 4))


def _prefix(rng: random.Random) -> str:
    """A token's prefix and too few characters."""
    return rng.choice(_PREFIXES) + "".join(rng.choices(_BASE62, k=rng.randint(2, 9)))


def _address(rng: random.Random) -> str:
    return rng.choice(("someone@", "@channel", "pkg@1.2.3", "user@localhost", "a@b", "git@host:x/y"))


def _hexadecimal(rng: random.Random) -> str:
    return rng.choice((digest, uuid))(rng)


def _account(rng: random.Random) -> str:
    """A country and digits that are no IBAN (check digits 00 never are)."""
    return f"{rng.choice(('DE', 'GB', 'FR', 'NL'))}00 " + " ".join(f"{rng.randint(0, 9999):04}" for _ in range(4))


def _word(rng: random.Random) -> str:
    return f"{rng.choice(_WORDS)}{rng.choice((':', '=', ' is'))} {rng.choice(_NOTHING)}"


def _clock(rng: random.Random) -> str:
    return f"{rng.randint(10**12, 10**13)}.{rng.randint(0, 10**6)}"


def _network(rng: random.Random) -> str:
    return f"v{rng.randint(256, 999)}.{rng.randint(0, 999)}.{rng.randint(0, 999)}.{rng.randint(256, 999)}"
