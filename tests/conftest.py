"""What is about this suite; servers, databases and fixtures come with the plugin."""

import pytest

pytest_plugins = ["rustok.testing.plugin"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--write-examples", action="store_true", help="write the examples of the API down as they are")


def pytest_configure(config: pytest.Config) -> None:
    """Every answer of the API is held against its document."""
    from tests.contracts import watching

    watching.watch()
