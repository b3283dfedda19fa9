"""Who is let in by the gateway's own word: agent tokens, frozen principals, caps. Pure; stores are adapters."""
