"""How requests are routed and what is taken off them."""

from tests.support.envoy import Gateway
from tests.support.envoy_processor import Processor
from tests.support.envoy_upstream import RecordingUpstream


def test_pass(gateway: Gateway, processor: Processor, upstream: RecordingUpstream) -> None:
    """x"""
    r = gateway.request("/crm/a?b=1", method="POST", body=b"hello")
    print(r, upstream.seen, processor.exchange().headers, processor.exchange().claims, processor.exchange().attributes, processor.exchange().metadata, processor.exchange().kinds)
    print(gateway.access_log(lambda l: True))
    print(gateway.log)
    assert 0
