"""Errors as RFC 9457 problem documents, `application/problem+json`, with a `code` from a closed vocabulary."""

import json
import logging
from http import HTTPStatus

from aiohttp import web
from aiohttp.typedefs import Handler

from extproc.approvals.machine import HoldRefused, Refused
from extproc.approvals.ports import HoldsUnavailable
from extproc.domain.identity import IdentityRefused, Why
from extproc.domain.ports import JournalUnwritable

log = logging.getLogger(__name__)

_STATUS = {
    Refused.UNKNOWN: 404,
    Refused.NOT_PENDING: 409,
    Refused.ALREADY_VOTED: 409,
    Refused.NOT_A_PERSON: 403,
    Refused.OWN_HOLD: 403,
    Refused.NOT_IN_GROUP: 403,
    Refused.BAD_REASON: 422,
}


class BadRequest(Exception):
    """The request has not the shape that the API asks for. The message says what would be right."""


def problem(status: int, code: str, detail: str) -> web.Response:
    """A problem document; `detail` is for people."""
    body = {
        "type": f"urn:holdpoint:problem:{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": code,
        "detail": detail,
    }
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else {}
    return web.Response(status=status, text=json.dumps(body), content_type="application/problem+json", headers=headers)


@web.middleware
async def problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn whatever a handler raises into a problem document."""
    try:
        return await handler(request)
    except IdentityRefused as error:
        if error.why is Why.UNAVAILABLE:
            return problem(503, "identity-unavailable", str(error))
        if error.why is Why.FROZEN:
            return problem(403, "identity-frozen", str(error))
        return problem(401, "not-known", str(error))
    except HoldRefused as error:
        return problem(_STATUS.get(error.code, 409), error.code.value, str(error))
    except BadRequest as error:
        return problem(400, "bad-request", str(error))
    except HoldsUnavailable as error:
        log.error("holds: %s", error)
        return problem(503, "holds-unavailable", "the store of holds can't be used; nothing was changed")
    except JournalUnwritable as error:
        log.error("journal: %s", error)
        return problem(503, "journal-unwritable", "the journal can't be written, so nothing was done")
    except web.HTTPException as error:
        answer = problem(error.status, f"http-{error.status}", error.reason)
        if "Allow" in error.headers:
            answer.headers["Allow"] = error.headers["Allow"]
        return answer
    except Exception:
        # Fails closed: a fault of ours raises out of the store's transaction, which is undone.
        log.exception("console: %s %s", request.method, request.path)
        return problem(500, "internal", "the gateway failed on this request; its log says why")
