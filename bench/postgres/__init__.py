"""How fast PostgreSQL is through the gateway, beside the server alone and what else may stand before it."""
