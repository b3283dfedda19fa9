"""A process that appends for ever and says each sequence number once it is in the file. For tests that kill it."""

import sys
from pathlib import Path

from extproc.audit.journal import FileJournal


def main() -> None:
    """Arguments: the journal's path and its stream."""
    path, stream = Path(sys.argv[1]), sys.argv[2]
    journal = FileJournal(path, stream, sync_seconds=0.001)
    while True:
        seq = journal.append("decision", {"padding": "x" * 700})
        sys.stdout.write(f"{seq}\n")
        sys.stdout.flush()


main()
