"""One process of a rebuild: folds the lanes of one shard. Started by `rebuild`; right if it is killed at any moment.

python -m apps.consumers.fold_shard SHARD PROJECTION GENERATION LANES_PER_STEP DATABASE
"""

from __future__ import annotations

import sys

import django
from django.db import connection


def main(shard: str, projection: str, generation: str, lanes: str, database: str) -> None:
    django.setup()
    from apps.consumers import projections, rebuild
    from apps.kernel import isolation

    connection.settings_dict["NAME"] = database
    with isolation.all_tenants(reason="fold a shard"):
        while rebuild.fold_lanes(projections.get(projection), int(generation), int(shard), lanes=int(lanes)):
            pass


if __name__ == "__main__":
    main(*sys.argv[1:])
