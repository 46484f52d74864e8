"""Nodes: their words and bodies side by side in every language, their place, their terms."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from django.contrib import admin
from django.db.models import Prefetch, Q, QuerySet
from django.forms.widgets import Media, Script
from django.http import HttpRequest
from django.urls import path, reverse
from django.utils import timezone
from django.utils.html import format_html

from apps.accounts.access import limiting
from apps.accounts.access.site import LimitedAdmin, limited
from apps.accounts.desk import words
from apps.accounts.desk.acting import Act
from apps.accounts.desk.asking import Asked, to_json
from apps.accounts.desk.choosing import names_of
from apps.accounts.desk.screens import EditingAdmin
from apps.accounts.desk.sheets import Document, Field, Section, Sheet
from apps.content import events, kinds, models, permitted, queries, services
from apps.content.admin import blocks, tree
from apps.kernel import validation
from apps.tenants import scope
from apps.tenants.admin import ReadOnlyInline, TranslatedReadOnlyAdmin

_FORMATS = (("markdown", "Markdown"), ("html", "HTML"), ("plain", "Plain text"), ("json", "Blocks"))
ACTS = (
    Act(
        "publish",
        "Publish",
        "published",
        lambda row_id: services.publish_node(node_id=row_id, now=timezone.now()),
        is_for=lambda row: row.status != "published",
    ),
    Act(
        "unpublish",
        "Back to draft",
        "a draft",
        lambda row_id: services.unpublish_node(node_id=row_id),
        is_for=lambda row: row.status != "draft",
    ),
    Act(
        "archive",
        "Archive",
        "archived",
        lambda row_id: services.archive_node(node_id=row_id),
        is_for=lambda row: row.status != "archived",
    ),
    Act(
        "spam",
        "Take for spam",
        "taken for spam",
        lambda row_id: services.moderate_comment(
            comment_id=row_id, state=services.CommentState.SPAM, now=timezone.now()
        ),
        is_for=lambda row: row.kind == kinds.COMMENT and not row.is_spam,
    ),
)


class TextInline(ReadOnlyInline):
    """Texts in the languages that whoever looks may read."""

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return limited(super().get_queryset(request), request, "nodes:read", permitted.OF_TEXT)


class NodeTranslationInline(TextInline):
    model = models.NodeTranslation
    fields = ("locale", "title", "slug", "excerpt")


class BodyInline(TextInline):
    model = models.Body
    fields = ("locale", "format", "body")


class RedirectInline(TextInline):
    model = models.Redirect
    fields = ("locale", "slug")


@admin.register(models.Node)
class NodeAdmin(LimitedAdmin, EditingAdmin, TranslatedReadOnlyAdmin):
    resource = "nodes"
    called = ("page or post", "pages and posts")
    aggregate = events.NODE
    columns = permitted.COLUMNS
    acts = ACTS
    shown = "title"
    list_filter = ("kind", "status")
    search_fields = ("translations__title", "translations__slug", "external_id")
    ordering = ("-id",)
    inlines = (NodeTranslationInline, BodyInline, RedirectInline)
    raw_id_fields = ("parent",)
    show_full_result_count = False
    list_per_page = 50
    scripts = Media(css={"all": ["content/blocks.css"]}, js=[Script("content/blocks.js", type="module")])  # type: ignore[list-item] # or Script

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        where = ("tenant",) if scope.find() is None else ("missing",)
        return ["words", *where, "kind", "state", "author_name", "published_at", "updated_at"]

    @admin.display(description="status", ordering="status")
    def state(self, row: Any) -> str:
        return format_html('<span class="pill pill-{0}">{0}</span>', row.status)

    @admin.display(description="untranslated")
    def missing(self, row: Any) -> str:
        """The languages of the tenant it is not translated into."""
        there = {entry.locale for entry in row.translations.all()}
        everywhere = frozenset(scope.current().locales)
        limits = [constraint.locale or everywhere for constraint in limiting.held("nodes:read") or ()]
        return ", ".join(sorted(everywhere.intersection(*[frozenset().union(*limits)] if limits else []) - there))

    def texts_shown(self, request: HttpRequest) -> Prefetch[Any]:
        texts = models.NodeTranslation.objects.order_by("locale")
        return Prefetch("translations", limited(texts, request, "nodes:read", permitted.OF_TEXT))

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """By the texts that are shown, so that no search tells of others."""
        texts = limited(models.NodeTranslation.objects.all(), request, "nodes:read", permitted.OF_TEXT)
        found = Q(external_id__icontains=search_term) if search_term else Q()
        for word in search_term.split():
            texts = texts.filter(Q(title__icontains=word) | Q(slug__icontains=word))
        return queryset.filter(found | Q(pk__in=texts.values("node"))) if search_term else queryset, False

    def get_urls(self) -> list[Any]:
        own = {"tree": self.tree_view, "blocks": blocks.described, "preview": blocks.preview}
        shown = self.admin_site.admin_view
        pages = [path(f"{name}/", shown(page), name=f"content_node_{name}") for name, page in own.items()]
        return [*pages, *super().get_urls()]

    def tree_view(self, request: HttpRequest) -> Any:
        return tree.page(self, request)

    def list_tools(self, request: HttpRequest) -> list[tuple[str, str]]:
        return [("Tree", reverse("admin:content_node_tree"))]

    def tools(self, request: HttpRequest, row: Any) -> list[tuple[str, str]]:
        below = f"{reverse('admin:content_node_changelist')}?parent__id__exact={row.pk}"
        where = f"{reverse('admin:content_node_tree')}?kind={row.kind}&open={row.parent_id or ''}"
        return [("What is below", below), ("In the tree", where)]

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        return lookup == "parent__id__exact" or super().lookup_allowed(lookup, value, request)

    def stored(self, request: HttpRequest, row: Any) -> Document:
        if row is None:
            return {"kind": request.GET.get("kind", "page"), "parent_id": request.GET.get("parent", "")}
        node = queries.get_node(node_id=row.pk)
        found: Document = {
            "parent_id": str(node.parent_id or ""),
            "author_name": node.author_name,
            "old_paths": "\n".join(node.old_paths),
            "seo": to_json(node.seo),
            "fields": to_json(node.fields),
            "metadata": to_json(node.metadata),
            "category_ids": [str(value) for value in queries.category_ids_of([node.id]).get(node.id, [])],
            "tag_ids": [str(value) for value in queries.tag_ids_of([node.id]).get(node.id, [])],
            **words.stored(node.translations.all(), "title", "slug", "excerpt"),
        }
        for body in node.bodies.all():
            found |= {f"bodies/{body.locale}/format": body.format, f"bodies/{body.locale}/body": body.body}
        return found

    def sheet(self, request: HttpRequest, row: Any, document: Mapping[str, Any]) -> Sheet:
        known = tuple((name, name) for name in kinds.names())
        kind = Field(name="kind", label="Kind", kind="choice", choices=known)
        place = (
            *([kind] if row is None else []),
            Field(name="parent_id", label="Below", kind="find", find=reverse("admin:content_node_find")),
            Field(name="author_name", label="Author"),
            Field(
                name="category_ids", label="Categories", kind="find_many", find=reverse("admin:content_category_find")
            ),
            Field(name="tag_ids", label="Tags", kind="find_many", find=reverse("admin:content_tag_find")),
        )
        more = (
            Field(
                name="old_paths",
                label="Old addresses",
                kind="text",
                help="Where it was on another site, one a line, such as /2019/05/hello.",
            ),
            Field(name="seo", label="For search engines, by language (JSON)", kind="code", lines=4),
            Field(name="fields", label="Custom fields (JSON)", kind="code", lines=4),
            Field(name="metadata", label="Metadata (JSON)", kind="code", lines=5),
        )
        return Sheet(
            [
                words.languages(fields=_words(), shown_by="title", document=document),
                Section(title="Organisation", fields=place, is_aside=True),
                Section(title="More", fields=more, is_aside=True, is_folded=True),
            ]
        )

    def names_of(self, request: HttpRequest, document: Mapping[str, Any]) -> Mapping[str, str]:
        return {
            **names_of(request, "content.node", [str(document.get("parent_id", ""))]),
            **names_of(request, "content.category", [*document.get("category_ids", [])]),
            **names_of(request, "content.tag", [*document.get("tag_ids", [])]),
        }

    def write(self, request: HttpRequest, row: Any, asked: Asked) -> uuid.UUID:
        values: dict[str, Any] = {
            "author_name": asked.text("author_name"),
            "old_paths": asked.lines("old_paths"),
            "seo": asked.json("seo"),
            "fields": asked.json("fields"),
            "metadata": asked.json("metadata"),
            "category_ids": asked.many("category_ids"),
            "tag_ids": asked.many("tag_ids"),
        }
        if row is None:
            values |= {"kind": asked.text("kind"), "parent_id": asked.maybe("parent_id")}
            values |= {"translations": words.asked(asked), "bodies": _bodies(asked)}
            return services.create_node(new=validation.parse(services.NewNode, values), now=timezone.now()).id
        node_id = uuid.UUID(str(row.pk))
        gone = _locales_taken_out(asked)
        changed = {name: value for name, value in values.items() if asked.changes(name)}
        if texts := words.asked(asked, only_changed=True):
            changed["translations"] = texts
        if bodies := [body for body in _bodies(asked, only_changed=True) if body["locale"] not in gone]:
            changed["bodies"] = bodies
        if changed:
            changes = validation.parse(services.NodeChanges, changed)
            services.update_node(node_id=node_id, changes=changes)
        for locale in gone:
            services.remove_translation(node_id=node_id, locale=locale)
        if asked.changes("parent_id"):
            parent = asked.maybe("parent_id")
            parent_id = validation.check(uuid.UUID, parent, field="parent_id") if parent else None
            services.set_parent(node_id=node_id, parent_id=parent_id)
        return node_id

    def erase(self, row_id: uuid.UUID) -> None:
        services.delete_node(node_id=row_id)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows: QuerySet[Any] = super().get_queryset(request)
        return rows


def _words() -> tuple[Field, ...]:
    return (
        Field(name="translations/{locale}/title", label="Title", is_required=True),
        Field(name="translations/{locale}/slug", label="Slug", help="In the address; made of the title if empty."),
        Field(name="translations/{locale}/excerpt", label="Excerpt", kind="text", lines=3),
        Field(name="bodies/{locale}/format", label="Format", kind="choice", choices=_FORMATS),
        Field(
            name="bodies/{locale}/body",
            label="Text",
            kind="body",
            lines=18,
            preview=reverse("admin:content_node_preview"),
            blocks=reverse("admin:content_node_blocks"),
        ),
    )


def _bodies(asked: Asked, *, only_changed: bool = False) -> list[dict[str, Any]]:
    """The texts that are there, or were."""
    filled = {
        locale: {"locale": locale, "format": fields.get("format") or "markdown", "body": fields.get("body", "")}
        for locale, fields in asked.group("bodies").items()
        if (str(fields.get("body", "")).strip() or f"bodies/{locale}/body" in asked.before)
        and (not only_changed or asked.changes(f"bodies/{locale}"))
    }
    return asked.listed("bodies", filled)


def _locales_taken_out(asked: Asked) -> list[str]:
    """Languages that had a title and in which nothing is said any more."""
    return [
        locale
        for locale, fields in asked.group(words.GROUP).items()
        if asked.before.get(f"translations/{locale}/title") and not any(str(text).strip() for text in fields.values())
    ]
