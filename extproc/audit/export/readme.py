"""README.txt of an evidence bundle."""

from collections.abc import Mapping, Sequence

from extproc.audit.export.proof import Run

_TEXT = """Evidence: {name}
{rule}

records/       what the gateway's journal holds of this, each file one record, byte for byte as it was hashed
bodies/        requests (after masking) and responses (as they were released), as far as they were recorded
chain/         from each record to a signed head: the digests of all records between
checkpoints/   signed heads of all streams of the journal
keys/          the public keys of those signatures; get them from somebody you trust, too
report.html    the same for people
manifest.json  the SHA-256 of each file here{manifest}
verify.py      checks all of this, with Python 3.8 or later alone; its first lines say what it checks

    python3 verify.py --key audit.pub

What it proves: these records and bodies are what the holder of the key signed, and nothing in them was changed since.
What it does not prove: that the holder of the key did not write them anew, before a witness saw a later head. Compare
the heads with the witnesses' (docs/audit.md says how).

{state}
"""


def readme(name: str, runs: Sequence[Run], gone: Mapping[str, str], erased: int, signed: bool) -> str:
    """The text; names in it are the gateway's own. `gone` says of bodies why they are missing, `erased` counts actions
    whose records are."""
    unsigned = [f"{run.stream}: records {run.first.seq} to {run.last}" for run in runs if run.signed is None]
    lines = ["All records are below a signed head."]
    if unsigned:
        lines = [
            "NOT SIGNED YET, so nothing proves these (verify.py fails); export again after the next checkpoint:",
            *(f"  {line}" for line in unsigned),
        ]
    if erased:
        lines.append(f"The records of {erased} actions were erased by retention, and are not here.")
    lines += [f"Body {address} is not here: {why}" for address, why in sorted(gone.items())]
    return _TEXT.format(
        name=name,
        rule="=" * (10 + len(name)),
        manifest="; manifest.sig signs it" if signed else " (nobody signed it: rely on records/ and bodies/)",
        state="\n".join(lines),
    )
