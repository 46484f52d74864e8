"""The product's settings for processes that are killed: mail goes to a mailbox that survives them."""

from rustok.settings import *  # noqa: F403 - all of them
from rustok.settings import ENVIRONMENT

DATA_DIR = ENVIRONMENT.data_dir
MAILERS = {"default": {"BACKEND": "tests.faults.mailbox.EmailBackend"}}
