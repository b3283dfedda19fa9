"""`holdpoint envoy`: put the gateway's filters into an Envoy of your own."""

import argparse
import contextlib
from dataclasses import replace
from pathlib import Path

from extproc.cli._common import OK, CommandError, Subparsers, add_command, add_config, load_settings


def register(subparsers: Subparsers) -> None:
    """Add `envoy` and its verb."""
    noun = add_command(
        subparsers,
        "envoy",
        "put the gateway's filters into an Envoy of your own",
        None,
        about="An Envoy of your own can ask Holdpoint's workers in the place of the one that `up` starts. It runs on\n"
        "the same host or in the same pod, as the same user. What is then your duty: docs/own-envoy.md.",
        examples=("holdpoint envoy snippet > envoy.yaml && envoy --mode validate -c envoy.yaml",),
    )
    verbs = noun.add_subparsers(metavar="VERB", title="verbs")
    show = add_command(
        verbs,
        "snippet",
        "print what an Envoy needs to ask the workers",
        _snippet,
        about="Print YAML, made of the same parts as the configuration of the Envoy that `up` starts: a document that\n"
        "Envoy can start on or that you merge into yours, or an EnvoyFilter for an Istio gateway.\n"
        "Print it again after each change of a target.",
        examples=(
            "holdpoint envoy snippet > envoy.yaml",
            "holdpoint envoy snippet --target crm --target billing",
            "holdpoint envoy snippet --format istio --sockets /var/run/holdpoint --access-log /dev/stdout",
        ),
    )
    add_config(show)
    show.add_argument("--target", action="append", default=[], metavar="NAME", help="only this one; can be repeated")
    show.add_argument("--format", choices=("envoy", "istio"), default="envoy", help="for what (default: envoy)")
    show.add_argument(
        "--sockets",
        metavar="FOLDER",
        help="the folder of the workers' sockets as that Envoy sees it (default: `run/workers` in the state folder)",
    )
    show.add_argument(
        "--access-log",
        metavar="FILE",
        help="where it logs (default: the file in the state folder from which records are made)",
    )


def _snippet(arguments: argparse.Namespace) -> int:
    from extproc.adapters.envoy.access import ACCESS_LOG
    from extproc.adapters.envoy.plan import BadPlan
    from extproc.adapters.envoy.snippet import envoy_snippet, istio_snippet
    from extproc.app.layout import Layout
    from extproc.app.plan import envoy_plan

    settings = load_settings(arguments)
    layout = Layout(settings.state)
    sockets = arguments.sockets or str(layout.workers)
    if not Path(sockets).is_absolute():
        raise CommandError(
            f"--sockets: expected the absolute path of a folder, found {sockets!r}; workers listen on unix sockets\n"
            "only, so an Envoy on another host can't reach them (docs/own-envoy.md)"
        )
    try:
        plan = envoy_plan(settings)
        if arguments.target:
            there = {target.name: target for target in plan.targets}
            unknown = [name for name in arguments.target if name not in there]
            for name in sorted({target.name for target in settings.targets}.intersection(unknown)):
                raise CommandError(f"--target: {name!r} is a database; the listener of all of them is always in")
            if unknown:
                raise CommandError(f"--target: there is no target {unknown[0]!r}; there are: {', '.join(there)}")
            plan = replace(plan, targets=tuple(there[name] for name in dict.fromkeys(arguments.target)))
        make = istio_snippet if arguments.format == "istio" else envoy_snippet
        log = arguments.access_log or str(layout.envoy / ACCESS_LOG)
        if arguments.access_log is None:
            # As `up` makes it; without it Envoy refuses the document.
            with contextlib.suppress(OSError):
                layout.state.mkdir(mode=0o700, parents=True, exist_ok=True)
                layout.envoy.mkdir(mode=0o700, exist_ok=True)
        print(make(plan, str(settings.file), sockets.rstrip("/"), log), end="")
    except BadPlan as error:
        raise CommandError(str(error)) from None
    return OK
