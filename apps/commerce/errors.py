"""The anticipated failures of commerce, shared by its services and queries."""

from __future__ import annotations

from apps.kernel import errors


class ProductNotFound(errors.NotFound):
    code = "product_not_found"


class VariantNotFound(errors.NotFound):
    code = "variant_not_found"


class CategoryNotFound(errors.NotFound):
    code = "category_not_found"


class CollectionNotFound(errors.NotFound):
    code = "collection_not_found"


class LocationNotFound(errors.NotFound):
    code = "location_not_found"


class ReservationNotFound(errors.NotFound):
    code = "reservation_not_found"


class DuplicateHandle(errors.Conflict):
    """Another object of this kind has the handle in this locale."""

    code = "duplicate_handle"


class DuplicateSku(errors.Conflict):
    """Another variant of the tenant has this SKU."""

    code = "duplicate_sku"


class DuplicateExternalId(errors.Conflict):
    """Another product of the tenant stands for this object of the outside system."""

    code = "duplicate_external_id"


class DuplicateVariant(errors.Conflict):
    """Another variant of the product has the same option values."""

    code = "duplicate_variant"


class DuplicateCode(errors.Conflict):
    """Another stock location has this code."""

    code = "duplicate_code"


class CannotDeletePublished(errors.Conflict):
    """The product is visible to customers."""

    code = "cannot_delete_published"


class LastVariant(errors.Conflict):
    """A product keeps at least one variant."""

    code = "last_variant"


class OptionValueInUse(errors.Conflict):
    """Variants of the product still have an option value that is to go."""

    code = "option_value_in_use"


class AmbiguousOptions(errors.Conflict):
    """Options come in a language the product has none in, and nothing tells which of its own they are."""

    code = "ambiguous_options"


class CategoryHasChildren(errors.Conflict):
    """Categories lie below the one that is to go."""

    code = "category_has_children"


class CategoryCycle(errors.Conflict):
    """A category can't lie below itself."""

    code = "category_cycle"


class CategoryTooDeep(errors.Conflict):
    """The tree would grow beyond its bound."""

    code = "category_too_deep"


class ReservationEnded(errors.Conflict):
    """The reservation was released, expired or committed already."""

    code = "reservation_ended"


class NoVariants(errors.ValidationFailed):
    """A product needs at least one variant."""

    code = "no_variants"


class InvalidPrice(errors.ValidationFailed):
    """A price can't be as it is given."""

    code = "invalid_price"


class LocaleNotEnabled(errors.ValidationFailed):
    """The tenant does not publish in this locale."""

    code = "locale_not_enabled"


class UnknownOptionValue(errors.ValidationFailed):
    """A variant names a value its product's options do not have."""

    code = "unknown_option_value"


class UnknownImage(errors.ValidationFailed):
    """A variant names an image its product does not have."""

    code = "unknown_image"


class InsufficientInventory(errors.DomainError):
    """There is less to take or to promise than was asked for."""

    code = "insufficient_inventory"
    status = 422
    title = "There is not enough in stock"
