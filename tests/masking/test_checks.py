"""Validators: numbers that are valid, and the same altered."""

import pytest

from extproc.masking.checks import describe, named
from extproc.masking.checks.numbers import IBAN_LENGTHS, luhn

BECH32M = "bc1p6j0kguenca0zfp65zt5cpmtxln69df4vxyatulcfqmlg04jkyy4qmhsz55"

ACCEPTED: list[tuple[str, str]] = [
    ("luhn", "7992-7398-713"),
    ("verhoeff", "2363"),
    ("verhoeff", "142857 0"),
    ("card", "4" + "1" * 15),
    ("card", "5500-0000-0000-0004"),
    ("card_named", "3500 0000 0000 0009"),
    ("card_named", "501800000009"),
    ("phone", "02.27.96.63.08"),
    ("jose_encoded", "ZXlKcmFXUWlPaUp0ZVY5clpYbGZhV1FpZlEuZTMwLng="),
    ("not_filled", "ghp_q7Zk2Vb9xxxxq7Zk2Vb9"),
    ("not_filled", "xxxxxxxx"),
    ("not_filled", "AKIA" + "Z" * 16),
    ("unworded", "hf_q7Zk2Vb9q7Zk2Vb9q7Zk2Vb9q7Zk2V"),
    ("ssn", "219-09-9999"),
    ("iban", "GB29 NWBK 6016 1331 9268 19"),
    ("aba", "0711-8916-7"),
    ("aba", "121010458"),
    ("weighted:10:3,7,3,7,3,7,3,7,-1", "111 111 110"),
    ("digits:4", "A-12-34"),
    ("alone", "2345 6789 0124"),
    ("base58check", "1BoatSLRHtKNngkdXEeobR76b53LETtpyT"),
    ("base58check", "32x16FbpGc6kDdSnqCWx8d3bHq2wKkWykr"),
    ("bech32", "BC1QF39P270C5RAV37WWDFDLJSDAD0ZF5VTA8CKJDN"),
    ("bech32", BECH32M),
    ("ripple", "rrrrrrrrrrrrrrrrrrrrrhoLvTp"),
    ("stellar", "GA7QYNF7SOWQ3GLR2BGMZEHXAVIRZA4KVWLTJJFC7MGXUA74P7UJVSGZ"),
    ("email", "a_b%c@xn--bcher-kva.xn--p1ai"),
    ("phone", "92 84 75"),
    ("phone", "(11) 2786-8070"),
    ("phone_grouped", "0479 49 44 73"),
    ("phone_international", "+49 (0) 30 901820"),
    ("phone_international", "0049 30 901820"),
    ("phone_us", "1-212-555-0123 ext. 45"),
    ("ipv4", "8.8.4.4"),
    ("ipv4_long", "203.0.113.7"),
    ("ipv6", "2001:db8::a7"),
    ("ipv6", "64:ff9b::203.0.113.9"),
    ("ipv6", "::ffff:198.51.100.7"),
    ("idnr", "36 574 371 897"),
    ("kr_brn", "207-81-62533"),
    ("ipv6", "d80:e4b5:79da:9cf7:75f3:59f9:9703:c709"),
    ("mac", "aabb.vjnd.eezf"),
    ("day", "29.02.2024"),
    ("day", "10/10/1976"),
    ("day", "3rd of March 1975"),
    ("day", "10-MAY-80"),
    ("day", "7 de agosto de 1966"),
    ("yymmdd", "960119-8670803"),
    ("ddmmyy", "311299-1234"),
    ("nino", "pr 12 36 12 c"),
    ("dea", "GL0025191"),
    ("npi", "1242616591"),
    ("medicare_au", "2123 57570 1"),
    ("nric", "M4368672T"),
    ("nric", "g1122144r"),
    ("snils", "112-233-445 95"),
    ("svnr_de", "15 070649 C 103"),
    ("icao", "L01X30T14"),
    ("kvnr", "A129651513"),
    ("lanr", "123446087"),
    ("hetu", "131052-308T"),
    ("dni", "1145611g"),
    ("hkid", "A123456(3)"),
    ("national_id_tw", "A123438889"),
    ("vin", "1M8GDM9AXKP042788"),
    ("mrz", "L898902C36UTO7408122F1204159ZE184226B<<<<<10"),
    ("licence", "D123-4567-8901"),
    ("stdnum:de.handelsregisternummer", "Aachen HRA 11223"),
    ("stdnum:pl.pesel", "44021202551"),
    ("stdnum:in_.aadhaar", "2341:2341:2346"),
    ("stdnum:br.cpf", "390.143.825-45"),
    ("stdnum:se.personnummer", "811218-9876"),
    ("stdnum:se.personnummer", "811218+9876"),
    ("stdnum:se.personnummer", "198112189876"),
    ("stdnum:us.ein", "91-4364336"),
    ("stdnum:verhoeff", "1-428.570"),
    ("stdnum:iso7064.mod_11_10", "36590201419"),
    ("entropy", "a1B2c3D4"),
    ("entropy:2.0", "abcd"),
    ("digit", "abc1"),
    ("both_cases", "abC"),
    ("varied", "abc"),
    ("mixed", "sk-aBc"),
    ("not_words", "a1b2c3d4e5"),
    ("not_words", "q7-Rx_9.Zk"),
    ("not_placeholder", "correct-horse"),
    ("bearer", "Bearer mF_9.B"),
    ("jose", "eyJhbGciOiJIUzI1"),
    ("crc32:base62:6", "tok_" + "a1B2" * 6 + "2SzgM5"),
]

REFUSED: list[tuple[str, str]] = [
    ("luhn", "7992-7398-714"),
    ("verhoeff", "2633"),
    ("verhoeff", "142857 1"),
    ("luhn", "----"),
    ("card_named", "3500 0000 0000 0008"),
    ("card_named", "1763700000001008"),
    ("card_named", "000000000000"),
    ("phone", "10.0.0.17"),
    ("jose_encoded", "ZXlKaGJHY2lPaUpJVXpJMU5pSXNJbl*5"),
    ("jose_encoded", "ZXlK" + "q7Zk2Vb9" * 5),
    ("not_filled", "ghp_" + "x" * 36),
    ("not_filled", "glsa_" + "X" * 32 + "_AAAAAAAA"),
    ("unworded", "hf_requiredTypesForTheDisplayOfMetadata"),
    ("card", "4" + "1" * 14 + "2"),
    ("ssn", "666-09-9999"),
    ("iban", "GB28 NWBK 6016 1331 9268 19"),
    ("aba", "421094854"),
    ("aba", "000000000"),
    ("weighted:10:3,7,3,7,3,7,3,7,-1", "111 753 421"),
    ("weighted:10:3,7,3,7,3,7,3,7,-1", "111 013 51"),
    ("digits:4", "A-12-3"),
    ("base58check", "1BoatSLRHtKNngkdXEeobR76b53LETtpyU"),
    ("base58check", "1BoatSLRHtKNngkdXEeobR76b53LETtpy0"),
    ("bech32", "bC1qf39p270c5rav37wwdfdljsdad0zf5vta8ckjdn"),
    ("bech32", BECH32M[:-1] + "8"),
    ("bech32", "1qqqqqq"),
    ("ripple", "rrrrrrrrrrrrrrrrrrrrrhoLvTr"),
    ("stellar", "GA7QYNF7SOWQ3GLR2BGMZEHXAVIRZA4KVWLTJJFC7MGXUA74P7UJVSGA"),
    ("stellar", "not base 32"),
    ("email", "a@b.c"),
    ("phone", "2026-01-31"),
    ("phone", "31/12/2026"),
    ("phone", "10.0.0.17"),
    ("phone", "14 1657"),
    ("phone", "0000000"),
    ("phone_grouped", "01 02 2026 12"),
    ("phone_grouped", "02110-1301"),
    ("phone_international", "+999 123 456 789"),
    ("phone_international", "+1 203 305"),
    ("phone_us", "000-000-0000"),
    ("ipv4", "127.0.0.1"),
    ("ipv4", "256.1.1.1"),
    ("ipv4", "10.0.0.0"),
    ("ipv4", "192.168.01.1"),
    ("ipv4_long", "8.8.4.4"),
    ("ipv6", "::1"),
    ("ipv6", "::ffff:127.0.0.1"),
    ("ipv6", "64:ff9b::203.0.113.256"),
    ("idnr", "36 574 371 898"),
    ("idnr", "11112345678"),
    ("kr_brn", "207-81-62534"),
    ("kr_brn", "000-81-62533"),
    ("iban", "GB29 nWBK 6016 1331 9268 19"),
    ("ipv6", "abc::def"),
    ("ipv6", "2001:db8::1::2"),
    ("mac", "ff:ff:ff:ff:ff:ff"),
    ("mac", "00:1a:2b:3c:4d:5e:6f"),
    ("day", "31.02.2000"),
    ("day", "2026-13-01"),
    ("day", "31 February 1990"),
    ("day", "12/12/1812"),
    ("yymmdd", "961301-1234567"),
    ("ddmmyy", "310299-1234"),
    ("nino", "BG195540A"),
    ("nino", "AO123612A"),
    ("dea", "GL0285192"),
    ("npi", "1245319590"),
    ("medicare_au", "2123 55026 1"),
    ("nric", "M4332674S"),
    ("nric", "A4332674T"),
    ("snils", "112-233-445 96"),
    ("svnr_de", "15073569C719"),
    ("icao", "L01X51T07"),
    ("kvnr", "A121440739"),
    ("lanr", "123416013"),
    ("hetu", "131052-308U"),
    ("hetu", "310769-221Y"),
    ("dni", "12339684A"),
    ("hkid", "A123456(4)"),
    ("national_id_tw", "A123456788"),
    ("vin", "1M8GDM9A0KP042788"),
    ("mrz", "L898902C36UTO7408122F1204159ZE184226B<<<<<11"),
    ("licence", "renewal"),
    ("licence", "2026-01-31"),
    ("stdnum:pl.pesel", "44056709388"),
    ("stdnum:se.personnummer", "811218-9877"),
    ("stdnum:se.personnummer", "811318-9875"),
    ("stdnum:pl.pesel", "4" * 65),
    ("stdnum:pl.pesel", "\u0664" * 11),
    ("stdnum:de.idnr", ""),
    ("entropy", "aaaaaaab"),
    ("digit", "abc"),
    ("both_cases", "abc1"),
    ("varied", "abab"),
    ("mixed", "sk-abc"),
    ("not_words", "folding-cube-container"),
    ("not_words", "your-key-4711"),
    ("not_words", "xxxx1234"),
    ("not_placeholder", "<API_KEY>"),
    ("not_placeholder", "${API_KEY}"),
    ("not_placeholder", "changeme1"),
    ("not_placeholder", "0000000"),
    ("bearer", "Bearer token"),
    ("jose", "eyJsaW1pdCI6MTAw"),
    ("crc32:base62:6", "tok_" + "a1B2" * 6 + "2SzgM6"),
]

TOUCHING: list[tuple[str, str, str, int]] = [
    ("alone", "1 ", "2345 6789 0124", 0),
    ("ipv4", "e/", "120.0.12.99", 0),
    ("ipv4", "//", "192.0.2.44", 10),
    ("ipv6", "::", "2001:db8::1", 0),
    ("mac", "a:", "00:1a:2b:3c:4d:5e", 0),
    ("mac", "r:", "00:1a:2b:3c:4d:5e", 17),
    ("phone_us", "3-", "212-555-0123", 0),
    ("phone", "6-", "11-22 18 58", 0),
    ("phone_international", "  ", "+1 203 305 2492 5", 15),
    ("licence", "  ", "D123456 is", 7),
]


def run(check: str, text: str, before: str = "\n\n") -> int:
    """How many characters of the candidate are accepted."""
    data = before.encode() + text.encode() + b"\n"
    return max(0, named(check)(data, 2, len(data) - 1) - 2)


@pytest.mark.parametrize(("check", "text"), ACCEPTED)
def test_valid_value_is_accepted_whole(check: str, text: str) -> None:
    """A value that follows the rules of who gives it out is accepted to its end."""
    assert run(check, text) == len(text)


@pytest.mark.parametrize(("check", "text"), REFUSED)
def test_altered_value_is_refused(check: str, text: str) -> None:
    """One digit changed, or a look-alike: nothing is accepted."""
    assert run(check, text) == 0


@pytest.mark.parametrize(("check", "before", "text", "accepted"), TOUCHING)
def test_what_stands_beside_a_candidate_counts(check: str, before: str, text: str, accepted: int) -> None:
    """A part of something longer is refused; what follows a value is cut off."""
    assert run(check, text, before) == accepted


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("sha256", "--checks"),
        ("stdnum:os.path", "no module 'os.path'"),
        ("stdnum:..os", "wanted is a name like"),
        ("stdnum:pl.nope", "no module"),
        ("stdnum:exceptions", "no module"),
        ("stdnum:", "--checks"),
        ("entropy:much", "expected entropy:<bits>"),
        ("entropy:9", "less than 8"),
        ("weighted:1:3", "a modulus is 2 or more"),
        ("weighted:11:", "expected weighted:"),
        ("digits:few", "expected digits:<n>"),
        ("crc32:hex:8", "there is crc32:base62:6"),
    ],
)
def test_unknown_check_is_said(name: str, said: str) -> None:
    """A name that there is no check for is a ValueError that says what there is."""
    with pytest.raises(ValueError, match=said):
        named(name)


def test_every_check_is_described_and_tested() -> None:
    """The list for rule authors has a line for each check, and the plain ones are in the tables above."""
    tested = {name for name, _ in ACCEPTED} & {name for name, _ in REFUSED}
    elsewhere = {name for name in describe() if named_module(name) in ("assignment", "generic")}
    plain = {name for name in describe() if ":" not in name}
    assert all(line and "\n" not in line for line in describe().values())
    assert plain - tested - elsewhere == {"alone"}


def named_module(name: str) -> str:
    """The module that a plain check is in; those with a parameter are in none."""
    return "" if ":" in name else named(name).__module__.rpartition(".")[2]


def test_a_check_is_made_once() -> None:
    """Rules that name the same check share it."""
    assert named("stdnum:pl.pesel") is named("stdnum:pl.pesel")


def test_tables_of_registries() -> None:
    """The registries that are tables here have what they should."""
    assert luhn(b"79927398713")
    assert len(IBAN_LENGTHS) > 85
