"""`holdpoint ca`: the authority that agents of the forward proxy have to trust."""

import argparse
import json
import sys

from cryptography.hazmat.primitives import serialization

from extproc.adapters.ca import CA_CERTIFICATE, CaUnusable, fingerprint, read_certificate
from extproc.cli._common import OK, CommandError, Subparsers, add_command, add_config, load_settings
from extproc.config.files import system_authorities


def register(subparsers: Subparsers) -> None:
    """Add `ca` and its verb."""
    noun = add_command(
        subparsers,
        "ca",
        "show the certificate authority that agents of the forward proxy trust",
        None,
        about="Inside the tunnels of the forward proxy (`listen.proxy`) the gateway shows certificates of its own\n"
        "authority. An agent trusts it by the file that SSL_CERT_FILE, REQUESTS_CA_BUNDLE, NODE_EXTRA_CA_CERTS or\n"
        "`--cacert` names.",
        examples=("holdpoint ca show --with-system > ca.pem && SSL_CERT_FILE=ca.pem agent",),
    )
    verbs = noun.add_subparsers(metavar="VERB", title="verbs")
    show = add_command(
        verbs,
        "show",
        "print its certificate",
        _show,
        about="Print its certificate in PEM; its fingerprint, to compare over another channel, goes to stderr.",
        examples=("holdpoint ca show > holdpoint-ca.pem", "holdpoint ca show --with-system > ca.pem"),
    )
    add_config(show)
    show.add_argument(
        "--with-system",
        action="store_true",
        help="add the system's authorities: SSL_CERT_FILE takes the place of those",
    )
    show.add_argument("--json", action="store_true", help="print JSON, for programs")


def _show(arguments: argparse.Namespace) -> int:
    keys = load_settings(arguments, files=False).state / "keys"
    try:
        certificate = read_certificate(keys)
    except FileNotFoundError:
        raise CommandError(
            f"there is no {keys / CA_CERTIFICATE} yet; `holdpoint up` makes it where `listen.proxy` is set"
        ) from None
    except CaUnusable as error:
        raise CommandError(str(error)) from None
    except OSError as error:
        raise CommandError(f"{keys / CA_CERTIFICATE} can't be read ({error.strerror})") from None
    pem = certificate.public_bytes(serialization.Encoding.PEM).decode()
    if arguments.with_system:
        pem += _system()
    if arguments.json:
        ends = certificate.not_valid_after_utc.isoformat(timespec="seconds").replace("+00:00", "Z")
        print(json.dumps({"fingerprint": fingerprint(certificate), "expires": ends, "pem": pem}, indent=2))
        return OK
    print(pem, end="")
    print(f"SHA-256 {fingerprint(certificate)}", file=sys.stderr)
    return OK


def _system() -> str:
    found = system_authorities()
    if found is None:
        raise CommandError("the system has no bundle of authorities that could be added; install ca-certificates")
    try:
        return found.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise CommandError(f"{found} can't be read ({error.strerror})") from None
