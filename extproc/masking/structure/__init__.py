"""Structure: bodies read as what they are, so that values are found in what they mean."""
