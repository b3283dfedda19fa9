"""Validators: given a candidate inside its buffer, where does a valid value that starts there end?

Each takes (data, start, end) with the candidate at data[start:end], and gives the end of the accepted value, at most
`end`, or 0 when there is none. The 64 bytes that words of context are looked for in stand before `start`, and one byte
after `end` unless the rule asks for no boundary on its right. A validator looks at nothing else, so its answer does not
depend on how a stream was cut.

Rules name them: a plain name as `luhn`, or one with a parameter as `entropy:3.5`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache

from extproc.masking.checks import assignment, chain, contact, dates, generic, identity, network, numbers, tokens
from extproc.masking.checks._stdnum import stdnum

Check = Callable[[bytes, int, int], int]


@dataclass(frozen=True, slots=True)
class _Parametrised:
    """Checks with a parameter after a colon."""

    form: str
    about: str
    make: Callable[[str], Check]


def _weighted(parameter: str) -> Check:
    modulus, _, weights = parameter.partition(":")
    return numbers.weighted(int(modulus), tuple(int(weight) for weight in weights.split(",")))


def _crc32(parameter: str) -> Check:
    if parameter != "base62:6":
        raise ValueError(f"of CRC-32 there is crc32:base62:6, not {parameter!r}")
    return tokens.crc32_base62


_PLAIN: dict[str, tuple[Check, str]] = {
    "aba": (numbers.aba, "US bank routing number: its range and checksum"),
    "alone": (numbers.alone, "not the rest of a longer number in groups"),
    "assigned": (generic.assigned, "a value of a name that leaves no doubt: no placeholder"),
    "bare_password": (
        assignment.bare_password,
        "unquoted, after password=: no code, a digit or symbol",
    ),
    "bare_secret": (assignment.bare_secret, "unquoted, after token= or api_key=: random, no code"),
    "base58check": (chain.base58check, "Base58Check, as in Bitcoin addresses: four bytes of double SHA-256"),
    "basic": (generic.basic, "base64 that decodes to user:password"),
    "bearer": (tokens.bearer, "what stands after Bearer: 16 characters, or fewer with a digit or symbol"),
    "bech32": (chain.bech32, "Bech32 or Bech32m: prefix, 1, data and BCH checksum"),
    "both_cases": (tokens.both_cases, "small letters and capitals"),
    "card": (numbers.card, "first digits and length as an issuer has them, and Luhn"),
    "card_named": (numbers.card_named, "12 to 19 digits that pass Luhn, and no clock"),
    "classes": (generic.classes, "small letters, capitals and digits"),
    "compared": (assignment.compared, "a quoted literal that is compared with a password"),
    "day": (dates.day, "a day that exists, in any order of year, month and day"),
    "ddmmyy": (dates.ddmmyy, "begins with a day as ddmmyy"),
    "dea": (identity.dea, "US DEA number: checksum of its seven digits"),
    "digit": (tokens.digit, "a digit somewhere"),
    "distinct": (generic.distinct, "eight different characters or more"),
    "email": (contact.email, "local@domain with a top-level name of letters"),
    "dni": (identity.dni, "Spanish identity number: its letter"),
    "header_secret": (assignment.header_secret, "after Authorization: as bare_secret, or a UUID"),
    "hetu": (identity.hetu, "Finnish personal identity code: day and check character"),
    "hkid": (identity.hkid, "Hong Kong identity card: check digit in parentheses"),
    "element_password": (assignment.element_password, "an element named password, up to its end: as quoted"),
    "env_password": (assignment.env_password, "unquoted, after PASSWORD=: as bare_password, or a word"),
    "iban": (numbers.iban, "registered country, its length, mod 97, letters in one case"),
    "icao": (identity.icao, "check digit of travel documents at the end: weights 7, 3, 1"),
    "idnr": (identity.idnr, "German tax identification number: check digit, no digit too often"),
    "ipv4": (network.ipv4, "an IPv4 address that names a host"),
    "ipv4_long": (network.ipv4_long, "an IPv4 address that names a host, and is not four single digits"),
    "ipv6": (network.ipv6, "an IPv6 address that names a host"),
    "jose": (tokens.jose, "base64url that decodes to the start of a JOSE header"),
    "jose_encoded": (tokens.jose_encoded, "base64 of a JSON web token"),
    "kr_brn": (identity.kr_brn, "South Korean business registration number: check digit"),
    "kvnr": (identity.kvnr, "German health insurance number: checksum"),
    "lanr": (identity.lanr, "number of a German physician: checksum"),
    "licence": (identity.licence, "groups with digits, five digits or more, no day"),
    "luhn": (numbers.luhn_check, "Luhn over the digits of the candidate"),
    "mac": (network.mac, "a MAC address, not all 00 or ff, not part of a longer sequence"),
    "medicare_au": (identity.medicare_au, "Australian Medicare number: checksum"),
    "member_password": (
        assignment.member_password,
        "a whole field named password: no template, label or sentence",
    ),
    "member_secret": (assignment.member_secret, "a whole field named token, client_secret: random"),
    "mixed": (tokens.mixed, "a digit or a capital after the first three characters"),
    "named_bare": (assignment.named_bare, "as bare_secret, 12 characters or more"),
    "named_secret": (assignment.named_secret, "as quoted_secret, 12 characters or more"),
    "mrz": (identity.mrz, "second line of a passport's machine-readable zone: its check digits"),
    "national_id_tw": (identity.national_id_tw, "identity number of Taiwan: checksum"),
    "nino": (identity.nino, "UK national insurance number: prefixes that are given out"),
    "not_filled": (tokens.not_filled, "not for the most part a row of x, a, 0 or *"),
    "not_placeholder": (tokens.not_placeholder, "no stand-in as in example, changeme, your-key, xxxx, <key>, ${KEY}"),
    "not_words": (tokens.not_words, "neither a placeholder nor words with separators between them"),
    "npi": (identity.npi, "US national provider identifier: Luhn over 80840 and its digits"),
    "nric": (identity.nric, "Singapore NRIC or FIN: checksum letter"),
    "openai": (generic.openai, "a key of the form sk-…, and none of another vendor's"),
    "phone": (contact.phone, "7 to 15 digits, or 6 in three groups; neither a date nor an IP address"),
    "phone_grouped": (contact.phone_grouped, "9 to 12 digits in groups, the first of them 0"),
    "phone_international": (contact.phone_international, "+ or 00, a country code, 9 to 15 digits"),
    "phone_us": (contact.phone_us, "ten digits, perhaps 1 before them and an extension"),
    "quoted_password": (
        assignment.quoted_password,
        "quoted, after password: no label, sentence or template",
    ),
    "quoted_secret": (
        assignment.quoted_secret,
        "quoted, after token, secret, api_key: random, or a phrase",
    ),
    "random_value": (assignment.random_value, "32 characters or more that look random"),
    "ripple": (chain.ripple, "Base58Check in the alphabet of the XRP ledger"),
    "snils": (identity.snils, "Russian SNILS: checksum"),
    "ssn": (identity.ssn, "US social security number: area, group and serial that are given out"),
    "stellar": (chain.stellar, "Stellar key: CRC-16 in its last two bytes"),
    "svnr_de": (identity.svnr_de, "German pension insurance number: checksum"),
    "unworded": (tokens.unworded, "random characters, and hardly words"),
    "user_key": (assignment.user_key, "a key alone on one side of the colon of -u: as bare_secret"),
    "user_password": (assignment.user_password, "after -u name: as bare_secret, or with a symbol in it"),
    "url_password": (generic.url_password, "password@host as a URL has it, up to the last @"),
    "url_token": (generic.url_token, "token@host as a URL has it, with a digit"),
    "verhoeff": (numbers.verhoeff, "Verhoeff over the digits of the candidate"),
    "varied": (tokens.varied, "three different characters or more"),
    "vin": (identity.vin, "vehicle identification number: check digit"),
    "yymmdd": (dates.yymmdd, "begins with a day as yymmdd"),
}

_FAMILIES: dict[str, _Parametrised] = {
    "crc32": _Parametrised("crc32:base62:6", "the last six characters: base-62 CRC-32 of what follows `_`", _crc32),
    "digits": _Parametrised("digits:<n>", "at least n digits", lambda text: numbers.at_least(int(text))),
    "entropy": _Parametrised("entropy:<bits>", "so many bits per character (3.0 where none is given)",
                             lambda text: tokens.entropy(float(text))),
    "stdnum": _Parametrised("stdnum:<module>", "is_valid of a module of python-stdnum, as stdnum:pl.pesel", stdnum),
    "weighted": _Parametrised("weighted:<modulus>:<weight>,<weight>,…",
                              "one weight for each digit; the sum is a multiple of the modulus", _weighted),
}  # fmt: skip


@lru_cache(maxsize=1024)
def named(name: str) -> Check:
    """The check of this name. Raises ValueError that says what is known."""
    if name in _PLAIN:
        return _PLAIN[name][0]
    if name == "entropy":
        return tokens.entropy()
    family, _, parameter = name.partition(":")
    if family not in _FAMILIES or not parameter:
        near = get_close_matches(name, describe(), 1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise ValueError(f"unknown check {name!r}; {hint}`holdpoint masking list --checks` has them all")
    try:
        return _FAMILIES[family].make(parameter)
    except ValueError as error:
        raise ValueError(f"check {name!r}: expected {_FAMILIES[family].form}; {error}") from None


def describe() -> dict[str, str]:
    """What each check asks for, by its name or form, in one line."""
    plain = {name: about for name, (_, about) in _PLAIN.items()}
    return dict(sorted((plain | {family.form: family.about for family in _FAMILIES.values()}).items()))
