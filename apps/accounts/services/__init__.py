"""Writes about people: who they are, what they come in with, and their roles in a tenant."""

from apps.accounts.access.members import grant_role
from apps.accounts.services.logins import Credentials, LoggedIn, StaffCredentials, log_in
from apps.accounts.services.passwords import PasswordChange, WrongCredentials, WrongPassword, change_password
from apps.accounts.services.people import OwnChanges, Person, change_own, disable_user, enable_user, ensure_people
from apps.accounts.services.sessions import Tokens, open_session, refresh, revoke, revoke_all

__all__ = [
    "Credentials",
    "LoggedIn",
    "OwnChanges",
    "PasswordChange",
    "Person",
    "StaffCredentials",
    "Tokens",
    "WrongCredentials",
    "WrongPassword",
    "change_own",
    "change_password",
    "disable_user",
    "enable_user",
    "ensure_people",
    "grant_role",
    "log_in",
    "open_session",
    "refresh",
    "revoke",
    "revoke_all",
]
