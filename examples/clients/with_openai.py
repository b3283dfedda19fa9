"""A model asked through the gateway with OpenAI's own client, whole and streamed. A secret in the prompt leaves masked.

    OPENAI_BASE_URL=http://127.0.0.1:8080/models/v1 OPENAI_API_KEY=... python examples/clients/with_openai.py

OPENAI_API_KEY is the agent's own token; `make demo KEEP=1` prints one. Nothing else in a program has to change.
"""

import secrets
import string

from openai import OpenAI

# Made up here, so that no scanner takes this file for a leak.
SECRET = "AKIA" + "".join(secrets.choice(string.ascii_uppercase) for _ in range(16))
PROMPT = f"Our key is {SECRET}. Do you see it?"


def main() -> None:
    """Ask once for a whole answer and once for a stream."""
    client = OpenAI()
    whole = client.chat.completions.create(model="demo-model", messages=[{"role": "user", "content": PROMPT}])
    print("whole:   ", whole.choices[0].message.content)
    print("streamed: ", end="", flush=True)
    with client.chat.completions.create(
        model="demo-model", messages=[{"role": "user", "content": PROMPT}], stream=True
    ) as stream:
        for chunk in stream:
            if chunk.choices:
                print(chunk.choices[0].delta.content or "", end="", flush=True)
    print()


if __name__ == "__main__":
    main()
