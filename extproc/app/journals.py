"""A program's own stream of the journal."""

from extproc.app.knowledge import Known
from extproc.app.layout import Layout
from extproc.app.redaction import redact_record
from extproc.audit.journal import FileJournal
from extproc.config import Settings


def journal(settings: Settings, stream: str, known: Known) -> FileJournal:
    """This process's own stream of the journal. Raises JournalUnwritable and StateUnusable."""
    layout = Layout(settings.state)
    return FileJournal(
        layout.journal_of(stream),
        stream,
        sync_seconds=settings.audit.sync_seconds,
        redact=lambda body: redact_record(body, known.now),
        segment_bytes=settings.audit.segment_bytes,
        signer=layout.signer(),
    )
