"""`python -m examples.demo`: the gateway, two upstreams, a real agent and a person who approves, on one machine."""
