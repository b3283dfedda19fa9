"""What an evaluation costs, counted in the expressions that OPA evaluates."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from extproc import resources

NAME = "http.method_override"


def _evaluated(opa: Path, folder: Path, facts: dict[str, Any]) -> int:
    """How many expressions OPA evaluates for the policy's findings on these facts."""
    policy = resources.policies() / "http" / "method_override"
    settings = yaml.safe_load((policy / "data.yaml").read_text())
    data = {"holdpoint": {"config": {"policies": {NAME: settings}}}}
    (folder / "data.json").write_text(json.dumps(data))
    (folder / "input.json").write_text(json.dumps({"action": {"facts": facts}}))
    command = [
        str(opa), "eval", "--profile", "--profile-limit", "1000", "--format", "json",
        "--data", str(policy / "method_override.rego"), "--data", str(folder / "data.json"),
        "--input", str(folder / "input.json"), f"data.holdpoint.policies.{NAME}.findings",
    ]  # fmt: skip
    told = json.loads(subprocess.run(command, capture_output=True, check=True, timeout=60).stdout)
    assert told["result"][0]["expressions"][0]["value"] == []
    return sum(line["num_eval"] for line in told["profile"])


@pytest.mark.parametrize("place", ["value", "name"])
def test_a_text_with_many_fields_is_looked_at_once(opa: Path, tmp_path: Path, place: str) -> None:
    """What a client writes into one field costs as much as one field, wherever another server would cut it."""

    def query(parts: int) -> dict[str, list[str]]:
        text = "_methods" + ";a=" * parts
        return {"a": [text]} if place == "value" else {text: ["b"]}

    costs = {_evaluated(opa, tmp_path, {"headers": {}, "query": query(n), "body": {}}) for n in (1, 1000)}
    assert len(costs) == 1
