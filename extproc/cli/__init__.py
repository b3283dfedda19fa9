"""The `holdpoint` command: nouns and verbs, each in a module that is imported only when it is asked for."""

import argparse
import difflib
import os
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module

import extproc
from extproc.cli._common import FAILED, INTERRUPTED, OK, CommandError, examples_text

# What a shell reports for a command that SIGPIPE ended; `holdpoint audit ... | head` is no failure of ours.
READER_LEFT = 141


@dataclass(frozen=True, slots=True)
class Command:
    """One line of the table: a first word, the module whose `register` knows it, and its line in --help.
    Without a line it is not listed: one of the processes that `up` starts."""

    name: str
    module: str
    help: str = ""


COMMANDS = (
    Command("up", "extproc.cli.up", "start the gateway: Envoy, policy engine, workers, audit"),
    Command("check", "extproc.cli.check", "find mistakes in configuration, policies and environment; start nothing"),
    Command("holds", "extproc.cli.holds", "list the actions that wait for people; approve and deny them"),
    Command("policy", "extproc.cli.policy", "list, test and explain policies"),
    Command("masking", "extproc.cli.masking", "mask a stream, explain what is found, test rules"),
    Command("audit", "extproc.cli.audit", "search the trail, and verify that it is whole"),
    Command("sessions", "extproc.cli.sessions", "find recorded sessions, read them, play them again, export them"),
    Command("config", "extproc.cli.config", "show the configuration, its schema and its reference"),
    Command("targets", "extproc.cli.targets", "list, add, test and remove what agents may ask for"),
    Command("tokens", "extproc.cli.tokens", "issue, list and revoke the gateway's own tokens for agents"),
    Command("passwords", "extproc.cli.passwords", "get a short-lived database password; list and revoke them"),
    Command("freeze", "extproc.cli.freeze", "end what a principal does, and let nothing more of it pass"),
    Command("unfreeze", "extproc.cli.freeze", "let a frozen principal go on"),
    Command("login", "extproc.cli.login", "sign in as a person, at your identity provider"),
    Command("logout", "extproc.cli.login", "forget the token that `login` stored"),
    Command("ca", "extproc.cli.ca", "show the authority that agents behind the proxy have to trust"),
    Command("envoy", "extproc.cli.envoy", "put the gateway's filters into an Envoy of your own"),
    Command("doctor", "extproc.cli.doctor", "find ways round the gateway, on its host and on an agent's"),
    Command("worker", "extproc.cli.internal"),
    Command("postgres", "extproc.cli.internal"),
    Command("shipper", "extproc.cli.internal"),
    Command("archivist", "extproc.cli.internal"),
    Command("control", "extproc.cli.internal"),
    Command("watcher", "extproc.cli.internal"),
)

_EXIT_CODES = """exit codes:
  0    done
  1    done, and problems were found
  2    not done: wrong usage, a mistake in the configuration, or an error
  130  interrupted"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code and raises nothing. Arguments default to the process's own."""
    if sys.stderr is None:  # closed by a shell; without one, what is said to it would go to stdout
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115 - as long as the process
    arguments = list(sys.argv[1:] if argv is None else argv)
    word = next((a for a in arguments if not a.startswith("-")), None)
    debug = "--debug" in (arguments if word is None else arguments[: arguments.index(word)])
    try:
        code = _run(arguments, word)
        if sys.stdout is not None:  # a shell can close it
            sys.stdout.flush()
        return code
    except SystemExit as stop:
        # argparse ends this way, with 0 after --help and 2 after a mistake; text is an error's, as in sys.exit.
        if isinstance(stop.code, str):
            print(stop.code, file=sys.stderr)
        return stop.code if isinstance(stop.code, int) else FAILED if stop.code else OK
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # The interpreter flushes stdout once more at exit, which must not fail either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return READER_LEFT
    except CommandError as error:
        print(error, file=sys.stderr)
    except OSError as error:
        if debug:
            traceback.print_exc()
        where = "not done" if error.filename is None else error.filename
        hint = "; a gateway's files are for its own user and root" if isinstance(error, PermissionError) else ""
        print(f"{where}: {error.strerror or error}{hint}", file=sys.stderr)
    except Exception as error:  # the last resort of a command line: one line, and never a success
        if debug:
            traceback.print_exc()
        else:
            what = " ".join(f"{type(error).__name__}: {error}".split())
            print(f"holdpoint: unexpected error: {what} (`holdpoint --debug ...` shows where)", file=sys.stderr)
    return FAILED


def _run(arguments: list[str], word: str | None) -> int:
    parser = _parser()
    subparsers = parser.add_subparsers(metavar="COMMAND", title="commands")
    command = next((c for c in COMMANDS if c.name == word), None)
    if command:
        import_module(command.module).register(subparsers)
    elif word is not None:
        known = [c.name for c in COMMANDS if c.help]
        near = difflib.get_close_matches(word, known, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(known)}"
        parser.error(f"there is no command {word!r}; {hint}")
    for other in COMMANDS:
        if other.help and other.name not in subparsers.choices:
            subparsers.add_parser(other.name, help=other.help, add_help=False)
    parsed = parser.parse_args(arguments)
    if command is None:
        parser.print_help()
        return FAILED
    code: int = parsed.run(parsed)
    return code


def _parser() -> argparse.ArgumentParser:
    examples = ("holdpoint check", "holdpoint up", "holdpoint holds list", "holdpoint config show")
    parser = argparse.ArgumentParser(
        prog="holdpoint",
        description="A policy gateway for AI agents: what they ask for passes, is masked, held or blocked.",
        epilog=f"{examples_text(examples)}\n\n{_EXIT_CODES}\n\n`holdpoint COMMAND --help` says more about each.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"holdpoint {extproc.__version__}")
    parser.add_argument("--debug", action="store_true", help="show where an unexpected error came from")
    return parser
