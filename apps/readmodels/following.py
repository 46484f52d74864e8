"""What follows its parent, joined when it is read: a projection folds one aggregate and can't know another's status.

Only rows of kinds that follow their parent pay for it, with an index lookup for each node above them.
"""

from __future__ import annotations

import uuid

from django.contrib.postgres.fields import ArrayField
from django.db.models import BooleanField, F, Func, TextField, Value
from django.db.models.expressions import RawSQL

from apps.content import kinds

# Upwards from the parent to the first node that stands by itself; a node on the way without a row is not public.
# UNION, not UNION ALL: there is a row for each locale of a node, and a circle ends.
PARENT_IS_SHOWN = """NOT EXISTS (
    WITH RECURSIVE above(tenant_id, id, following) AS (
        SELECT %(expressions)s
        UNION
        SELECT node.tenant_id, node.parent_id, following
        FROM above JOIN readmodels_contentdocument_live node USING (tenant_id, id)
        WHERE node.kind = ANY(following)
    )
    SELECT FROM above
    WHERE id IS NOT NULL
      AND NOT EXISTS (
          SELECT FROM readmodels_contentdocument_live node
          WHERE node.tenant_id = above.tenant_id AND node.id = above.id
      )
)"""


# Downwards from a node through what follows its parent; a comment that is not shown hides its answers.
BELOW = """(
    WITH RECURSIVE below(tenant_id, id) AS (
        SELECT %s::uuid, %s::uuid
        UNION
        SELECT node.tenant_id, node.id
        FROM below JOIN readmodels_contentdocument_live node
            ON node.tenant_id = below.tenant_id AND node.parent_id = below.id
        WHERE node.kind = ANY(%s)
    )
    SELECT id FROM below
)"""


def below(tenant_id: uuid.UUID, node_id: uuid.UUID, kind: str) -> RawSQL:
    """The ids of what is shown below a node and is of a kind that follows its parent, and of the node itself."""
    return RawSQL(BELOW, (tenant_id, node_id, [kind]))  # noqa: S611 - a constant, with parameters


class ParentIsShown(Func):
    """The same for a queryset of LiveContent."""

    template = PARENT_IS_SHOWN
    output_field = BooleanField()

    def __init__(self) -> None:
        following = Value(kinds.following_parents(), output_field=ArrayField(TextField()))
        super().__init__(F("tenant_id"), F("parent_id"), following)
