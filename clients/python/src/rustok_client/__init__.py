"""A typed client of the RusToK API."""

from rustok_client.client import Client
from rustok_client.sending import Answer, NotModified, Page, Patience, ProblemError

__all__ = ["Answer", "Client", "NotModified", "Page", "Patience", "ProblemError"]
