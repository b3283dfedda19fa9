"""What the masking engine finds and what that costs, beside presidio-analyzer and detect-secrets."""
