"""Who may come in, and what they come in with."""

from apps.accounts.models.people import Membership, User, UserManager
from apps.accounts.models.sessions import RefreshRecord, RefreshToken, Session, SessionRecord

__all__ = [
    "Membership",
    "RefreshRecord",
    "RefreshToken",
    "Session",
    "SessionRecord",
    "User",
    "UserManager",
]
