"""The merchants' side of commerce, below `/api/v1/admin/`."""

from apps.commerce.api import catalogue, stock, taxonomy

urlpatterns = [*catalogue.urlpatterns, *stock.urlpatterns, *taxonomy.urlpatterns]
