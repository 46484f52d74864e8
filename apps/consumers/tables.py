"""What the tables of a projection have in common; an app that has one makes its models of these."""

from __future__ import annotations

from django.db import models


class Row(models.Model):
    """A row of an aggregate of a tenant. Relations name these columns first."""

    tenant_id = models.UUIDField()
    id = models.UUIDField()

    class Meta:
        abstract = True


class StateRow(Row):
    """The fold of an aggregate's events; `state` is null once it is deleted, so that a late event can't revive it."""

    pk = models.CompositePrimaryKey("tenant_id", "id")
    version = models.IntegerField()
    state = models.TextField(null=True)

    class Meta:
        abstract = True
