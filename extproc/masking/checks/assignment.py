"""Validators of what stands after `password=`, `api_key:` and the like: is it a secret, or code, prose, a stand-in?

The name alone says little: in source code most of what is assigned to a `token` is a variable, a call or a type. So a
value has to look like a secret by several factors at once: length, kinds of characters, whether it falls into words,
entropy; and it must not be a reference, a template, a path, a name, a sentence or a placeholder.

A value may be `quoted`, `bare` (up to a blank: it may be code, and what follows it, as `&` or `;`, is cut off) or a
`member` (the whole value of a field with that name). A password may be a word, a `secret` (token, API key) hardly.
"""

import re

from extproc.masking.checks.randomness import DIGIT, LETTER, SLUG, common, random, scrambled, symbolic, wordiness

# Longer heads than this no rule has; what is looked at is bounded by the rule.
_STAND_IN = re.compile(
    rb"\b(?:example|examples|sample|dummy|placeholder|redacted|masked|hidden|removed|undefined|required|optional|insert|"
    rb"replace|replaced|change ?(?:me|it|this)|fix ?me|todo|tbd|not ?set|lorem|foo ?bar|your|my (?:secret|token|key|"
    rb"password|api)|some (?:secret|token|key|password)|goes here|here)\b|fake|(.)\1{4}|\*{3}|\.{3}|\xe2\x80\xa2",
    re.IGNORECASE,
)  # fmt: skip
_TEMPLATE = re.compile(
    rb"\$\{[\w .:!?/|,()\[\]\x22\x27-]*\}|\$\([^()]*\)|\{\{[^{}]*\}\}|\$\{\{|\{%|%\}|<%|%>|#\{[^{}]*\}|%\(\w+\)|"
    rb"\{[A-Za-z_][\w.\[\]\x22\x27!:]{2,}\}|<[A-Za-z/!?][^<>]*>|\[[A-Za-z_ -]{3,}\]|@@?\{?[a-z_.]{3,}\}?@?\Z|"
    rb"%[A-Z_]{3,}%|\[\[|(?:\A|[/:=. -])\$[A-Za-z_]{3,}\b|%[sdv](?![A-Za-z0-9])|\{\d?\}"
)  # fmt: skip
_REFERENCE = re.compile(
    rb"[$&*!~@%^?<>=|,;:.()\[{\\/+-]*(?:\$\w+|[A-Za-z_$][\w$]*\??(?:(?:\.|->|::|\?\.)[A-Za-z_$][\w$]*)+.*|"
    rb"[A-Za-z_$][\w$]*(?:\(|\[|<|\{[\w}]|\)|\}|,\w|=|\+|\|\||&&|->|::|\*\)).*|_\w*|\w+_)|"
    rb"(?:[A-Za-z]+_)+[A-Za-z0-9]{0,8}[!?]?|[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+|[bruf]?\\.*|0x[0-9A-Fa-f]{1,8}[uUlL]*",
    re.DOTALL,
)  # fmt: skip
_PATH = re.compile(
    rb"[a-z][a-z0-9+.-]{1,15}:(?://|\d)|(?:\.{0,2}|~|[A-Za-z]:)[/\\][\w.@-]*(?:[/\\]|\Z)|[\w.-]+/[\w.-]+/|[\w-]+\.(?:py|js|ts|go|"
    rb"json|ya?ml|txt|pem|key|crt|md|html?|css|xml|java|rb|sh|cfg|conf|ini|env|log|png|svg|com|org|net|io|local)\b|"
    rb"[\w.+-]+@[\w-]+\.[A-Za-z]|(?:arn|urn|data|mailto|vault|secret|file|env|ref|sm|ssm):",
    re.IGNORECASE,
)  # fmt: skip
_NUMBERISH = re.compile(
    rb"[-+]?\d*\.?\d+(?:[eE][-+]?\d+)?[a-zA-Z%]{0,3}|v?\d+(?:[.\-/:T ]\d+)+(?:[-+.Z]\w*)?|0[xX][0-9a-fA-F]{1,8}|"
    rb"[0-9a-fA-F]{2}(?:[ :-][0-9a-fA-F]{2})+"
)
_NAME = re.compile(rb"[A-Za-z_]\w*(?:\$\d+)?")
_UUID = re.compile(rb"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)
_TECHNICAL = re.compile(
    rb"(?:sha|md|utf|base|hmac|hs|rs|es|ps|aes|rc|oauth|http|https?|ipv|ip|x|ed|ecdsa|rsa|curve|latin|iso|win|cp|int|uint|"
    rb"float|bool|i|u|f|v|s3|p|log|tls|ssl|ssh|pkcs|ntlm|scram|basic|bearer|digest|argon|pbkdf|bcrypt|scrypt|crc|murmur|siphash|"
    rb"python|py|test|string|str|var|arg|param|tmp|temp|item|value|val|key|token|tok|secret|node|type|level|line|"
    rb"col|row|field|user|id|num|step|part|chapter|section|page|h|f|k|ctrl|alt|shift|a|b|c|t|n)[-_]?\d{1,4}[a-z]?",
    re.IGNORECASE,
)  # fmt: skip
_LABELS = frozenset(
    b"string text password passwd pass pwd passphrase secret secrets token tokens username user login email "
    b"name none null nil true false yes no on off void any object number integer boolean bool str int bytes "
    b"byte array list dict map type value key auth authorization bearer basic digest oauth jwt hidden input "
    b"label field default disabled enabled invalid valid required optional missing empty unknown undefined "
    b"unset prompt plain plaintext clear encrypted hashed hash file path env environment vault keyring keychain "
    b"secure confirm current new old reset change forgot update create delete public private self this function "
    b"class return const let var async await static final nullptr identifier comma colon keyword literal "
    b"operator punctuation symbol error start end begin next last first test tests testing mock stub char uint "
    b"credentials credential apikey api-key session access refresh id".split()
)
_PROSE = re.compile(
    rb"\b(?:the|is|are|was|be|been|must|should|shall|can|cannot|could|will|may|not|your|you|this|that|these|for|of|to|from|in|"
    rb"on|if|has|have|had|does|do|did|please|enter|invalid|incorrect|wrong|missing|required|least|at|by|or|when|which|it|as|"
    rb"password|passwords|secret|token|tokens|key|user|field|error|failed|expected|an|no|new|old|all|only|set|use|used)\b",
    re.IGNORECASE,
)  # fmt: skip
_KEY_WORD = re.compile(rb"pass|token|secret|pwd|auth|(?<![A-Za-z])key", re.IGNORECASE)
_CUT = re.compile(rb"[&;,](?=[A-Za-z_][\w.\[\]-]{0,40};?[=:])|\\[nrtu\x22]|[\x22\x27`]")
_MAY_CUT = re.compile(rb"[&;,\\\x22\x27`]")
_PAIRED = {41: 40, 93: 91, 125: 123}


def quoted_password(data: bytes, start: int, end: int) -> int:
    """What stands in quotes after `password`: a word is enough, if it is no label, sentence, template or name."""
    end = _unescaped(data, start, end)
    return end if _likely(data[start:end], password=True) else 0


def quoted_secret(data: bytes, start: int, end: int) -> int:
    """What stands in quotes after `secret`, `token`, `api_key`: eight random characters or more, or a phrase."""
    end = _unescaped(data, start, end)
    return end if _likely(data[start:end], password=False) else 0


def named_secret(data: bytes, start: int, end: int) -> int:
    """As `quoted-secret`, for names that go on after the key word (`token_for_tests`): twelve characters or more."""
    return quoted_secret(data, start, end) if end - start >= 12 else 0


def named_bare(data: bytes, start: int, end: int) -> int:
    """As `bare-secret`, for names that go on after the key word: twelve characters or more."""
    end = bare_secret(data, start, end)
    return end if end - start >= 12 else 0


def bare_password(data: bytes, start: int, end: int) -> int:
    """What stands without quotes after `password=`: as quoted, with a digit or symbol, and no code."""
    end = _cut(data, start, end)
    return end if _bare(data[start:end], password=True) else 0


def env_password(data: bytes, start: int, end: int) -> int:
    """What stands without quotes after `PASSWORD=` in capitals, as the environment has it: a word too."""
    end = _cut(data, start, end)
    text = data[start:end]
    return end if _bare(text, password=True) or (text.isalpha() and _likely(text, password=True)) else 0


def bare_secret(data: bytes, start: int, end: int) -> int:
    """What stands without quotes after `token=`, `api_key:`: random, and no code."""
    end = _cut(data, start, end)
    return end if _bare(data[start:end], password=False) else 0


def member_password(data: bytes, start: int, end: int) -> int:
    """The whole value of a field named `password`: anything but a template, a label, a sentence, a placeholder."""
    text = data[start:end]
    if len(text) < 4 or text.lower() in _LABELS or _TEMPLATE.search(text) or _STAND_IN.search(text):
        return 0
    if b" " in text:
        return 0 if text[:1].isupper() or _PROSE.search(text) else end
    return end if _likely(text, password=True) or (text.isalnum() and not _titled(text)) else 0


def member_secret(data: bytes, start: int, end: int) -> int:
    """The whole value of a field named `client_secret`, `api_key`, `token`: random, a UUID too."""
    text = data[start:end]
    return end if _likely(text, password=False) or _UUID.fullmatch(text) else 0


def random_value(data: bytes, start: int, end: int) -> int:
    """32 characters or more of base64 or hexadecimal that look random: no words, no repetitions, no public key."""
    text = data[start:end]
    if text.startswith((b"AAAA", b"MIIB", b"MIGf", b"MFkw", b"MCow")) or _STAND_IN.search(text):
        return 0
    digits = any(48 <= b <= 57 for b in text)
    return end if len(text) >= 32 and digits and random(text) and not SLUG.fullmatch(text) else 0


def compared(data: bytes, start: int, end: int) -> int:
    """A literal that is compared with a name, from behind its opening quote (`…" == password`): the literal's end."""
    for quote in b"\x22\x27`":
        at = data.find(quote, start, end)
        if at > start:
            return at if _likely(data[start:at], password=True) else 0
    return 0


def _unescaped(data: bytes, start: int, end: int) -> int:
    """Without the backslash of an escaped closing quote."""
    return end - 1 if end > start and data[end - 1] == 92 else end


def _cut(data: bytes, start: int, end: int) -> int:
    """The end of a bare value: before the next pair (`&`, `;`, `,` and a name), a quote, and without the closing
    punctuation that it does not open itself."""
    if _MAY_CUT.search(data, start, end) and (found := _CUT.search(data, start, end)):
        end = found.start()
    while end > start:
        last = data[end - 1]
        opening = _PAIRED.get(last)
        if opening is not None:
            text = data[start:end]
            if text.count(last) <= text.count(opening):
                break
        elif last not in b",;:.\\\\":
            break
        end -= 1
    return end


def _bare(text: bytes, password: bool) -> bool:
    """A value without quotes: never a name that code could use, unless it looks random."""
    if not text.isalpha() and text.islower() and not DIGIT.search(text) and not symbolic(text):
        return False  # what follows says so too, but takes its time, and `pwd=pwd=pwd=` has many of them
    name = _NAME.fullmatch(text)
    if len(text) >= 10 and not (name and (b"_" in text or _KEY_WORD.search(text))) and scrambled(text):
        return not _TEMPLATE.search(text)
    if len(text) < 6 or (not DIGIT.search(text) and not symbolic(text)):
        return len(text) >= 16 and text.isalpha() and random(text)
    if text.isdigit():
        return password and len(set(text)) > 3
    if text.startswith(b"&") or (text.startswith(b"=") and _NAME.match(text, 1)):
        return False
    if name and (b"_" in text or _KEY_WORD.search(text)):
        return len(text) >= 20 and random(text) and wordiness(text) < 0.35
    return _likely(text, password)


def _likely(text: bytes, password: bool) -> bool:
    """Whether a value looks like a secret, of which nothing but the kind is known."""
    if (
        len(text) < (5 if password else 8)
        or len(set(text.lower())) < 4
        or not (LETTER.search(text) or DIGIT.search(text))
    ):
        return False
    if text.lower() in _LABELS or _STAND_IN.search(_spaced(text)) or _TEMPLATE.search(text):
        return False
    if b" " in text or b"\t" in text:
        return _phrase(text)
    if scrambled(text):
        return True
    if _PATH.match(text) or _REFERENCE.fullmatch(text) or _TECHNICAL.fullmatch(text) or _UUID.fullmatch(text):
        return False
    if _NUMBERISH.fullmatch(text):
        return password and text.isdigit() and len(text) >= 6
    digits = sum(48 <= b <= 57 for b in text)
    letters = sum(chr(b).isalpha() for b in text if b < 128)
    if not digits and (letters == len(text) or SLUG.fullmatch(text)):
        return _word(text, password)
    if SLUG.fullmatch(text):
        return False
    if symbolic(text):
        return True
    if password:
        return bool(digits and letters)
    if len(text) < 16:
        return bool(digits and letters) and wordiness(text) < 0.75
    return random(text)


def _word(text: bytes, password: bool) -> bool:
    """Letters alone: a password may be a word, if no capital makes it a label or a name; a token looks random."""
    if len(text) >= 16 and random(text):
        return True
    if len(text) >= 24 and text.isalpha() and text.islower():
        return True
    if not (password and text.isalpha()):
        return False
    return text.islower() or (len(text) >= 8 and not text.istitle() and not text.isupper() and common(text) < 0.35)


def _phrase(text: bytes) -> bool:
    """Several words: a passphrase is words in lower case and no sentence; or words with digits and symbols in them."""
    words = text.split()
    if len(words) < 3 or text[:1].isupper() or _PROSE.search(text) or text[-1:] in b".:?!,;" or b"  " in text:
        return False
    return all(word.isalpha() and word.islower() for word in words)


def _spaced(text: bytes) -> bytes:
    """With its words apart, so that a stand-in is seen as a word of its own and not inside a longer one."""
    return re.sub(rb"[-_.]+|(?<=[a-z])(?=[A-Z])", b" ", text)


def _titled(text: bytes) -> bool:
    return text.isalpha() and not text.islower()
