"""Does a text look like a secret, of which nothing but the kind is known: or is it code, prose, a stand-in?

A value has to look like one by several factors at once: length, kinds of characters, whether it falls into words,
entropy; and it must not be a reference, a template, a path, a name, a sentence or a placeholder.
"""

import re

from extproc.masking.checks.randomness import (
    DIGIT,
    LETTER,
    SLUG,
    common,
    in_parts,
    random,
    scrambled,
    symbolic,
    wordiness,
)

# Longer heads than this no rule has; what is looked at is bounded by the rule.
STAND_IN = re.compile(
    rb"\b(?:example|examples|sample|dummy|placeholder|redacted|masked|hidden|removed|undefined|required|optional|insert|"
    rb"replace|replaced|change ?(?:me|it|this)|fix ?me|todo|tbd|not ?set|lorem|foo ?bar|your|my (?:secret|token|key|"
    rb"password|api)|some (?:secret|token|key|password)|goes here|here)\b|fake|(.)\1{4}|\*{3}|\.{3}|\xe2\x80\xa2",
    re.IGNORECASE,
)  # fmt: skip
TEMPLATE = re.compile(
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
    rb"[\w.-]+\.(?:js|mjs|css|map|json|html?|png|svg|jpe?g|gif|ico|woff2?|wasm)\Z|"
    rb"[\w.+-]+@[\w-]+\.[A-Za-z]|(?:arn|urn|data|mailto|vault|secret|file|env|ref|sm|ssm):",
    re.IGNORECASE,
)  # fmt: skip
_NUMBERISH = re.compile(
    rb"[-+]?\d*\.?\d+(?:[eE][-+]?\d+)?[a-zA-Z%]{0,3}|v?\d+(?:[.\-/:T ]\d+)+(?:[-+.Z]\w*)?|0[xX][0-9a-fA-F]{1,8}|"
    rb"[0-9a-fA-F]{2}(?:[ :-][0-9a-fA-F]{2})+"
)
_NAME = re.compile(rb"[A-Za-z_]\w*(?:\$\d+)?")
UUID = re.compile(rb"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)
_TECHNICAL = re.compile(
    rb"(?:sha|md|utf|base|hmac|hs|rs|es|ps|aes|rc|oauth|http|https?|ipv|ip|x|ed|ecdsa|rsa|curve|latin|iso|win|cp|int|uint|"
    rb"float|bool|i|u|f|v|s3|p|log|tls|ssl|ssh|pkcs|ntlm|scram|basic|bearer|digest|argon|pbkdf|bcrypt|scrypt|crc|murmur|siphash|"
    rb"python|py|test|string|str|var|arg|param|tmp|temp|item|value|val|key|token|tok|secret|node|type|level|line|"
    rb"col|row|field|user|id|num|step|part|chapter|section|page|h|f|k|ctrl|alt|shift|a|b|c|t|n)[-_]?\d{1,4}[a-z]?",
    re.IGNORECASE,
)  # fmt: skip
LABELS = frozenset(
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
PROSE = re.compile(
    rb"\b(?:the|is|are|was|be|been|must|should|shall|can|cannot|could|will|may|not|your|you|this|that|these|for|of|to|from|in|"
    rb"on|if|has|have|had|does|do|did|please|enter|invalid|incorrect|wrong|missing|required|least|at|by|or|when|which|it|as|"
    rb"password|passwords|secret|token|tokens|key|user|field|error|failed|expected|an|no|new|old|all|only|set|use|used)\b",
    re.IGNORECASE,
)  # fmt: skip
_KEY_WORD = re.compile(rb"pass|token|secret|pwd|auth|(?<![A-Za-z])key", re.IGNORECASE)
_CUT = re.compile(rb"[&;,](?=[A-Za-z_][\w.\[\]-]{0,40};?[=:])|\\[nrtu\x22]|[\x22\x27`]")
_MAY_CUT = re.compile(rb"[&;,\\\x22\x27`]")
_PAIRED = {41: 40, 93: 91, 125: 123}


def unescaped(data: bytes, start: int, end: int) -> int:
    """Without the backslash of an escaped closing quote."""
    return end - 1 if end > start and data[end - 1] == 92 else end


def cut(data: bytes, start: int, end: int) -> int:
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


def bare(text: bytes, password: bool) -> bool:
    """A value without quotes: never a name that code could use, unless it looks random."""
    if not text.isalpha() and text.islower() and not DIGIT.search(text) and not symbolic(text):
        return False  # what follows says so too, but takes its time, and `pwd=pwd=pwd=` has many of them
    name = _NAME.fullmatch(text)
    if len(text) >= 10 and not (name and (b"_" in text or _KEY_WORD.search(text))) and scrambled(text):
        return not TEMPLATE.search(text)
    if len(text) < 6 or (not DIGIT.search(text) and not symbolic(text)):
        return len(text) >= 16 and text.isalpha() and random(text)
    if text.isdigit():
        return password and len(set(text)) > 3
    if text.startswith(b"&") or (text.startswith(b"=") and _NAME.match(text, 1)):
        return False
    if name and (b"_" in text or _KEY_WORD.search(text)):
        return len(text) >= 20 and random(text) and wordiness(text) < 0.35
    return likely(text, password)


def likely(text: bytes, password: bool) -> bool:
    """Whether a value looks like a secret, of which nothing but the kind is known."""
    if (
        len(text) < (5 if password else 8)
        or len(set(text.lower())) < 4
        or not (LETTER.search(text) or DIGIT.search(text))
    ):
        return False
    if text.lower() in LABELS or STAND_IN.search(_spaced(text)) or TEMPLATE.search(text):
        return False
    if b" " in text or b"\t" in text:
        return _phrase(text)
    if scrambled(text):
        return True
    if in_parts(text) and not _PATH.match(text):
        return True
    if _PATH.match(text) or _REFERENCE.fullmatch(text) or _TECHNICAL.fullmatch(text) or UUID.fullmatch(text):
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
    if len(words) < 3 or text[:1].isupper() or PROSE.search(text) or text[-1:] in b".:?!,;" or b"  " in text:
        return False
    return all(word.isalpha() and word.islower() for word in words)


def _spaced(text: bytes) -> bytes:
    """With its words apart, so that a stand-in is seen as a word of its own and not inside a longer one."""
    return re.sub(rb"[-_.]+|(?<=[a-z])(?=[A-Z])", b" ", text)


def titled(text: bytes) -> bool:
    return text.isalpha() and not text.islower()
