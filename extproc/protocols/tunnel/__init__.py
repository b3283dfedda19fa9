"""Tunnels: what CONNECT asks for, and what goes through it unread."""
