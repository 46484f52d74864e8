"""The merchants' side of commerce, below `/api/v1/admin/`."""

from apps.commerce.api import bulk, catalogue, stock, taxonomy

urlpatterns = [*bulk.urlpatterns, *catalogue.urlpatterns, *stock.urlpatterns, *taxonomy.urlpatterns]
