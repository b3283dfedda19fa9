"""Where the policy engine is, and what it is told."""

from pathlib import Path

from extproc import resources
from extproc.app.layout import Layout
from extproc.config import Settings


def engine_address(settings: Settings) -> str:
    """`unix:///path` or `http://host:port` of the engine that decides."""
    engine = settings.policy.engine
    if engine is None:
        return f"unix://{Layout(settings.state).opa_socket}"
    return f"unix://{engine}" if isinstance(engine, Path) else str(engine)


def engine_token(settings: Settings) -> str | None:
    """The token that the engine asks for, or None. Raises OSError."""
    file = Layout(settings.state).opa_token if settings.policy.managed else settings.policy.token
    return file.read_text("utf-8") if file else None


def policy_folder(settings: Settings) -> Path:
    """The folder of Rego that is in force."""
    return settings.policy.path or resources.policies()
