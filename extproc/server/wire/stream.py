"""One ext_proc stream as the driver's wire."""

from collections.abc import Mapping

import grpc.aio

from extproc.domain.grant import Lane
from extproc.protocols.session import Answer, Event, Send, SendHead, SendTrailers
from extproc.server.driver import Aborted
from extproc.server.wire import translate
from extproc.server.wire.ext_proc_pb2 import ProcessingRequest, ProcessingResponse

# Envoy accepts one extension for each head, of max_message_timeout at the most; the session has limits of its own.
_LONGEST_SECONDS = 3600


class GrpcWire:
    """driver.Wire over one grpc.aio stream. With a request's head, headers in `hide` stay behind and `told` goes along
    as dynamic metadata."""

    def __init__(self, context: "grpc.aio.ServicerContext[ProcessingRequest, ProcessingResponse]") -> None:
        self._context = context
        self.hide: frozenset[str] = frozenset()
        self.told: Mapping[str, str] = {}

    async def read(self) -> Event | None:
        """See driver.Wire."""
        message = await self._context.read()
        if not isinstance(message, ProcessingRequest):
            return None
        try:
            return translate.event_of(message)
        except translate.UnknownMessage as error:
            raise Aborted("unknown-message") from error

    async def write(self, command: SendHead | Send | SendTrailers) -> None:
        """See driver.Wire."""
        if isinstance(command, Send):
            for message in translate.send(command):
                await self._context.write(message)
        elif isinstance(command, SendTrailers):
            await self._context.write(translate.send_trailers(command))
        elif command.lane is Lane.REQUEST:
            await self._context.write(translate.send_head(command, self.told, self.hide))
        else:
            await self._context.write(translate.send_head(command))

    async def answer(self, command: Answer, decision_id: str) -> None:
        """See driver.Wire."""
        await self._context.write(translate.answer(command, decision_id))

    async def refuse(self, command: Answer, decision_id: str) -> None:
        """Answer, and see the stream to its end: Envoy ends its side when it has the answer."""
        await self.answer(command, decision_id)
        while await self.read() is not None:
            pass

    async def keep_waiting(self, lane: Lane) -> None:
        """See driver.Wire."""
        await self._context.write(translate.keep_waiting(_LONGEST_SECONDS))
