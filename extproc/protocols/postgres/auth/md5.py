"""PostgreSQL's MD5 password response. Servers still ask for it; the gateway never asks a client."""

from hashlib import md5


def md5_response(user: bytes, password: bytes, salt: bytes) -> str:
    """What a PasswordMessage has to say to AuthenticationMD5Password: "Message Flow", "Start-up". `salt` is 4 bytes."""
    inner = md5(password + user, usedforsecurity=False).hexdigest()
    return "md5" + md5(inner.encode() + salt, usedforsecurity=False).hexdigest()
