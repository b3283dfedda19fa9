"""Validators: what a candidate has to satisfy beyond its shape."""
