"""Where the policy engine is, and what it is told."""

from pathlib import Path

from extproc import resources
from extproc.adapters.opa.binary import find_opa
from extproc.adapters.opa.client import OpaClient, TcpAddress, UnixAddress
from extproc.adapters.opa.management import Management
from extproc.adapters.opa.server import ManagedOpa
from extproc.adapters.opa.slots import Slots
from extproc.app.layout import Layout
from extproc.config import Settings


def engine(settings: Settings, slots: Slots) -> OpaClient:
    """A client of the engine that decides. Raises OSError where its token can't be had."""
    where = settings.policy.engine
    address: UnixAddress | TcpAddress
    if where is None:
        address = UnixAddress(Layout(settings.state).opa_socket)
    elif isinstance(where, Path):
        address = UnixAddress(where)
    else:
        address = TcpAddress(where.host, where.port)
    return OpaClient(
        address,
        engine_token(settings),
        deadline_seconds=settings.policy.deadline_seconds,
        slots=slots,
    )


def engine_management(settings: Settings) -> Management:
    """The management API of the engine that we started. Raises OSError where its token can't be read."""
    return Management(UnixAddress(Layout(settings.state).opa_socket), engine_token(settings))


def managed_opa(layout: Layout) -> ManagedOpa:
    """The engine that we start ourselves. Raises OpaMissing."""
    return ManagedOpa(find_opa(), layout.bundle.parent, layout.opa_socket, layout.opa_token)


def engine_token(settings: Settings) -> str | None:
    """The token that the engine asks for, or None. Raises OSError."""
    file = Layout(settings.state).opa_token if settings.policy.managed else settings.policy.token
    return file.read_text("utf-8") if file else None


def policy_folder(settings: Settings) -> Path:
    """The folder of Rego that is in force."""
    return settings.policy.path or resources.policies()
