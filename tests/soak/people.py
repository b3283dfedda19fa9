"""The people who answer holds while the soak runs."""

import re
import threading
from contextlib import suppress

from extproc.cli._common import CommandError
from extproc.cli._control_client import Client
from extproc.config.settings import CONTROL_SOCKET
from tests.soak.plan import approves
from tests.support.gateway import Gateway

_LOOK_SECONDS = 0.25
_NUMBER = re.compile(r"/items/(\d+)")


class Approver:
    """One person, looking for holds as often as people look at a list."""

    def __init__(self, gateway: Gateway) -> None:
        token = gateway.people.token("bob", expires_in=24 * 3600, groups=["operators"])
        self._client = Client(gateway.state / CONTROL_SOCKET, token)
        self._over = threading.Event()
        self.approved, self.denied = 0, 0
        self._thread = threading.Thread(target=self._answer, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Go home."""
        self._over.set()
        self._thread.join(30)

    def _answer(self) -> None:
        while not self._over.wait(_LOOK_SECONDS):
            # The control process is killed too; and a hold may have ended before it is answered.
            with suppress(CommandError):
                for hold in self._client.holds():
                    with suppress(CommandError):
                        self._vote(str(hold["id"]), str(hold))

    def _vote(self, hold: str, shown: str) -> None:
        number = _NUMBER.search(shown)
        approve = number is not None and approves(int(number[1]))
        self._client.vote(hold, approve, "looked at it")
        if approve:
            self.approved += 1
        else:
            self.denied += 1
