"""What says who asks: the processor sees it, and nobody behind Envoy does."""

import pytest

from tests.support.envoy import Gateway
from tests.support.envoy_processor import Processor
from tests.support.envoy_upstream import RecordingUpstream

SECRET = "the-real-credential"
CARRIERS = ["authorization", "proxy-authorization", "x-api-key", "api-key", "x-goog-api-key"]


@pytest.mark.parametrize("target", ["crm", "files"])
@pytest.mark.parametrize("name", CARRIERS)
def test_credential_reaches_the_processor(gateway: Gateway, processor: Processor, target: str, name: str) -> None:
    """Whoever verifies it has it as the client sent it, with and without bodies to inspect."""
    assert gateway.request(f"/{target}/a", headers={name: "shown-1"}, token=None).status == 200
    assert processor.exchange().headers[name] == ["shown-1"]


@pytest.mark.parametrize("path", ["/crm/a", "/files/a", "/api/a"])
def test_credential_goes_no_further(gateway: Gateway, upstream: RecordingUpstream, path: str) -> None:
    """The headers that carry nothing but a credential never go on, once or twice, in either order; where the target
    has a real one, it stands alone."""
    shown = [f"{name}: shown-{i}\r\n" for i, name in enumerate(CARRIERS[:2] * 2)]
    for lines in (shown, shown[::-1]):
        assert gateway.send(f"GET {path} HTTP/1.1\r\nHost: gateway\r\n{''.join(lines)}\r\n".encode()).status == 200
    for seen in upstream.seen:
        assert b"shown" not in seen.head
        expected = [f"Bearer {SECRET}"] if path.startswith("/crm") else []
        assert seen.headers.get("authorization", []) == expected
    assert len(upstream.seen) == 2


@pytest.mark.parametrize("token", [None, ""])
def test_asterisk_goes_nowhere(gateway: Gateway, processor: Processor, token: str | None) -> None:
    """`OPTIONS *` has no path that a route could match; Envoy answers it before any filter, token or not."""
    assert gateway.request("*", method="OPTIONS", token=token).status == 404
    assert processor.exchanges == []
