"""Pages of our own, whole in one file: no script, no font and no picture from elsewhere, and a policy that says so.

Everything that comes from a record goes through `shown` (or through what calls it): records hold what agents wrote.
"""

import re
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from html import escape

from extproc.domain.display import visible

_NAMES = {"allow": "allowed", "mask": "allowed, masked", "hold": "held", "block": "blocked"}
EFFECTS = tuple(_NAMES)
_BREAKS = re.compile("([\n\t])")


def shown(value: object) -> str:
    """Text for HTML, in an element or a quoted attribute. What can't be seen, or covers or moves what can, is spelled
    out, as approvers see it."""
    return escape("".join(part if part in "\n\t" else visible(part) for part in _BREAKS.split(str(value))))


def code(value: object) -> str:
    """Text that is to be read letter by letter."""
    return f"<code>{shown(value)}</code>"


def chip(text: str, kind: str = "") -> str:
    """A word that stands out; `kind` is an effect, or `good`, `bad`, `quiet`."""
    return f'<span class="chip {shown(kind or "quiet")}">{shown(text)}</span>'


def effect_chip(effect: str) -> str:
    """An effect in its colour."""
    return chip(effect or "?", effect if effect in EFFECTS else "")


def figures(found: Sequence[tuple[str, object, str]]) -> str:
    """Large numbers beside each other: what, how many, and the effect that colours it."""
    cells = (f'<div><b class="{shown(kind)}">{shown(n)}</b><span>{shown(name)}</span></div>' for name, n, kind in found)
    return f'<div class="figures">{"".join(cells)}</div>'


def by_effect(effects: Mapping[str, int]) -> list[tuple[str, object, str]]:
    """What `figures` shows of counts by effect."""
    return [(_NAMES[effect], effects.get(effect, 0), effect if effects.get(effect) else "quiet") for effect in EFFECTS]


def facts(rows: Iterable[tuple[str, str]]) -> str:
    """Names and what they are; the second is HTML."""
    return "<dl>" + "".join(f"<div><dt>{shown(name)}</dt><dd>{value}</dd></div>" for name, value in rows) + "</dl>"


def small(rows: Iterable[Sequence[str]]) -> str:
    """Facts in columns, in small print; cells are HTML."""
    lines = ("".join(f"<td>{cell}</td>" for cell in row) for row in rows)
    return f'<table class="small">{"".join(f"<tr>{line}</tr>" for line in lines)}</table>'


def table(head: Sequence[str], rows: Iterable[Sequence[str]], numbers: Sequence[int] = (), none: str = "none") -> str:
    """A table; cells are HTML. `numbers` are columns to align right; `none` is said where there is no row."""
    lines = []
    for row in rows:
        cells = (f'<td class="n">{cell}</td>' if i in numbers else f"<td>{cell}</td>" for i, cell in enumerate(row))
        lines.append(f"<tr>{''.join(cells)}</tr>")
    if not lines:
        return f'<p class="none">{shown(none)}</p>'
    names = (f'<th class="n">{shown(n)}</th>' if i in numbers else f"<th>{shown(n)}</th>" for i, n in enumerate(head))
    return f"<table><thead><tr>{''.join(names)}</tr></thead><tbody>{''.join(lines)}</tbody></table>"


def bar(parts: Sequence[tuple[str, int]]) -> str:
    """Shares of a whole as one bar, by effect."""
    total = sum(n for _, n in parts) or 1
    at, pieces = 0.0, []
    for kind, n in parts:
        width = 1000 * n / total
        pieces.append(f'<rect class="{shown(kind)}" x="{at:.1f}" width="{width:.1f}" height="10"/>')
        at += width
    label = ", ".join(f"{kind} {n}" for kind, n in parts)
    svg = '<svg class="bar" viewBox="0 0 1000 10" preserveAspectRatio="none" role="img"'
    return f'{svg} aria-label="{shown(label)}">{"".join(pieces)}</svg>'


def cut(value: str, most: int) -> str:
    """At most so many characters, saying that there were more."""
    return value if len(value) <= most else value[:most] + " … (cut)"


def clock(at: str) -> str:
    """A record's time to the second, in UTC as it is."""
    return at[:19].replace("T", " ")


def span(first: str, last: str) -> str:
    """From when to when."""
    if not first:
        return "no time"
    return f"{clock(first)} to {clock(last)[11:] if first[:10] == last[:10] else clock(last)} UTC"


def duration(seconds: float) -> str:
    """Seconds in the unit that fits: 4 ms, 1.2 s, 3 min 12 s, 2 h 5 min."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def page(title: str, kicker: str, lead: str, sections: Iterable[str], foot: str) -> Iterator[bytes]:
    """A whole document in pieces. `lead` and the sections are HTML; `foot` stands under every printed page."""
    # In a printed page's margin nothing but the style sheet can write.
    plain = "".join(c if c.isalnum() or c in " .:,-" else "_" for c in foot if c.isascii())
    style = STYLE.replace("__FOOT__", plain)
    allowed = b64encode(sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{allowed}'; base-uri 'none'; form-action 'none'"
    yield (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{shown(title)}</title>\n<style>{style}</style>\n</head>\n<body>\n<main>\n"
        f'<header><p class="kicker"><b>Holdpoint</b> {shown(kicker)}</p><h1>{shown(title)}</h1>{lead}</header>\n'
    ).encode()
    for section in sections:
        yield section.encode()
    yield b"\n</main>\n</body>\n</html>\n"


STYLE = """
:root { color-scheme: light dark; --paper: #fff; --ground: #f3f4f6; --ink: #16191f; --soft: #59616e; --line: #dfe3e8;
  --tint: #f7f8fa; --accent: #1f4fa8; --allow: #1b7f4b; --mask: #5b3fb8; --hold: #a35c00; --block: #b3261e;
  --sans: Inter, system-ui, -apple-system, "Segoe UI", "Noto Sans", "Liberation Sans", "DejaVu Sans", sans-serif;
  --mono: ui-monospace, "SF Mono", "Cascadia Mono", "Noto Sans Mono", "Liberation Mono", "DejaVu Sans Mono", monospace }
@media screen and (prefers-color-scheme: dark) { :root { --paper: #171a20; --ground: #0e1014; --ink: #e8eaee;
  --soft: #9ba3b0; --line: #2c323c; --tint: #1e222a; --accent: #8ab0ff; --allow: #5fcf95; --mask: #b4a0ff;
  --hold: #f0b057; --block: #ff8a80 } }
* { box-sizing: border-box }
html { background: var(--ground); font-size: 15px; -webkit-text-size-adjust: 100% }
body { margin: 0; font: 1rem/1.55 var(--sans); color: var(--ink); font-variant-numeric: tabular-nums }
main { max-width: 66rem; margin: 2.5rem auto; padding: 3rem 3.5rem 3.5rem; background: var(--paper);
  border: 1px solid var(--line); border-radius: 10px }
header { border-bottom: 2px solid var(--ink); padding-bottom: 1.4rem; margin-bottom: 2rem }
h1 { font-size: 1.9rem; line-height: 1.2; margin: .3rem 0 .6rem; letter-spacing: -.015em; overflow-wrap: anywhere }
h2 { font-size: 1.15rem; margin: 2.6rem 0 .9rem; letter-spacing: -.005em }
h3 { font-size: .78rem; margin: 1.1rem 0 .4rem; color: var(--soft); font-weight: 600; letter-spacing: .02em }
p { margin: 0 0 .8rem } .kicker { color: var(--soft); margin: 0; font-size: .85rem }
.kicker b { color: var(--accent); margin-right: .5rem } .lead { color: var(--soft); margin: 0; font-size: 1.02rem }
a { color: var(--accent); text-decoration: none } a:hover { text-decoration: underline }
code, pre { font-family: var(--mono); font-size: .86em } code { overflow-wrap: anywhere }
dl { display: grid; grid-template-columns: repeat(auto-fill, minmax(17rem, 1fr)); gap: 1rem 2rem; margin: 0 }
dt { color: var(--soft); font-size: .78rem; font-weight: 600 } dd { margin: 0; overflow-wrap: break-word }
table { border-collapse: collapse; width: 100%; font-size: .88rem; margin: 0 0 .6rem }
th { text-align: left; font-size: .76rem; color: var(--soft); font-weight: 600; border-bottom: 1px solid var(--ink) }
th, td { padding: .42rem .9rem .42rem 0; vertical-align: top } td { border-bottom: 1px solid var(--line);
  overflow-wrap: break-word } .n { text-align: right; white-space: nowrap; width: 1% }
.n:last-child { padding-right: 0 }
.none { color: var(--soft); font-size: .88rem } table.small { font-size: .8rem }
table.small td { border: 0; padding-top: .1rem; padding-bottom: .1rem; color: var(--soft) }
table.small td:not(:last-child), .line { white-space: nowrap }
.figures { display: flex; flex-wrap: wrap; gap: 1px; background: var(--line);
  border: 1px solid var(--line); border-radius: 8px; overflow: hidden; margin: 0 0 .9rem }
.figures div { background: var(--paper); padding: .8rem 1rem; flex: 1 1 7rem }
.figures b { display: block; font-size: 1.5rem;
  font-weight: 600; line-height: 1.2; letter-spacing: -.02em } .figures span { color: var(--soft); font-size: .8rem }
.bar { width: 100%; height: 8px; display: block; border-radius: 4px; margin: 0 0 1rem }
rect.allow { fill: var(--allow) } rect.mask { fill: var(--mask) } rect.hold { fill: var(--hold) }
rect.block { fill: var(--block) } b.allow { color: var(--allow) } b.mask { color: var(--mask) }
b.hold { color: var(--hold) } b.block { color: var(--block) }
.chip { display: inline-block; font-size: .76rem; font-weight: 600; line-height: 1.5; padding: 0 .5em;
  border-radius: 4px; border: 1px solid currentColor; white-space: nowrap; margin-right: .3em }
.allow, .good { color: var(--allow) } .mask { color: var(--mask) } .hold { color: var(--hold) }
.block, .bad { color: var(--block) } .quiet { color: var(--soft) }
article { border: 1px solid var(--line); border-radius: 8px; padding: 1.1rem 1.3rem 1.3rem; margin: 0 0 1.2rem }
article > h3:first-child { display: flex; gap: .7rem; align-items: baseline; margin: 0; font-size: 1rem;
  color: var(--ink); letter-spacing: 0; flex-wrap: wrap }
article > h3:first-child code { font-size: .95rem; font-weight: 600 } .when { color: var(--soft); font-size: .84rem;
  margin: .15rem 0 0; break-after: avoid }
ul.plain { list-style: none; margin: 0; padding: 0 } ul.plain li { margin: 0 0 .35rem }
.note { color: var(--soft); font-size: .84rem } .sides { display: grid; grid-template-columns: 1fr 1fr; gap: 1rem;
  margin-top: 1rem } .sides > div { min-width: 0 } .sides h3 { margin-top: 0 }
.sides pre + pre { margin-top: .4rem }
pre { margin: 0; padding: .7rem .8rem; background: var(--tint); border: 1px solid var(--line); border-radius: 6px;
  white-space: pre-wrap; overflow-wrap: anywhere; line-height: 1.45; font-size: .78rem; max-height: 30rem;
  overflow-y: auto } .cut { color: var(--soft); font-size: .78rem; margin: .3rem 0 0 }
.warn { border-left: 3px solid var(--block); padding: .6rem 1rem; background: var(--tint); margin: 0 0 1rem }
.fine ul, .warn ul { margin: 0 } .fine p:last-child, .warn p:last-child { margin: 0 }
.fine { border-left: 3px solid var(--allow); padding: .6rem 1rem; background: var(--tint); margin: 0 0 1rem }
@media screen and (max-width: 46rem) { main { margin: 0; border: 0; border-radius: 0; padding: 1.5rem 1.2rem }
  .sides { grid-template-columns: 1fr } table { display: block; overflow-x: auto }
  td { min-width: 6rem } td.n { min-width: 0 } }
@page { size: A4; margin: 17mm 15mm 19mm;
  @bottom-left { content: "__FOOT__"; font: 8pt system-ui, sans-serif; color: #59616e }
  @bottom-right { content: "Page " counter(page) " of " counter(pages); font: 8pt system-ui, sans-serif;
    color: #59616e } }
@media print { html { background: none; font-size: 9.2pt }
  main { max-width: none; margin: 0; padding: 0; border: 0; border-radius: 0 }
  h1 { font-size: 18pt } h2 { font-size: 12pt; break-after: avoid } h3 { break-after: avoid }
  header { padding-bottom: 4mm; margin-bottom: 6mm } tr, .figures, dl > div, li { break-inside: avoid }
  thead { display: table-header-group } article { border: 0; border-top: 1px solid var(--line);
    border-radius: 0; padding: 4mm 0 2mm; margin: 0 }
  pre { max-height: none; overflow: visible; font-size: 7.6pt } a { color: inherit }
  .bar, .chip, pre, .warn, .fine, .figures { print-color-adjust: exact; -webkit-print-color-adjust: exact } }
"""
