"""Hatchling build hook: put the shipped policies and Envoy's bootstrap inside the package, in wheels only.

An editable install reads them from the checkout (extproc/resources.py); copies in site-packages would go stale there.
"""

from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class WheelData(BuildHookInterface):  # type: ignore[type-arg]  # its parameter is a builder configuration we do not touch
    """Adds extproc/_data to a wheel; a missing source file fails the build."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called by hatchling before each build; `version` is "standard" or "editable"."""
        if version == "standard":
            build_data["force_include"].update(
                {"policies": "extproc/_data/policies", "envoy/bootstrap.yaml": "extproc/_data/envoy/bootstrap.yaml"}
            )
