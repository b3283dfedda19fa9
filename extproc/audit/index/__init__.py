"""The search index: `index.db`, made from the journal and never more than a copy of it. It can be deleted at any time;
whoever indexes next makes it again."""

from extproc.audit.index.indexer import Indexer
from extproc.audit.index.query import Events, Found, Page, Query, SessionRow
from extproc.audit.index.search import Index, IndexUnusable
from extproc.audit.index.texts import BodyTexts

__all__ = ["BodyTexts", "Events", "Found", "Index", "IndexUnusable", "Indexer", "Page", "Query", "SessionRow"]
