"""docker-compose.yml and deploy/ fit the product: they parse, run what there is, and give no secret away.

No container runtime is needed: commands are held against the programs' own options, settings against the settings.
"""

from __future__ import annotations

import json
import re
import secrets
import shlex
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from celery.bin.celery import celery as celery_cli
from click import Context, Group
from django.conf import settings
from django.core.management import get_commands, load_command_class
from django.urls import resolve
from granian.cli import cli as granian_cli

from rustok import environment
from rustok.environment import CHECKOUT

COMPOSE_FILE = CHECKOUT / "docker-compose.yml"
README = CHECKOUT / "deploy/README.md"
# ${NAME} and ${NAME:-default} or ${NAME:?message}; $${…} is for the shell of the container.
VARIABLE = re.compile(r"(?<!\$)\$\{(?P<name>\w+)(?P<kind>:[-?]|[-?])?")
CREDENTIAL = re.compile(r"://[^:/@\s]*:(?P<password>[^@\s]+)@")
# Of a page in Markdown: fenced, or within a line.
CODE = re.compile(r"^```\w*\n(.*?)^```|`([^`\n]+)`", re.DOTALL | re.MULTILINE)
SECRET_NAME = re.compile(r"PASSWORD|SECRET|TOKEN|_KEY$")


@pytest.fixture(scope="module")
def compose() -> Any:
    return yaml.safe_load(COMPOSE_FILE.read_text())


@pytest.fixture(scope="module")
def ours(compose: Any) -> dict[str, Any]:
    """The services made from our own image."""
    return {name: service for name, service in compose["services"].items() if service["image"] == "rustok"}


def example(file: str) -> dict[str, str]:
    """The variables of a file the README has the reader write, with values made as it says."""
    found = re.search(rf"cat > {re.escape(file)} <<END\n(.*?)\n\s*END\n", README.read_text(), re.DOTALL)
    assert found, f"the README does not say what belongs into {file}"
    pairs = (line.strip().split("=", 1) for line in found[1].splitlines())
    return {name: re.sub(r"\$\(openssl rand -hex (\d+)\)", _random_hex, value) for name, value in pairs}


def _random_hex(found: re.Match[str]) -> str:
    return secrets.token_hex(int(found[1]))


def problems_of(text: str) -> list[str]:
    """Secrets of a compose file that have a default, may be empty, or are written out."""
    uses = [(found["name"], found["kind"]) for found in VARIABLE.finditer(text) if SECRET_NAME.search(found["name"])]
    demanded = {name for name, kind in uses if kind == ":?"}
    found = [f"{name} has a default" for name, kind in uses if kind in {":-", "-"}]
    found += [f"{name} may be empty" for name, _ in uses if name not in demanded]
    found += [
        f"{password} is written out"
        for password in (match["password"] for match in CREDENTIAL.finditer(text))
        if not password.startswith("${")
    ]
    found += [
        f"{name} is written out"
        for name, value in re.findall(r"^\s*(\w+):[ \t]+(\S.*)$", text, re.MULTILINE)
        if SECRET_NAME.search(name) and not value.startswith("${")
    ]
    return found


def test_every_yaml_file_parses() -> None:
    files = [*CHECKOUT.glob("*.y*ml"), *(CHECKOUT / "deploy").rglob("*.y*ml")]

    assert COMPOSE_FILE in files
    for file in files:
        assert isinstance(yaml.safe_load(file.read_text()), dict), file


def test_no_secret_has_a_default_or_is_written_out() -> None:
    assert problems_of(COMPOSE_FILE.read_text()) == []
    assert environment.DEFAULT_SECRET_KEY not in COMPOSE_FILE.read_text() + README.read_text()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("A: x://app:${APP_PASSWORD:-rustok}@db/x", "APP_PASSWORD has a default"),
        ("A: x://app:${APP_PASSWORD}@db/x", "APP_PASSWORD may be empty"),
        ("A: x://app:${APP_PASSWORD?say it}@db/x", "APP_PASSWORD may be empty"),
        ("A: x://app:rustok@db/x", "rustok is written out"),
        ("POSTGRES_PASSWORD: postgres", "POSTGRES_PASSWORD is written out"),
    ],
)
def test_a_secret_that_has_is_found(text: str, problem: str) -> None:
    assert problem in problems_of(text)
    assert problems_of("A: x://app:${APP_PASSWORD:?set it}@db/x") == []


def test_every_variable_is_in_the_example_or_explained() -> None:
    known, readme = example(".env"), README.read_text()
    uses = {found["name"]: found["kind"] for found in VARIABLE.finditer(COMPOSE_FILE.read_text())}

    assert known.keys() <= uses.keys(), "the example names what nobody reads"
    for name, kind in uses.items():
        assert name in known or (kind == ":-" and name in readme), name


def test_the_services_refer_to_what_there_is(compose: Any) -> None:
    for name, service in compose["services"].items():
        assert set(service.get("depends_on", {})) <= compose["services"].keys(), name
        for volume in service.get("volumes", []):
            assert volume.partition(":")[0] in compose["volumes"], name
    probe = json.dumps(compose["services"]["web"]["healthcheck"]["test"])
    address = re.search(r"http://127\.0\.0\.1:(\d+)(/[\w/]+)", probe)
    assert address
    assert resolve(address[2])
    assert compose["services"]["web"]["ports"] == [f"127.0.0.1:{address[1]}:{address[1]}"]


@pytest.mark.parametrize("name", ["migrate", "web", "worker", "beat"])
def test_each_service_starts_with_settings_that_production_accepts(
    ours: dict[str, Any], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    for field in environment.Environment.model_fields:
        monkeypatch.delenv(environment.variable_of(field), raising=False)
    chosen = example(ours[name]["env_file"]) | ours[name]["environment"]
    for variable, value in chosen.items():
        monkeypatch.setenv(variable, _filled_in(str(value), example(".env")))

    loaded = environment.load()

    assert loaded.profile is environment.Profile.PRODUCTION
    assert loaded.process == {"migrate": "command"}.get(name, name)
    assert (loaded.database_migrator_url is not None) == (name == "migrate")
    assert (loaded.database_superuser_url is not None) == (name == "migrate")


def _filled_in(text: str, variables: dict[str, str]) -> str:
    """As compose does it; a default may hold variables itself."""
    for _ in range(2):
        text = re.sub(r"\$\{(\w+)(?::\?[^{}]*)?\}", lambda found: variables.get(found[1], ""), text)
        text = re.sub(r"\$\{(\w+):-([^{}]*)\}", lambda found: variables.get(found[1]) or found[2], text)
    assert "${" not in text
    return text


def test_every_service_runs_commands_that_exist_with_options_they_have(ours: dict[str, Any]) -> None:
    assert ours.keys() == {"migrate", "web", "worker", "beat"}
    ran = {name: [check(command) for command in commands_of(service)] for name, service in ours.items()}

    assert ran == {
        "migrate": ["manage.py database_roles", "manage.py migrate"],
        "web": ["mkdir", "granian"],
        "worker": ["celery worker"],
        "beat": ["celery beat"],
    }


@pytest.mark.parametrize(
    "command",
    [
        "python manage.py no_such_command",
        "python manage.py migrate --no-such-option",
        "python -m rustok.starting granian --no-such-option rustok.wsgi:application",
        "granian rustok.wsgi:app",
        "celery --app rustok.celery wroker",
        "gunicorn rustok.wsgi",
    ],
)
def test_a_command_that_does_not_is_found(command: str) -> None:
    with pytest.raises(AssertionError):
        check(shlex.split(command))


def commands_of(service: Any) -> Iterator[list[str]]:
    """What a service runs, one after the other."""
    words: list[str] = service["command"]
    if words[:2] != ["sh", "-c"]:
        yield words
        return
    # $${NAME:-2} is the shell's; its default stands for it.
    script = re.sub(r"\$\$\{\w+:-(\w+)\}", r"\1", words[2])
    for command in script.split("&&"):
        yield shlex.split(command.removeprefix(" exec "))


def check(command: list[str]) -> str:
    """What is run, after a look at whether it is there and takes these options."""
    match command:
        case ["mkdir", "-p", _]:
            return "mkdir"
        case ["python", "-m", "rustok.starting", *program] | ["python", "-m", *program]:
            return check(program)
        case ["python", "manage.py", name, *rest]:
            app = get_commands().get(name)
            assert app, f"manage.py {name} is no command"
            parser = load_command_class(str(app), name).create_parser("manage.py", name)
            _are_known(rest, set(parser._option_string_actions))
            return f"manage.py {name}"
        case ["granian", *rest]:
            assert rest[-1] == settings.WSGI_APPLICATION.replace(".application", ":application")
            _are_known(rest, _options(granian_cli))
            return "granian"
        case ["celery", *rest]:
            return f"celery {_check_celery(rest)}"
    raise AssertionError(f"nobody knows {command}")


def _check_celery(rest: list[str]) -> str:
    assert isinstance(celery_cli, Group)
    context = Context(celery_cli)
    names = [word for word in rest if word in celery_cli.list_commands(context)]
    assert len(names) == 1, rest
    chosen: Any = celery_cli.get_command(context, names[0])
    at = rest.index(names[0])
    assert rest[rest.index("--app") + 1] == "rustok.celery"
    _are_known(rest[:at], _options(celery_cli))
    _are_known(rest[at:], _options(chosen))
    return names[0]


def _options(command: Any) -> set[str]:
    return {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}


def _are_known(words: list[str], known: set[str]) -> None:
    unknown = [word for word in words if word.startswith("--") and word.partition("=")[0] not in known]
    assert unknown == []


def test_the_image_copies_what_there_is() -> None:
    text = (CHECKOUT / "deploy/Dockerfile").read_text()
    copied = [name for line in re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.MULTILINE) for name in line.split()]

    assert {"pyproject.toml", "uv.lock", "manage.py", "apps", "rustok", "docs"} == set(copied)
    assert all((CHECKOUT / name).exists() for name in copied)
    lines = (CHECKOUT / ".dockerignore").read_text().splitlines()
    assert {line[1:] for line in lines if line.startswith("!")} == set(copied), "nothing else is sent to the builder"
    assert "rustok/testing" in lines


def test_the_documents_name_commands_and_targets_that_exist() -> None:
    pages = [CHECKOUT / "README.md", CHECKOUT / "CONTRIBUTING.md", README, *(CHECKOUT / "docs").rglob("*.md")]
    targets = set(re.findall(r"^([a-z-]+):", (CHECKOUT / "Makefile").read_text(), re.MULTILINE))
    for page in pages:
        text = page.read_text()
        code = "\n".join("".join(parts) for parts in CODE.findall(text))
        named = set(re.findall(r"manage\.py ([a-z_]+)", text))
        made = set(re.findall(r"^(?:\$ )?make ([a-z-]+)", code, re.MULTILINE))
        assert named <= get_commands().keys(), page
        assert made <= targets, page
