"""What the demo's upstreams give out byte for byte: each form in which people meet values that an agent must not see.

All of it was made up: cards pass Luhn, customer numbers too, IBAN and passport are well-formed.
"""

import gzip

PAYMENTS_PATH = "/customers/1043/payments"
ORDERS_PATH = "/exports/orders.csv"
PAGE_PATH = "/customers/1043/page"

CARD, CARD_IN_GROUPS = "5555555555554444", "5555 5555 5555 4444"
OTHER_CARD = "4000 0566 5566 5556"
CVV = "917"
NUMBER, OTHER_NUMBER = "KD-7302-4419-1", "KD-2815-6037-5"
"""Of customers, as only this company writes them: the rule for them is in company/rules.yaml."""
IBAN, PASSPORT, BATCH = "DE89 3704 0044 0532 0130 00", "C01X00T47", "L22N41K87"
EMAIL = "ibrahim@mail.example"

# One value under a name, two in a sentence (of one the first digit is spelled as JSON may), and one as a number.
# Spacing and 12.10 are as no library would write them: they have to arrive like this.
PAYMENTS = f"""{{"customer" : "1043",
 "payments": [{{"id":77,  "amount": 12.10, "card": {CARD}, "cvv": "{CVV}",
   "note": "{NUMBER} paid with {CARD_IN_GROUPS}, \\u0035{CARD[1:]} before"}}]}}
"""
PAYMENTS_MASKED = f"""{{"customer" : "1043",
 "payments": [{{"id":77,  "amount": 12.10, "card": null, "cvv": "[masked:key:cvv]",
   "note": "{NUMBER} paid with **** **** **** {CARD[-4:]}, ************{CARD[-4:]} before"}}]}}
"""
"""As the agent gets it, but for the customer number: what stands there is a hash, under a key of each gateway's own."""

# A batch and a passport look the same; their columns' names are all that tells them apart.
ORDERS = f"""order,batch,customer,passport_no,paid_with,amount
A-2292,{BATCH},{NUMBER},{PASSPORT},{CARD},12.00
A-2293,{BATCH},{OTHER_NUMBER},,{OTHER_CARD},87.25
A-2294,{BATCH},{NUMBER},{PASSPORT},{CARD_IN_GROUPS},40.00
"""
ORDERS_MASKED = f"""order,batch,customer,passport_no,paid_with,amount
A-2292,{BATCH},{NUMBER},[masked:passport],************{CARD[-4:]},12.00
A-2293,{BATCH},{OTHER_NUMBER},,**** **** **** {OTHER_CARD[-4:]},87.25
A-2294,{BATCH},{NUMBER},[masked:passport],**** **** **** {CARD[-4:]},40.00
"""

_SPACED = IBAN.replace(" ", "&nbsp;")
PAGE = f"""<!doctype html><title>Customer</title>
<h1 data-customer="{NUMBER}">Ibrahim Oyelaran</h1>
<p>IBAN: {_SPACED}<br>Passport: {PASSPORT}</p>
"""
PAGE_MASKED = f"""<!doctype html><title>Customer</title>
<h1 data-customer="{NUMBER}">Ibrahim Oyelaran</h1>
<p>IBAN: [masked:iban]<br>Passport: [masked:passport]</p>
"""

PROMPT = f"Note for the courier: {NUMBER} pays with {CARD_IN_GROUPS}, write to {EMAIL}. How did the one before pay?"
PROMPT_MASKED = (
    "Note for the courier: [masked:acme-customer] pays with [masked:card], write to [masked:email]. "
    "How did the one before pay?"
)

NOTE_TOOL = "note_for_courier"
RECALLED = f"That one paid with {OTHER_CARD}; I note it."
RECALLED_MASKED = f"That one paid with **** **** **** {OTHER_CARD[-4:]}; I note it."
"""What the model says of a customer that nobody told it of now: it may know from before."""
NOTE = {"customer": OTHER_NUMBER, "text": f'card "{OTHER_CARD}", account {IBAN}'}
NOTE_MASKED = {
    "customer": OTHER_NUMBER,
    "text": f'card "**** **** **** {OTHER_CARD[-4:]}", account [masked:iban]',
}

SECRETS = {
    "a card number": CARD,
    "the same in groups": CARD_IN_GROUPS,
    "another card's": OTHER_CARD,
    "an IBAN": IBAN,
    "a passport number": PASSPORT,
    "a customer number": NUMBER,
    "another customer's": OTHER_NUMBER,
}
"""What none of the gateway's records may have."""


def orders_packed() -> bytes:
    """ORDERS as the upstream sends it: in gzip, whatever it was asked for."""
    return gzip.compress(ORDERS.encode(), mtime=0)
