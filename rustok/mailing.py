"""Where mails go: a mail server named by a URL, or the terminal while there is none."""

from __future__ import annotations

import sys
from email.utils import parseaddr
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from django.core.mail import EmailMessage
from django.core.mail.backends.console import EmailBackend as ConsoleBackend

STARTTLS, TLS, PLAIN = 587, 465, 25
TIMEOUT_SECONDS = 10


def mailer(url: str | None) -> dict[str, Any]:
    """An entry of Django's MAILERS."""
    if url is None:
        return {"BACKEND": "rustok.mailing.TerminalBackend"}
    return {"BACKEND": "django.core.mail.backends.smtp.EmailBackend", "OPTIONS": options(url)}


class TerminalBackend(ConsoleBackend):
    """Prints mails as they are read, past the log: that covers the tokens a mail is there for."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **{"stream": sys.__stdout__} | named)

    def write_message(self, message: EmailMessage) -> None:
        heads = {"From": message.from_email, "To": ", ".join(message.to), "Subject": message.subject}
        told = "".join(f"{name}: {value}\n" for name, value in heads.items())
        self.stream.write(f"{'-' * 79}\n{told}\n{message.body}\n{'-' * 79}\n")


def options(url: str) -> dict[str, Any]:
    """What the URL says, for Django's SMTP backend. Raises ValueError, without showing the URL."""
    parts, asked = urlsplit(url), parse_qs(urlsplit(url).query, keep_blank_values=True)
    if parts.scheme not in ("smtp", "smtps") or not parts.hostname:
        raise ValueError("must be smtp://user:password@host:port or smtps://…")
    if asked not in ({}, {"starttls": ["no"]}) or (asked and parts.scheme == "smtps"):
        raise ValueError("knows one option, ?starttls=no, for smtp:// only")
    is_starttls = parts.scheme == "smtp" and not asked
    try:
        port = parts.port
    except ValueError:
        raise ValueError("its port is no number from 0 to 65535") from None
    return {
        "host": parts.hostname,
        "port": port or (TLS if parts.scheme == "smtps" else STARTTLS if is_starttls else PLAIN),
        "username": unquote(parts.username or ""),
        "password": unquote(parts.password or ""),
        "use_tls": is_starttls,
        "use_ssl": parts.scheme == "smtps",
        "timeout": TIMEOUT_SECONDS,
    }


def check_sender(text: str) -> None:
    """Raises ValueError unless mails can be from this."""
    name, _, host = parseaddr(text)[1].rpartition("@")
    if not name or not host or not text.isprintable():
        raise ValueError("must be an address: shop@example.com, or Shop <shop@example.com>")
