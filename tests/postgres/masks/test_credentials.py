"""The gateway's own credentials: masked in whatever a server answers, also where policy masks nothing."""

import json

import pytest

from extproc.domain.mask import Mask
from extproc.masking.engine.fingerprint import Fingerprints, fingerprints_of
from extproc.masking.plan import Knowledge
from extproc.protocols.postgres.masks import CopyOptions, copy_mask, mask_notice, row_mask
from tests.postgres.masks.answers import EMAIL, KNOWN, Value, field, frames, mask, message, parts, rows, through
from tests.postgres.masks.test_values import array

SECRET = b"tk-live-4eC39HqLyjWDarjtT1zdp7dc"
KEY = b"k" * 32
GUARDED = Knowledge(KNOWN.engine, Fingerprints(KEY, fingerprints_of(SECRET, "", KEY)), KEY)
COVER = b"[masked:credential]"

CASES: list[tuple[int, bool, bytes, Value]] = [
    (25, False, b"it is " + SECRET, b"it is " + COVER),
    (25, False, EMAIL, EMAIL),
    (3802, False, b'{"a": "%s"}' % SECRET, b'{"a": "%s"}' % COVER),
    (114, False, b'{"a": "\\u0074%s"}' % SECRET[1:], b'{"a": "%s"}' % COVER),
    (114, False, b'{"a": 1', b'{"a": 1'),
    (17, False, b"\\x" + SECRET.hex().encode(), b"\\x" + b"2a" * len(SECRET)),
    (1009, True, array(25, SECRET, EMAIL), array(25, COVER, EMAIL)),
    (142, False, b"<a>%s</a>" % SECRET, b"<a>%s</a>" % COVER),
    (2249, False, b"(%s,1)" % SECRET, b'("%s",1)' % COVER),
    (70000, True, b"\0" + SECRET, b"\0" + b"*" * len(SECRET)),
]


@pytest.mark.parametrize("masks", [[], [mask("card")]], ids=["no mask", "another mask"])
@pytest.mark.parametrize(("oid", "binary", "value", "wanted"), CASES)
def test_a_credential_is_masked_in_every_type(
    masks: list[Mask], oid: int, binary: bool, value: bytes, wanted: Value
) -> None:
    """And nothing else is, where nobody asks for it; what is malformed stays so, where nobody asks for anything."""
    masking = row_mask(masks, GUARDED, [field("c", oid, binary)], [None])
    ((found,),) = rows(through(masking, message([value])))
    assert found == (wanted if not masks or value != b'{"a": 1' else None)


@pytest.mark.parametrize("masks", [[], [mask("card")]], ids=["no mask", "another mask"])
def test_a_credential_is_masked_in_a_long_row(masks: list[Mask]) -> None:
    """JSON, too."""
    document = json.dumps({"a": SECRET.decode(), "b": ["x" * 100] * 20_000}).encode()
    fields = [field("c"), field("d", 3802)]
    masking = row_mask(masks, GUARDED, fields, [None, None])
    assert masking is not None
    row = message([SECRET, document])
    (found,) = rows(b"".join(masking.feed(frame) for frame in parts(row, 1 << 16)))
    assert found[0] == b"*" * len(SECRET)
    assert found[1] is not None
    assert len(found[1]) == len(document)
    assert json.loads(found[1])["a"] == "*" * len(SECRET)
    assert masking.counts == {"credential": 2}


def test_a_credential_is_masked_in_errors_and_copies() -> None:
    """As in rows."""
    text = f"no such token: {SECRET.decode()}"
    assert mask_notice([("M", text)], [], GUARDED, None)[0] == (("M", f"no such token: {COVER.decode()}"),)
    masking = copy_mask([], GUARDED, [("a", 0)], [None], CopyOptions())
    assert masking is not None
    data = b"d" + (4 + len(SECRET) + 1).to_bytes(4, "big") + SECRET + b"\n"
    out = b"".join(masking.feed(frame) for frame in frames(data))
    assert out[5:] == COVER + b"\n"
