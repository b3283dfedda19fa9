"""Measures the gateway: rates, latency and CPU beside a plain Envoy, and where the time goes. `python -m bench`."""
