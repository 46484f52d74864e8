"""`manage.py messages`: the sentences errors are told in, collected for translators and compiled for the product."""

import ast
import io
import string
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.translation import to_locale

from apps.kernel import problems
from rustok.environment import CHECKOUT

NO_MOMENT = datetime(2026, 1, 1, tzinfo=UTC)
MARKS = {"say": 0, "mark": 0, "refusal": 1}


class Command(BaseCommand):
    tenancy = "public"
    help = (
        "Collect what is said in errors into rustok/locale/*/LC_MESSAGES/django.po, keep the translations that are "
        "there, and compile them. With --check write nothing and exit with 1 when a sentence is missing, not "
        "translated, translated without one of its {values}, or not compiled. Needs the development environment."
    )
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--check", action="store_true", help="Write nothing; name what is missing.")

    def handle(self, *args: Any, check: bool, **options: Any) -> None:
        try:
            from babel.messages import mofile, pofile
        except ImportError:
            raise CommandError("Babel is not installed here; it comes with the development environment.") from None
        sentences = collect()
        found: list[str] = []
        for language, _name in settings.LANGUAGES:
            if language == settings.LANGUAGE_CODE:
                continue
            file = _file_of(language)
            catalogue = _merge(file, language, sentences)
            written, compiled = io.BytesIO(), io.BytesIO()
            pofile.write_po(written, catalogue, width=120, sort_output=True, omit_header=False)
            mofile.write_mo(compiled, catalogue)
            outputs = {file: written.getvalue(), file.with_suffix(".mo"): compiled.getvalue()}
            missing = [entry for entry in catalogue if entry.id and not _is_right(entry)]
            if check:
                found += [f"{language}: not translated: {entry.id}" for entry in missing]
                found += [
                    f"{path.relative_to(CHECKOUT)} is out of date: run manage.py messages"
                    for path, content in outputs.items()
                    if not path.exists() or path.read_bytes() != content
                ]
                continue
            file.parent.mkdir(parents=True, exist_ok=True)
            for path, content in outputs.items():
                path.write_bytes(content)
            self.stdout.write(f"{language}: {len(sentences) - len(missing)} of {len(sentences)} sentences translated.")
        if found:
            raise CommandError("\n".join(found))


def collect() -> dict[str, list[str]]:
    """Every template that can be said, with the files it is in."""
    found: dict[str, list[str]] = {}
    for folder in ("apps", "rustok"):
        for file in sorted((CHECKOUT / folder).rglob("*.py")):
            place = str(file.relative_to(CHECKOUT))
            for template in _templates(ast.parse(file.read_text())):
                if _has_words(template) and place not in found.setdefault(template, []):
                    found[template].append(place)
    for entry in problems.catalogue():
        found.setdefault(entry.title, [])
    return found


def _templates(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(id="wording"), attr=name)) if name in MARKS:
                argument = node.args[MARKS[name]]
                if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                    yield argument.value


def _file_of(language: str) -> Path:
    return settings.LOCALE_PATHS[0] / to_locale(language) / "LC_MESSAGES" / "django.po"


def _merge(file: Path, language: str, sentences: dict[str, list[str]]) -> Any:
    """A catalogue of exactly these sentences, with the translations that the file has."""
    from babel.messages import Catalog, pofile

    known = {}
    if file.exists():
        with file.open("rb") as stored:
            known = {entry.id: entry.string for entry in pofile.read_po(stored)}
    catalogue = Catalog(locale=to_locale(language), project="RusToK", fuzzy=False, header_comment="# RusToK")
    catalogue.creation_date = catalogue.revision_date = NO_MOMENT  # the same sentences are the same file
    for sentence, places in sorted(sentences.items()):
        catalogue.add(sentence, known.get(sentence, ""), locations=[(place, 0) for place in places])
    return catalogue


def _is_right(entry: Any) -> bool:
    return bool(entry.string) and _values(entry.string) == _values(entry.id)


def _has_words(template: str) -> bool:
    return any(character.isalpha() for text, *_ in string.Formatter().parse(template) for character in text)


def _values(template: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(template) if name is not None}
