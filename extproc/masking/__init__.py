"""Detecting and masking of sensitive values, as streaming stages. Pure."""
