"""A session, or a period, for people and programs elsewhere: HAR, JSON Lines, evidence, reports."""
