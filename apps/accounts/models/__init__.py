"""Who may come in, and what they come in with."""

from apps.accounts.models.customers import Customer, CustomerMailedToken, CustomerRefreshToken, CustomerSession
from apps.accounts.models.keys import ApiKey
from apps.accounts.models.mailed import Invitation, MailedToken, MailedTokenRecord, Purpose
from apps.accounts.models.people import Membership, User, UserManager
from apps.accounts.models.second_factors import Authenticator, RecoveryCode
from apps.accounts.models.sessions import RefreshRecord, RefreshToken, Session, SessionRecord

__all__ = [
    "ApiKey",
    "Authenticator",
    "Customer",
    "CustomerMailedToken",
    "CustomerRefreshToken",
    "CustomerSession",
    "Invitation",
    "MailedToken",
    "MailedTokenRecord",
    "Membership",
    "Purpose",
    "RecoveryCode",
    "RefreshRecord",
    "RefreshToken",
    "Session",
    "SessionRecord",
    "User",
    "UserManager",
]
