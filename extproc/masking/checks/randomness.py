"""How random a text is: the kinds of its characters, how they change, its entropy, and what of it falls into words."""

import math
import re
from collections import Counter
from itertools import pairwise

SLUG = re.compile(rb"(?:[A-Za-z]{2,}|[a-z]{0,3}\d{1,4}|v\d)(?:[-_.:/ ](?:[A-Za-z]+\d?|[a-z]{0,3}\d{1,4}[a-z]?))+")
_WORD = re.compile(rb"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
# Two hundred frequent pairs of letters: most of English text, and three tenths of random letters.
_PAIRS = frozenset(
    b"th he in er an re on at en nd ti es or te of ed is it al ar st to nt ng se ha as ou io le ve co me de hi ri "
    b"ro ic ne ea ra ce li ch ll be ma si om ur ca el ta la ns di fo ho pe ec pr no ct us ac ot il tr ly nc et ut "
    b"ss so rs un lo wa ge ie wh ee wi em ad ol rt po we na ul ni ts mo ow pa im mi ai sh ir su id os iv ia am fi "
    b"ci vi pl ig tu ev ld ry mp fe bl ab gh ty op wo sa ay ex ke fr oo av ag if ap gr od bo sp rd do uc bu ei ov "
    b"by rm ep tt oc fa ef cu rn sc gi da yo cr cl du ga qu ue ff ba ey ls va um pp ua up lu go ht ru ug ds lt pi "
    b"rc rr eg au ck ew mu br bi pt ak pu ui rg ib tl ny ki rk ys".split()
)
_SYMBOLS = frozenset(b"!@#$%^&*?~+=|<>{}[]();,")
_NO_SYMBOLS = bytes(set(range(256)) - _SYMBOLS)
_CODE_SYMBOLS = frozenset(b"()[]{}\\;")
_PARTS = re.compile(rb"[\w.=~+-]{24,}")
_PARTED = re.compile(rb"[.=]|_\Z")
_FILE = re.compile(rb"\.[a-z]{1,5}\Z")
LETTER, DIGIT = re.compile(rb"[A-Za-z]"), re.compile(rb"[0-9]")
_MIXABLE = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!@#$%^&*-_+=?/~"
_KINDS = bytes(97 if 97 <= b <= 122 else 65 if 65 <= b <= 90 else 48 if 48 <= b <= 57 else 33 for b in range(256))


def symbolic(text: bytes) -> bool:
    """Letters and symbols as people put them into passwords, and hardly as code has them."""
    kinds = set(text.translate(None, _NO_SYMBOLS))
    if not kinds:
        return False
    if kinds & _CODE_SYMBOLS:
        return len(kinds) >= 5 and len(text) >= 12 and text[:1] not in b"^([{\\/"
    if len(text) < 6 or not LETTER.search(text):
        return False
    return len(kinds) >= 3 or DIGIT.search(text) is not None


def scrambled(text: bytes) -> bool:
    """Characters of all kinds in no order, as generators make them: code that has so many has dots and brackets."""
    size = len(text)
    if size < 8 or text.translate(None, _MIXABLE):
        return False
    kinds = text.translate(_KINDS)
    present = set(kinds)
    if not {97, 65} <= present or (len(present) < 3 and common(text) > 0.25):
        return False
    changes = sum(a != b for a, b in pairwise(kinds))
    least = 0.35 if size >= 12 else 0.45
    return changes >= least * (size - 1) and wordiness(text) < 0.4 and not (size < 10 and SLUG.fullmatch(text))


def in_parts(text: bytes) -> bool:
    """A token in parts, with dots or equals signs between them or an underscore at its end, of which one is long and
    random: code that looks like that has words in its parts, and a file has a suffix."""
    if not _PARTS.fullmatch(text) or not _PARTED.search(text) or _FILE.search(text):
        return False
    return any(
        len(part) >= 16 and len(DIGIT.findall(part)) >= 2 and random(part) and wordiness(part) < 0.35
        for part in re.split(rb"[.=]", text)
    )


def common(text: bytes) -> float:
    """The share of neighbouring characters that are a common pair of letters."""
    lowered = text.lower()
    return sum(lowered[i : i + 2] in _PAIRS for i in range(len(text) - 1)) / (len(text) - 1)


def random(text: bytes) -> bool:
    """No words in it to speak of, and as much entropy as its length allows for."""
    size = len(text)
    counts = Counter(text)
    bits = -sum(n * math.log2(n / size) for n in counts.values()) / size
    digits = sum(48 <= b <= 57 for b in text)
    if bits < min(3.0, 0.75 * math.log2(size)) or (not digits and size < 12):
        return False
    return wordiness(text) < (0.6 if digits else 0.45)


def wordiness(text: bytes) -> float:
    """The share of letters that stand in words: four letters or more of which most pairs are common in English."""
    inside = 0
    for word in _WORD.findall(text):
        lowered = word.lower()
        pairs = len(word) - 1
        if pairs >= 3 and sum(lowered[i : i + 2] in _PAIRS for i in range(pairs)) >= 0.6 * pairs:
            inside += len(word)
    return inside / len(text)
