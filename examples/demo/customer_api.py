"""A small customer API with real state in memory: what the demo's agent reads, refunds and tries to delete.

GET    /customers                 {"customers": [record, ...]}
GET    /customers/{id}            record
POST   /customers/{id}/refunds    {"amount": dollars, "reason": text} -> 201 {"refund": {...}}
DELETE /customers                 {"deleted": count}
GET    /refunds                   {"refunds": [...]}

and what records.py has: GET /customers/1043/payments (JSON), /customers/1043/page (HTML), /exports/orders.csv (in gzip)
"""

import copy
from typing import Any

from aiohttp import web

from examples.demo import records
from examples.demo.upstream import MAX_BODY_BYTES, ReceivedLog, guard, problem, run

# Numbers that a detector must take for real: the cards pass Luhn, the social security numbers are well-formed.
# They were made up.
CUSTOMERS: tuple[dict[str, Any], ...] = (
    {
        "id": "1042",
        "name": "Rosa Quintero",
        "email": "rosa.quintero@mail.example",
        "card_number": "4539 1488 0343 6467",
        "ssn": "536-22-8731",
        "balance": 312.5,
        "last_order": {"id": "A-2291", "total": 40.0, "charged_twice": True},
    },
    {
        "id": "1043",
        "name": "Ibrahim Oyelaran",
        "email": "ibrahim@mail.example",
        "card_number": "5555555555554444",
        "ssn": "212-48-6190",
        "balance": 12.0,
        "last_order": {"id": "A-2292", "total": 12.0, "charged_twice": False},
    },
    {
        "id": "1044",
        "name": "Mei Tanaka",
        "email": "mei.tanaka@mail.example",
        "card_number": "378282246310005",
        "ssn": "431-19-5527",
        "balance": 87.25,
        "last_order": {"id": "A-2293", "total": 87.25, "charged_twice": False},
    },
)


class CustomerApi:
    """The customers and refunds of one server; both live as long as it runs."""

    def __init__(self) -> None:
        self._customers = {customer["id"]: copy.deepcopy(customer) for customer in CUSTOMERS}
        self._refunds: list[dict[str, Any]] = []

    def routes(self) -> list[web.RouteDef]:
        """The routes of the module's text."""
        return [
            web.get("/customers", self.list_customers),
            web.get("/customers/{id}", self.read_customer),
            web.post("/customers/{id}/refunds", self.refund),
            web.delete("/customers", self.delete_customers),
            web.get("/refunds", self.list_refunds),
            web.get(records.PAYMENTS_PATH, payments),
            web.get(records.PAGE_PATH, page),
            web.get(records.ORDERS_PATH, orders),
        ]

    async def list_customers(self, request: web.Request) -> web.Response:
        """All records."""
        return web.json_response({"customers": list(self._customers.values())})

    async def read_customer(self, request: web.Request) -> web.Response:
        """One record, or 404."""
        customer = self._customers.get(request.match_info["id"])
        return _no_customer() if customer is None else web.json_response(customer)

    async def refund(self, request: web.Request) -> web.Response:
        """Book a refund: 201, 404 without such a customer, 422 when the body is not what it must be."""
        customer = self._customers.get(request.match_info["id"])
        if customer is None:
            return _no_customer()
        try:
            body = await request.json()
        except ValueError:
            body = None
        amount = body.get("amount") if isinstance(body, dict) else None
        if not isinstance(amount, int | float) or isinstance(amount, bool) or not 0 < amount <= 10_000:
            return problem(
                422, "amount", 'the body must be {"amount": dollars above 0 and up to 10000, "reason": text}'
            )
        refund = {
            "id": f"R-{len(self._refunds) + 1}",
            "customer": customer["id"],
            "amount": float(amount),
            "reason": str(body.get("reason", "")),
        }
        self._refunds.append(refund)
        customer["balance"] += float(amount)
        return web.json_response({"refund": refund}, status=201)

    async def delete_customers(self, request: web.Request) -> web.Response:
        """Delete every record. In the demo, only a broken gateway lets this happen."""
        count = len(self._customers)
        self._customers.clear()
        return web.json_response({"deleted": count})

    async def list_refunds(self, request: web.Request) -> web.Response:
        """All refunds booked so far."""
        return web.json_response({"refunds": self._refunds})


async def payments(request: web.Request) -> web.Response:
    """A customer's payments."""
    return web.Response(text=records.PAYMENTS, content_type="application/json")


async def page(request: web.Request) -> web.Response:
    """A customer's record, for a browser."""
    return web.Response(text=records.PAGE, content_type="text/html")


async def orders(request: web.Request) -> web.Response:
    """A table to download. It comes in gzip, also to those who ask for it uncoded: there are such servers."""
    headers = {"Content-Type": "text/csv", "Content-Encoding": "gzip"}
    return web.Response(body=records.orders_packed(), headers=headers)


def _no_customer() -> web.Response:
    return problem(404, "customer", "no such customer; GET /customers lists them")


def build(credential: str, log: ReceivedLog) -> web.Application:
    """The application, for a server or a test."""
    app = web.Application(middlewares=[guard(credential, log)], client_max_size=MAX_BODY_BYTES)
    app.add_routes(CustomerApi().routes())
    return app


if __name__ == "__main__":
    raise SystemExit(run("The demo's customer API.", build))
