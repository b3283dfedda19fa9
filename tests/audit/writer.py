"""A process that appends for ever and says each sequence number once it is in the file. For tests that kill it."""

import sys
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from extproc.audit.journal import FileJournal
from extproc.audit.keys import Signer


def main() -> None:
    """Arguments: the stream's folder, its name, and the bytes of a segment."""
    folder, stream, most = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    signer = Signer(Ed25519PrivateKey.generate())
    journal = FileJournal(folder, stream, sync_seconds=0.001, segment_bytes=most, signer=signer)
    while True:
        seq = journal.append("decision", {"padding": "x" * 700})
        sys.stdout.write(f"{seq}\n")
        sys.stdout.flush()


main()
