"""Who may come in, and what they come in with."""

from apps.accounts.models.customers import Customer, CustomerMailedToken, CustomerRefreshToken, CustomerSession
from apps.accounts.models.keys import ApiKey
from apps.accounts.models.mailed import Invitation, MailedToken, MailedTokenRecord, Purpose
from apps.accounts.models.people import Membership, User, UserManager
from apps.accounts.models.roles import LONGEST_BREAK_GLASS, AuthzVersion, BreakGlass, Grant, MembershipRole, Role
from apps.accounts.models.second_factors import Authenticator, RecoveryCode
from apps.accounts.models.sessions import RefreshRecord, RefreshToken, Session, SessionRecord

__all__ = [
    "LONGEST_BREAK_GLASS",
    "ApiKey",
    "Authenticator",
    "AuthzVersion",
    "BreakGlass",
    "Customer",
    "CustomerMailedToken",
    "CustomerRefreshToken",
    "CustomerSession",
    "Grant",
    "Invitation",
    "MailedToken",
    "MailedTokenRecord",
    "Membership",
    "MembershipRole",
    "Purpose",
    "RecoveryCode",
    "RefreshRecord",
    "RefreshToken",
    "Role",
    "Session",
    "SessionRecord",
    "User",
    "UserManager",
]
