#!/bin/bash
# The demo's actions with nothing but curl: read (masked), refund (held until somebody approves), delete (blocked).
#
#   GATEWAY=http://127.0.0.1:8080 TOKEN=... examples/clients/read_refund_delete.sh
#
# TOKEN is the agent's own token; `make demo KEEP=1` prints one. The real credential of the customer API stays with the gateway.
set -euo pipefail

: "${GATEWAY:?set GATEWAY to the address of the gateway, for example http://127.0.0.1:8080}"
: "${TOKEN:?set TOKEN to the token of the agent}"

# The token goes through a file descriptor: on the command line every user of the machine could read it.
ask() {
  curl --silent --show-error --config <(printf 'header = "Authorization: Bearer %s"\n' "$TOKEN") \
    --write-out '\n-> HTTP %{http_code}\n\n' "$@"
}

echo "Reading a customer: card number and SSN come masked."
ask "$GATEWAY/crm/customers/1042"

echo "Asking for a refund: waits up to 60 s for somebody to run \`holdpoint holds approve\`."
ask --max-time 90 --header 'Prefer: wait=60' --header 'Content-Type: application/json' --data '{"amount": 15.0, "reason": "late delivery"}' \
  "$GATEWAY/crm/customers/1042/refunds"

echo "Deleting all customers: blocked, with the reason."
ask --request DELETE "$GATEWAY/crm/customers"
