"""The factories of the package, by the name the tests of this suite have always called them."""

from rustok.testing.contexts import at_work
from rustok.testing.factories import (
    PASSWORD,
    make_customer,
    make_customer_token,
    make_member,
    make_suspended_tenant,
    make_tenant,
    make_token,
    make_tokens,
    make_user,
    write_headers,
)

__all__ = [
    "PASSWORD",
    "at_work",
    "make_customer",
    "make_customer_token",
    "make_member",
    "make_suspended_tenant",
    "make_tenant",
    "make_token",
    "make_tokens",
    "make_user",
    "write_headers",
]
