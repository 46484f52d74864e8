"""WordPress sites as a format that can be imported, and how nodes and terms are put back."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from apps.content import events
from apps.content.wordpress import reading, restoring
from apps.content.wordpress.importing import Importer
from apps.imports import formats
from apps.kernel import validation


class SiteOptions(validation.Input):
    locale: validation.Locale


def _opened(path: Path, options: SiteOptions, found: Mapping[str, Any]) -> formats.Importer:
    return Importer(path, reading.survey(path), options.locale)


def register() -> None:
    """Let them be known."""
    formats.register(
        formats.Format(
            name="wordpress",
            title="WordPress site (WXR)",
            action="content.import",
            permission="nodes:import",
            modules=("content",),
            endings=(".xml", ".wxr", ".xml.gz", ".wxr.gz"),
            options=SiteOptions,
            opened=_opened,
        )
    )
    formats.register_undo(events.NODE, formats.Undo("node", restoring.discard_node, restoring.restore_node))
    formats.register_undo(
        events.CATEGORY,
        formats.Undo("content category", restoring.discard_category, restoring.restore_category),
    )
    formats.register_undo(events.TAG, formats.Undo("tag", restoring.discard_tag, restoring.restore_tag))
