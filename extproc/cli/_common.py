"""What every command shares: where the configuration is, and how a command says that it can't go on.

A command module has `register(subparsers)`, which adds its parsers and sets `run` (a function from the parsed
arguments to an exit code) as a default of each. Exit codes: OK, PROBLEMS, or CommandError for FAILED."""

import argparse
import os
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, NoReturn, TypeAlias

if TYPE_CHECKING:
    from extproc.config import Settings

OK = 0
PROBLEMS = 1
FAILED = 2
INTERRUPTED = 130
CONFIG_VARIABLE = "HOLDPOINT_CONFIG"
DEFAULT_CONFIG = "holdpoint.yaml"

Run = Callable[[argparse.Namespace], int]
# argparse has no public name for what add_subparsers returns.
Subparsers: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


class CommandError(Exception):
    """The command can't do what was asked. The message is for people; its lines go to stderr as they are."""


def add_command(
    subparsers: Subparsers, name: str, help_text: str, run: Run | None, *, examples: Iterable[str] = (), about: str = ""
) -> argparse.ArgumentParser:
    """Add a command whose --help ends with examples. Without `run` it is a noun: it asks for one of its verbs."""
    parser = subparsers.add_parser(
        name,
        help=help_text,
        description=about or help_text[:1].upper() + help_text[1:] + ".",
        epilog=examples_text(examples),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )

    def ask_for_verb(arguments: argparse.Namespace) -> NoReturn:
        parser.error("name what to do; --help lists the choices")

    parser.set_defaults(run=run or ask_for_verb)
    return parser


class _Named(argparse.Action):
    """Notes that the configuration was named on the command line."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[object] | None,
        option_string: str | None = None,
    ) -> None:
        setattr(namespace, self.dest, values)
        namespace.config_named = True


def add_config(parser: argparse.ArgumentParser) -> None:
    """Add `-c/--config FILE` to a command that reads the configuration; `config_named` says whether it was given."""
    parser.set_defaults(config_named=False)
    parser.add_argument(
        "-c",
        "--config",
        action=_Named,
        metavar="FILE",
        default=os.environ.get(CONFIG_VARIABLE) or DEFAULT_CONFIG,
        help=f"the configuration (default: ${CONFIG_VARIABLE}, or {DEFAULT_CONFIG} in this folder)",
    )


def load_settings(arguments: argparse.Namespace, *, files: bool = True) -> "Settings":
    """The configuration that --config names. Raises CommandError with every problem in it, one a line. `files` is
    false for commands whose users need not be able to read the files that it names."""
    from extproc.config import SettingsError, load

    try:
        return load(arguments.config, files=files)
    except SettingsError as error:
        raise CommandError(str(error)) from None


def examples_text(examples: Iterable[str]) -> str:
    """The end of a --help: commands to copy."""
    lines = "".join(f"\n  {example}" for example in examples)
    return f"examples:{lines}" if lines else ""
