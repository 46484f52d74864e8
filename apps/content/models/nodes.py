"""Nodes with their translations and bodies, categories, tags, and redirects from old slugs.

Translations repeat the kind (or taxonomy) of what they translate, so that the database can hold a slug unique in it.
"""

from __future__ import annotations

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Deferrable, Q
from guardian.managers import UserObjectPermissionManager
from guardian.models import UserObjectPermissionBase

from apps.content import kinds
from apps.kernel import ids, paths, validation
from apps.tenants.constraints import SameTenant, tenant_key
from apps.tenants.models import InTenantForeignKey, TenantManager, TenantModel, loaded_words

MAXIMUM_DEPTH = validation.MAXIMUM_DEPTH


class Status(models.TextChoices):
    DRAFT = "draft"
    PUBLISHED = "published"
    ARCHIVED = "archived"


class Format(models.TextChoices):
    MARKDOWN = "markdown"
    HTML = "html"
    PLAIN = "plain"
    JSON = "json"


def _slug() -> models.CharField[str, str]:
    # Bytewise collation: an index on it also serves the search for name-2, name-3.
    return models.CharField(max_length=255, db_collation="C")


class Node(TenantModel):
    """A page, post, comment or any other registered kind; its words are in its translations and bodies."""

    id = models.UUIDField(primary_key=True, default=ids.new_id, editable=False)
    kind = models.CharField(max_length=32)
    status = models.CharField(max_length=16, choices=Status.choices, default=Status.DRAFT)
    parent = InTenantForeignKey("self", null=True, blank=True, related_name="children")
    position = models.IntegerField(help_text="Order among the nodes with the same parent; gaps are normal.")
    depth = models.SmallIntegerField(default=0, help_text="Number of ancestors.")
    author_name = models.CharField(max_length=255, blank=True)
    metadata = models.JSONField(default=dict, blank=True)
    seo = models.JSONField(
        default=dict, db_default={}, blank=True, help_text="By locale: what search engines are told."
    )
    fields = models.JSONField(default=dict, db_default={}, blank=True, help_text="Values of the tenant's own fields.")
    external_id = models.CharField(
        max_length=255, null=True, blank=True, help_text="Where it came from, such as wordpress:example.com:42."
    )
    old_paths = ArrayField(
        models.CharField(max_length=paths.LONGEST),
        default=list,
        db_default=[],
        blank=True,
        help_text="Where it was on another site: storefronts lead from there to here.",
    )
    published_at = models.DateTimeField(null=True, blank=True, help_text="First publication; kept when unpublished.")
    comments_open = models.BooleanField(null=True, blank=True, help_text="Null is as the tenant's settings say.")
    is_spam = models.BooleanField(default=False, db_default=False, editable=False)
    created_by = models.UUIDField(null=True, editable=False, help_text="The account that made it; null for imports.")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta(TenantModel.Meta):
        constraints = [
            tenant_key("content_node_tenant_key"),
            # The service deletes children itself, deepest first, so that each has its event.
            SameTenant(field="parent", name="content_node_parent_same_tenant", on_delete="RESTRICT"),
            models.UniqueConstraint(
                fields=["tenant", "parent", "position"],
                name="content_node_place",
                nulls_distinct=False,
                deferrable=Deferrable.DEFERRED,
            ),
            models.UniqueConstraint(
                fields=["tenant", "external_id"],
                name="content_node_external_id",
                condition=Q(external_id__isnull=False),
            ),
            models.CheckConstraint(condition=Q(status__in=Status.values), name="content_node_status"),
            models.CheckConstraint(condition=Q(position__gte=0), name="content_node_position"),
            models.CheckConstraint(
                condition=Q(parent__isnull=True, depth=0)
                | Q(parent__isnull=False, depth__gt=0, depth__lte=MAXIMUM_DEPTH),
                name="content_node_depth",
            ),
            models.CheckConstraint(
                condition=~Q(status=Status.PUBLISHED) | Q(published_at__isnull=False),
                name="content_node_published_at",
            ),
            models.CheckConstraint(condition=~Q(external_id=""), name="content_node_external_id_not_empty"),
            models.CheckConstraint(
                condition=Q(is_spam=False) | Q(kind=kinds.COMMENT, status=Status.ARCHIVED), name="content_node_spam"
            ),
        ]
        indexes = [
            models.Index(fields=["tenant", "kind", "status", "id"], name="content_node_list"),
            models.Index(fields=["tenant", "updated_at", "id"], name="content_node_updated"),
            models.Index(
                fields=["tenant", "created_by", "id"], name="content_node_own", condition=Q(created_by__isnull=False)
            ),
        ]

    def __str__(self) -> str:
        return loaded_words(self, "title") or ids.encode("node", self.id)


class NodeTranslation(TenantModel):
    """Title, slug and excerpt in one locale."""

    node = InTenantForeignKey(Node, related_name="translations")
    kind = models.CharField(max_length=32)
    locale = models.CharField(max_length=10)
    title = models.CharField(max_length=255)
    slug = _slug()
    excerpt = models.TextField(blank=True)

    class Meta(TenantModel.Meta):
        constraints = [
            SameTenant(field="node", name="content_nodetranslation_node_same_tenant"),
            models.UniqueConstraint(fields=["tenant", "node", "locale"], name="content_nodetranslation_once"),
            models.UniqueConstraint(fields=["tenant", "kind", "locale", "slug"], name="content_nodetranslation_slug"),
            models.CheckConstraint(condition=~Q(slug="") & ~Q(title=""), name="content_nodetranslation_not_empty"),
        ]

    def __str__(self) -> str:
        return f"{self.title} ({self.locale})"


class Body(TenantModel):
    """The text in one locale: sanitised when it is HTML, the source when it is markdown, blocks when it is JSON."""

    node = InTenantForeignKey(Node, related_name="bodies")
    locale = models.CharField(max_length=10)
    format = models.CharField(max_length=16, choices=Format.choices, default=Format.MARKDOWN)
    body = models.TextField(blank=True)

    class Meta(TenantModel.Meta):
        verbose_name_plural = "bodies"
        constraints = [
            SameTenant(field="node", name="content_body_node_same_tenant"),
            models.UniqueConstraint(fields=["tenant", "node", "locale"], name="content_body_once"),
            models.CheckConstraint(condition=Q(format__in=Format.values), name="content_body_format"),
        ]

    def __str__(self) -> str:
        return f"{self.format} ({self.locale})"


class Category(TenantModel):
    """A place in a tree of terms; `taxonomy` keeps trees of different meaning apart."""

    id = models.UUIDField(primary_key=True, default=ids.new_id, editable=False)
    taxonomy = models.CharField(max_length=64, default="category")
    parent = InTenantForeignKey("self", null=True, blank=True, related_name="children")
    position = models.IntegerField()
    depth = models.SmallIntegerField(default=0)
    seo = models.JSONField(default=dict, db_default={}, blank=True, help_text="What search engines are told.")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta(TenantModel.Meta):
        verbose_name_plural = "categories"
        constraints = [
            tenant_key("content_category_tenant_key"),
            SameTenant(field="parent", name="content_category_parent_same_tenant", on_delete="RESTRICT"),
            models.UniqueConstraint(
                fields=["tenant", "taxonomy", "parent", "position"],
                name="content_category_place",
                nulls_distinct=False,
                deferrable=Deferrable.DEFERRED,
            ),
            models.CheckConstraint(condition=~Q(taxonomy=""), name="content_category_taxonomy"),
            models.CheckConstraint(condition=Q(position__gte=0), name="content_category_position"),
            models.CheckConstraint(
                condition=Q(parent__isnull=True, depth=0)
                | Q(parent__isnull=False, depth__gt=0, depth__lte=MAXIMUM_DEPTH),
                name="content_category_depth",
            ),
        ]
        indexes = [
            models.Index(fields=["tenant", "parent"], name="content_category_parent"),
            models.Index(fields=["tenant", "taxonomy", "id"], name="content_category_list"),
        ]

    def __str__(self) -> str:
        return loaded_words(self, "name") or ids.encode("cat", self.id)


class CategoryTranslation(TenantModel):
    category = InTenantForeignKey(Category, related_name="translations")
    taxonomy = models.CharField(max_length=64)
    locale = models.CharField(max_length=10)
    name = models.CharField(max_length=255)
    slug = _slug()
    description = models.TextField(blank=True)

    class Meta(TenantModel.Meta):
        constraints = [
            SameTenant(field="category", name="content_categorytranslation_category_same_tenant"),
            models.UniqueConstraint(fields=["tenant", "category", "locale"], name="content_categorytranslation_once"),
            models.UniqueConstraint(
                fields=["tenant", "taxonomy", "locale", "slug"], name="content_categorytranslation_slug"
            ),
            models.CheckConstraint(condition=~Q(slug="") & ~Q(name=""), name="content_categorytranslation_not_empty"),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.locale})"


class Tag(TenantModel):
    """A word nodes are found by; it has no place in a tree."""

    id = models.UUIDField(primary_key=True, default=ids.new_id, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta(TenantModel.Meta):
        constraints = [tenant_key("content_tag_tenant_key")]

    def __str__(self) -> str:
        return loaded_words(self, "name") or ids.encode("tag", self.id)


class TagTranslation(TenantModel):
    tag = InTenantForeignKey(Tag, related_name="translations")
    locale = models.CharField(max_length=10)
    name = models.CharField(max_length=255)
    slug = _slug()
    description = models.TextField(blank=True)

    class Meta(TenantModel.Meta):
        constraints = [
            SameTenant(field="tag", name="content_tagtranslation_tag_same_tenant"),
            models.UniqueConstraint(fields=["tenant", "tag", "locale"], name="content_tagtranslation_once"),
            models.UniqueConstraint(fields=["tenant", "locale", "slug"], name="content_tagtranslation_slug"),
            models.CheckConstraint(condition=~Q(slug="") & ~Q(name=""), name="content_tagtranslation_not_empty"),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.locale})"


class NodeCategory(TenantModel):
    """A node's categories, in the order the editor gave them."""

    node = InTenantForeignKey(Node, related_name="category_links")
    category = InTenantForeignKey(Category, related_name="node_links")
    position = models.SmallIntegerField()

    class Meta(TenantModel.Meta):
        constraints = [
            SameTenant(field="node", name="content_nodecategory_node_same_tenant"),
            # The service takes the nodes out first, so that each has its event.
            SameTenant(field="category", name="content_nodecategory_category_same_tenant", on_delete="RESTRICT"),
            models.UniqueConstraint(fields=["tenant", "node", "category"], name="content_nodecategory_once"),
        ]
        indexes = [models.Index(fields=["tenant", "category"], name="content_nodecategory_category")]

    def __str__(self) -> str:
        return f"{self.node_id} in {self.category_id}"


class NodeTag(TenantModel):
    node = InTenantForeignKey(Node, related_name="tag_links")
    tag = InTenantForeignKey(Tag, related_name="node_links")

    class Meta(TenantModel.Meta):
        constraints = [
            SameTenant(field="node", name="content_nodetag_node_same_tenant"),
            SameTenant(field="tag", name="content_nodetag_tag_same_tenant", on_delete="RESTRICT"),
            models.UniqueConstraint(fields=["tenant", "node", "tag"], name="content_nodetag_once"),
        ]
        indexes = [models.Index(fields=["tenant", "tag"], name="content_nodetag_tag")]

    def __str__(self) -> str:
        return f"{self.node_id} has {self.tag_id}"


class Redirect(TenantModel):
    """An old slug of a node. Whoever takes the slug for itself removes it."""

    node = InTenantForeignKey(Node, related_name="redirects")
    kind = models.CharField(max_length=32)
    locale = models.CharField(max_length=10)
    slug = _slug()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta(TenantModel.Meta):
        constraints = [
            SameTenant(field="node", name="content_redirect_node_same_tenant"),
            models.UniqueConstraint(fields=["tenant", "kind", "locale", "slug"], name="content_redirect_slug"),
        ]
        indexes = [models.Index(fields=["tenant", "node"], name="content_redirect_node")]

    def __str__(self) -> str:
        return f"{self.kind}/{self.slug} ({self.locale})"


class _ShareManager(TenantManager["NodeUserObjectPermission"], UserObjectPermissionManager):
    """Of the tenant in scope, with what guardian asks of its tables."""


class NodeUserObjectPermission(TenantModel, UserObjectPermissionBase):
    """A node shared with one member: guardian's table, with real keys to node, tenant and membership (migrations/0003).

    Asked for one object only, never for a list.
    """

    content_object = InTenantForeignKey(Node, related_name="shares")

    objects: ClassVar[_ShareManager] = _ShareManager()

    class Meta(TenantModel.Meta):
        constraints = [
            SameTenant(field="content_object", name="content_nodeshare_node_same_tenant"),
            models.UniqueConstraint(
                fields=["tenant", "content_object", "user", "permission"], name="content_nodeshare_once"
            ),
        ]
