"""The other engines, each in a child process with the packages of deploy/locks/compare.txt; JSON lines in and out.

`python peers.py presidio|detect-secrets`. A line in is {"texts": [...], "way": ...}; a line out {"found": [[[kind,
start, end, score], ...] for each text], "cpu": seconds}. The first line out, {"version": ...}, says that it is ready.
Offsets are in characters; where an engine gives the value alone, they are those of its first occurrence in the line.

- presidio-analyzer, patterns only, no model: every recogniser of the release that needs none, whatever its language, as
  the engine would run them (way `all`: context words raise scores, words as they stand, for there is no lemmatiser), or
  its default English registry (way `default`).
- detect-secrets: `scan_line` with all default plugins and filters (way `line`), or `scan_file` of a file with that
  suffix (ways `file.py`, `file.log`, `file.json`): the suffix decides how keywords are looked for.
"""

import importlib
import inspect
import json
import logging
import os
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from typing import Any

Finding = tuple[str, int, int, float]
Ways = dict[str, Callable[[str], list[Finding]]]

_MODELS = ("SpacyRecognizer", "StanzaRecognizer", "TransformersRecognizer")
_SUFFIXES = (".py", ".log", ".json")


def presidio() -> Ways:
    """Ways of running presidio-analyzer."""
    spacy: Any = importlib.import_module("spacy")
    analyzer: Any = importlib.import_module("presidio_analyzer")
    predefined: Any = importlib.import_module("presidio_analyzer.predefined_recognizers")
    nlp_engine: Any = importlib.import_module("presidio_analyzer.nlp_engine")
    enhancers: Any = importlib.import_module("presidio_analyzer.context_aware_enhancers")
    tldextract: Any = importlib.import_module("tldextract")
    # Without this the first e-mail address would ask the network for the list of public suffixes.
    tldextract.extract = tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)
    importlib.import_module("spacy.language").Language.component("words_as_lemmas", func=_words_as_lemmas)
    blank = spacy.blank("en")
    blank.add_pipe("words_as_lemmas")
    blank.max_length = 1 << 30
    engine = nlp_engine.SpacyNlpEngine()
    engine.nlp = {"en": blank}
    recognizers = [made for name in dir(predefined) if (made := _made(getattr(predefined, name), analyzer)) is not None]
    enhancer = enhancers.LemmaContextAwareEnhancer()

    def everything(text: str) -> list[Finding]:
        artifacts = engine.process_text(text, "en")
        found = []
        for recognizer in recognizers:
            for result in recognizer.analyze(text, recognizer.supported_entities, artifacts) or ():
                result.recognition_metadata = {
                    result.RECOGNIZER_NAME_KEY: recognizer.name,
                    result.RECOGNIZER_IDENTIFIER_KEY: recognizer.id,
                }
                found.append(result)
        found = enhancer.enhance_using_context(text, found, artifacts, recognizers)
        return _results(analyzer.EntityRecognizer.remove_duplicates(found))

    registry = analyzer.RecognizerRegistry(supported_languages=["en"])
    registry.load_predefined_recognizers(languages=["en"])
    for name in _MODELS:
        registry.remove_recognizer(name)
    default = analyzer.AnalyzerEngine(registry=registry, nlp_engine=engine, supported_languages=["en"])
    return {"all": everything, "default": lambda text: _results(default.analyze(text, "en"))}


def detect_secrets() -> Ways:
    """Ways of running detect-secrets."""
    scan: Any = importlib.import_module("detect_secrets.core.scan")
    settings: Any = importlib.import_module("detect_secrets.settings")

    def line_by_line(text: str) -> list[Finding]:
        found: list[Finding] = []
        at = 0
        with settings.default_settings():
            for line in text.splitlines(keepends=True):
                bare = line.rstrip("\r\n")
                for secret in scan.scan_line(bare):
                    start = max(0, bare.find(secret.secret_value or ""))
                    found.append((secret.type, at + start, at + start + len(secret.secret_value or ""), 1.0))
                at += len(line)
        return found

    def as_file(suffix: str, text: str) -> list[Finding]:
        lines = text.splitlines(keepends=True)
        starts = [0]
        for line in lines:
            starts.append(starts[-1] + len(line))
        found: list[Finding] = []
        with tempfile.TemporaryDirectory() as folder, settings.default_settings():
            path = os.path.join(folder, "scanned" + suffix)
            with open(path, "w", encoding="utf-8", newline="") as file:
                file.write(text)
            for secret in scan.scan_file(path):
                number = min(max(secret.line_number, 1), len(lines)) - 1
                start = starts[number] + max(0, lines[number].find(secret.secret_value or ""))
                found.append((secret.type, start, start + len(secret.secret_value or ""), 1.0))
        return found

    return {"line": line_by_line, **{f"file{suffix}": partial(as_file, suffix) for suffix in _SUFFIXES}}


def _words_as_lemmas(doc: Any) -> Any:
    for token in doc:
        token.lemma_ = token.lower_
    return doc


def _made(candidate: Any, analyzer: Any) -> Any:
    """The recogniser of a class, where it is one that works by itself."""
    if not inspect.isclass(candidate) or not issubclass(candidate, analyzer.EntityRecognizer):
        return None
    if candidate.__name__ in _MODELS:
        return None
    try:
        return candidate()
    except (ImportError, TypeError, ValueError):
        return None


def _results(results: Any) -> list[Finding]:
    return [(r.entity_type, r.start, r.end, round(float(r.score), 4)) for r in results]


ENGINES: dict[str, tuple[str, Callable[[], Ways]]] = {
    "presidio": ("presidio-analyzer", presidio),
    "detect-secrets": ("detect-secrets", detect_secrets),
}


def main() -> None:
    """Answer every line until standard input ends."""
    package, make = ENGINES[sys.argv[1]]
    ways = make()
    logging.disable(logging.CRITICAL)
    # Whatever the engines print is no answer.
    answers, sys.stdout = sys.stdout, sys.stderr
    print(json.dumps({"version": f"{package} {version(package)}"}), file=answers, flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        way = ways[asked["way"]]
        began = time.process_time()
        found = [way(text) for text in asked["texts"]]
        spent = time.process_time() - began
        print(json.dumps({"found": found, "cpu": spent}), file=answers, flush=True)


if __name__ == "__main__":
    main()
