"""`holdpoint config`: the configuration as it is understood, and what it may hold."""

import argparse
import sys

from extproc.cli._common import OK, Subparsers, add_command, add_config, load_settings


def register(subparsers: Subparsers) -> None:
    """Add `config` and its verbs."""
    examples = ("holdpoint config show", "holdpoint config schema > holdpoint.schema.json")
    noun = add_command(
        subparsers, "config", "show the configuration, its schema and its reference", None, examples=examples
    )
    verbs = noun.add_subparsers(metavar="VERB", title="verbs")
    show = add_command(
        verbs,
        "show",
        "print the configuration as it is understood, defaults filled in",
        _show,
        about="Print the configuration as it is understood: defaults filled in, paths absolute. It is a configuration\n"
        "itself. No secret is read, so none is shown. Of a file with mistakes, the mistakes are shown instead.",
        examples=("holdpoint config show", "holdpoint config show --config deploy/holdpoint.yaml"),
    )
    add_config(show)
    add_command(
        verbs,
        "schema",
        "print the JSON schema, for editors",
        _schema,
        about="Print the JSON schema. An editor with the YAML language server completes and checks a configuration\n"
        "whose first line is: # yaml-language-server: $schema=holdpoint.schema.json",
        examples=("holdpoint config schema > holdpoint.schema.json",),
    )
    add_command(
        verbs,
        "docs",
        "print the reference of every setting, as Markdown",
        _docs,
        examples=("holdpoint config docs | less",),
    )


def _show(arguments: argparse.Namespace) -> int:
    from extproc.config.reference import settings_yaml

    sys.stdout.write(settings_yaml(load_settings(arguments)))
    return OK


def _schema(arguments: argparse.Namespace) -> int:
    from extproc.config.reference import schema_json

    sys.stdout.write(schema_json())
    return OK


def _docs(arguments: argparse.Namespace) -> int:
    from extproc.config.reference import markdown

    sys.stdout.write(markdown())
    return OK
