"""The agent's paperwork: one question to its model, streamed, and some documents, with openai's and httpx's clients.

The demo runs this as the agent's user, with its Python. PAPERWORK in the environment is a JSON object with gateway
(http://host:port), token, prompt, tool (the name of one to offer to the model) and paths (of the customer API). Prints
{"text": [delta, ...], "arguments": [delta, ...], "documents": [{"status", "headers", "body"}, ...]}.
"""

import json
import os
from typing import Any

import httpx
from openai import OpenAI

SECONDS = 15.0


def ask_model(given: dict[str, Any]) -> dict[str, Any]:
    """Ask, and take down what came in each delta."""
    function = {"name": given["tool"], "parameters": {"type": "object", "properties": {}}}
    text, arguments = [], []
    client: Any = OpenAI(base_url=f"{given['gateway']}/models/v1", api_key=given["token"], timeout=SECONDS)
    for chunk in client.chat.completions.create(
        model="demo-model",
        messages=[{"role": "user", "content": given["prompt"]}],
        tools=[{"type": "function", "function": function}],
        stream=True,
    ):
        for choice in chunk.choices:
            text.append(choice.delta.content or "")
            arguments += [call.function.arguments or "" for call in choice.delta.tool_calls or ()]
    client.close()
    return {"text": [piece for piece in text if piece], "arguments": [piece for piece in arguments if piece]}


def fetch(given: dict[str, Any]) -> list[dict[str, Any]]:
    """Get each document."""
    with httpx.Client(
        base_url=f"{given['gateway']}/crm", headers={"Authorization": f"Bearer {given['token']}"}, timeout=SECONDS
    ) as client:
        answers = [client.get(path) for path in given["paths"]]
    return [{"status": one.status_code, "headers": dict(one.headers), "body": one.text} for one in answers]


if __name__ == "__main__":
    work = json.loads(os.environ["PAPERWORK"])
    print(json.dumps(ask_model(work) | {"documents": fetch(work)}))
