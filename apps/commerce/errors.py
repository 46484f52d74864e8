"""The anticipated failures of commerce, shared by its services and queries."""

from __future__ import annotations

from apps.kernel import errors


class ProductNotFound(errors.NotFound):
    """The tenant has no such product, or it is not for whoever asks. List its products."""

    code = "product_not_found"


class VariantNotFound(errors.NotFound):
    """There is no such variant, or it was removed. Read the product again for the variants it has."""

    code = "variant_not_found"


class CategoryNotFound(errors.NotFound):
    """The tenant has no such category of products. List its categories."""

    code = "category_not_found"


class CollectionNotFound(errors.NotFound):
    """The tenant has no such collection. List its collections."""

    code = "collection_not_found"


class LocationNotFound(errors.NotFound):
    """The tenant has no stock location with this code. Add it, or take one that is there."""

    code = "location_not_found"


class ReservationNotFound(errors.NotFound):
    """The tenant has no such reservation. Reserve anew."""

    code = "reservation_not_found"


class DuplicateHandle(errors.Conflict):
    """Another object of this kind has the handle in this locale. Choose another one, or leave it out."""

    code = "duplicate_handle"
    title = "The handle is taken"


class DuplicateSku(errors.Conflict):
    """Another variant of the tenant has this SKU. Choose another one."""

    code = "duplicate_sku"
    title = "The SKU is taken"


class DuplicateExternalId(errors.Conflict):
    """Another product of the tenant stands for this object of the outside system. Update that product instead."""

    code = "duplicate_external_id"
    title = "The external id is taken"


class DuplicateVariant(errors.Conflict):
    """Another variant of the product has the same option values. Choose others, or change that variant."""

    code = "duplicate_variant"
    title = "There is such a variant already"


class DuplicateCode(errors.Conflict):
    """Another stock location has this code. Choose another one."""

    code = "duplicate_code"
    title = "The code is taken"


class CannotDeletePublished(errors.Conflict):
    """The product is visible to customers. Unpublish or archive it before it is deleted."""

    code = "cannot_delete_published"
    title = "The product is published"


class LastVariant(errors.Conflict):
    """A product keeps at least one variant. Add another one first, or delete the product."""

    code = "last_variant"
    title = "A product keeps one variant"


class OptionValueInUse(errors.Conflict):
    """Variants of the product still have an option value that is to go. Change or remove them first."""

    code = "option_value_in_use"
    title = "The option value is in use"


class AmbiguousOptions(errors.Conflict):
    """Options come in a language the product has none in, and nothing tells which of its own they are. `detail` says
    what would."""

    code = "ambiguous_options"
    title = "It is not clear which options these are"


class CategoryHasChildren(errors.Conflict):
    """Categories lie below the one that is to go. Move or delete them first."""

    code = "category_has_children"
    title = "Categories lie below this one"


class CategoryInUse(errors.Conflict):
    """Products are in the category. Take them out of it first."""

    code = "category_in_use"
    title = "Products are in the category"


class CategoryCycle(errors.Conflict):
    """A category can't lie below itself. Choose a parent outside of it."""

    code = "category_cycle"
    title = "A tree has no circles"


class CategoryTooDeep(errors.Conflict):
    """The tree of categories would grow beyond its bound. Choose a parent further up."""

    code = "category_too_deep"
    title = "The tree would be too deep"


class ReservationEnded(errors.Conflict):
    """The reservation was released, expired or committed already. Reserve anew if the goods are still wanted."""

    code = "reservation_ended"
    title = "The reservation has ended"


class NoVariants(errors.ValidationFailed):
    """A product needs at least one variant. Send one."""

    code = "no_variants"


class InvalidPrice(errors.ValidationFailed):
    """Prices contradict each other, such as two in one currency. `errors` points at each."""

    code = "invalid_price"


class LocaleNotEnabled(errors.ValidationFailed):
    """The tenant does not publish in this locale. Use one of those it has, or enable it first."""

    code = "locale_not_enabled"


class UnknownOptionValue(errors.ValidationFailed):
    """A variant names a value its product's options do not have. Add it to the option first."""

    code = "unknown_option_value"


class UnknownAsset(errors.ValidationFailed):
    """A product is to show an asset that is not in the media library, or is no image. Upload it first."""

    code = "unknown_asset"


class UnknownImage(errors.ValidationFailed):
    """A variant names an image its product does not have. Add it to the product first."""

    code = "unknown_image"


class InsufficientInventory(errors.DomainError):
    """There is less to take or to promise than was asked for. `available` says how much there is."""

    code = "insufficient_inventory"
    status = 422
    title = "There is not enough in stock"
