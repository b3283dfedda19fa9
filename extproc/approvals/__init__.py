"""Holds: actions that wait for people. The rules are in `machine`, the use cases in `service`, the ports in `ports`."""
