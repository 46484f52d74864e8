"""Product documents from the product's own stream: variants, prices and stock included."""

from __future__ import annotations

import uuid
from typing import Any

from apps.consumers import projections
from apps.events import envelope
from apps.kernel import money, text
from apps.readmodels.projections import shared

TYPES = (
    "commerce.product.created",
    "commerce.product.updated",
    "commerce.product.published",
    "commerce.product.unpublished",
    "commerce.product.archived",
    "commerce.product.deleted",
    "commerce.variant.created",
    "commerce.variant.updated",
    "commerce.variant.deleted",
    "commerce.price.updated",
    "commerce.inventory.updated",
    "commerce.inventory.reserved",
    "commerce.inventory.released",
    "commerce.seo.updated",
    "commerce.fields.updated",
)

DOCUMENT = projections.Relation(
    "readmodels_productdocument",
    (
        "tenant_id", "id", "locale", "locales", "version", "title", "handle", "vendor", "product_type", "tags",
        "category_ids", "in_stock", "published_at", "language", "keywords", "body_text", "document",
    ),
)  # fmt: skip


def apply(state: projections.State | None, event: envelope.Event) -> projections.State | None:
    """The product after one event. States are plain JSON; variants are kept by id."""
    verb = event.type.removeprefix("commerce.")
    data = event.data
    if verb == "product.created":
        state = {"status": "draft", "published_at": None, "created_at": shared.at(event)}
        state |= {key: value for key, value in data.items() if key != "variants"}
        state["variants"] = {variant["id"]: variant for variant in data["variants"]}
    elif state is None or verb == "product.deleted":
        return None
    elif verb in {"product.updated", "seo.updated", "fields.updated"}:
        state = state | data
    elif verb == "product.published":
        state = state | {"status": "published", "published_at": data["published_at"]}
    elif verb in {"product.unpublished", "product.archived"}:
        state = state | {"status": "draft" if verb == "product.unpublished" else "archived"}
    else:
        state = state | {"variants": _apply_to_variants(dict(state["variants"]), verb, data)}
    state["version"], state["updated_at"] = event.version, shared.at(event)
    return state


def _apply_to_variants(variants: dict[str, Any], verb: str, data: dict[str, Any]) -> dict[str, Any]:
    if verb == "variant.created":
        return variants | {data["id"]: data}
    if verb == "variant.updated":
        return variants | {data["id"]: variants[data["id"]] | data}
    variant_id = data["variant_id"]
    if verb == "variant.deleted":
        variants.pop(variant_id)
        return variants
    variant = dict(variants[variant_id])
    if verb == "price.updated":
        others = [price for price in variant["prices"] if price["currency"] != data["currency"]]
        if data["new_amount"] is not None:
            price = {"amount": data["new_amount"], "compare_at": data["new_compare_at"]}
            others.append({"currency": data["currency"]} | price)
        variant["prices"] = sorted(others, key=lambda price: str(price["currency"]))
    else:
        stock = {level["location_id"]: level for level in variant["stock"]}
        level = dict(stock.get(data["location_id"], {"location_id": data["location_id"], "stocked": 0}))
        level["reserved"] = data["reserved"]
        if verb == "inventory.updated":
            level["stocked"] = data["new_quantity"]
        variant["stock"] = [
            (stock | {data["location_id"]: level})[key] for key in sorted(stock | {data["location_id"]: level})
        ]
    return variants | {variant_id: variant}


def render(tenant_id: uuid.UUID, product_id: uuid.UUID, state: projections.State) -> dict[str, list[projections.Row]]:
    """A row per locale of a published product, none otherwise: what is not published is not in the store's tables."""
    if state["status"] != "published":
        return {}
    locales = sorted(translation["locale"] for translation in state["translations"])
    rows = [_row(tenant_id, product_id, state, translation, locales) for translation in state["translations"]]
    return {DOCUMENT.template: rows}


def _row(
    tenant_id: uuid.UUID,
    product_id: uuid.UUID,
    state: projections.State,
    translation: dict[str, Any],
    locales: list[str],
) -> projections.Row:
    locale = translation["locale"]
    document = _document(product_id, state, translation, locales)
    skus = [variant["sku"] for variant in state["variants"].values() if variant["sku"]]
    keywords = " ".join([translation["subtitle"], state["vendor"], state["product_type"], *state["tags"], *skus])
    return (
        tenant_id,
        product_id,
        locale,
        locales,
        state["version"],
        translation["title"],
        translation["handle"],
        state["vendor"],
        state["product_type"],
        list(state["tags"]),
        [uuid.UUID(category_id) for category_id in state["category_ids"]],
        document["in_stock"],
        shared.moment(state["published_at"]),
        text.search_language(locale),
        keywords[:10_000],
        text.to_plain_text(translation["description"]),
        shared.to_json(document),
    )


def _document(
    product_id: uuid.UUID, state: projections.State, translation: dict[str, Any], locales: list[str]
) -> dict[str, Any]:
    locale = translation["locale"]
    options = sorted(state["options"], key=lambda option: int(option["position"]))
    variants = sorted(state["variants"].values(), key=lambda variant: (variant["position"], variant["id"]))
    shown_variants = [_variant(variant, options, locale) for variant in variants]
    return {
        "id": shared.typed("prod", str(product_id)),
        "locale": locale,
        "locales": locales,
        "title": translation["title"],
        "subtitle": translation["subtitle"],
        "handle": translation["handle"],
        "description": text.safe_html(translation["description"]),
        "vendor": state["vendor"],
        "product_type": state["product_type"],
        "tags": state["tags"],
        "is_gift_card": state["is_gift_card"],
        "seo": shared.seo(
            state.get("seo", {}).get(locale, {}),
            title=translation["meta_title"] or translation["title"],
            description=translation["meta_description"] or text.to_plain_text(translation["description"]),
            image_url=_first_image(state),
        ),
        "options": [
            {
                "name": shared.localised(option["names"], locale),
                "values": [
                    shared.localised(value["names"], locale)
                    for value in sorted(option["values"], key=lambda value: int(value["position"]))
                ],
            }
            for option in options
        ],
        "variants": shown_variants,
        "images": [
            _image(image, locale) for image in sorted(state["images"], key=lambda image: int(image["position"]))
        ],
        "price_ranges": _price_ranges(variants),
        "in_stock": any(variant["in_stock"] for variant in shown_variants),
        "on_sale": any(price["compare_at"] is not None for variant in shown_variants for price in variant["prices"]),
        "metadata": state["metadata"],
        "fields": state.get("fields", {}),
        "version": state["version"],
        "published_at": state["published_at"],
        "updated_at": state["updated_at"],
    }


def _image(image: dict[str, Any], locale: str) -> dict[str, Any]:
    shown = {"id": shared.typed("img", image["id"]), "url": image["url"], "alt": image["alt"]}
    if image.get("asset_id"):
        shown["alt"] = image["alt"] or image["alts"].get(locale, "")
        shown["renditions"] = image["renditions"]
    return shown


def _first_image(state: projections.State) -> str | None:
    images = sorted(state["images"], key=lambda image: int(image["position"]))
    return images[0]["url"] if images else None


def _variant(variant: dict[str, Any], options: list[dict[str, Any]], locale: str) -> dict[str, Any]:
    names = {value["id"]: value["names"] for option in options for value in option["values"]}
    owners = {value["id"]: option["names"] for option in options for value in option["values"]}
    chosen = {
        shared.localised(owners[value_id], locale): shared.localised(names[value_id], locale)
        for value_id in variant["value_ids"]
        if value_id in names
    }
    return {
        "id": shared.typed("var", variant["id"]),
        "title": " / ".join(chosen.values()) or "Default",
        "sku": variant["sku"],
        "barcode": variant["barcode"],
        "options": chosen,
        "prices": [_price(price) for price in variant["prices"]],
        "in_stock": _is_in_stock(variant),
        "weight_grams": variant["weight_grams"],
        "requires_shipping": variant["requires_shipping"],
        "image_id": shared.typed("img", variant["image_id"]),
        "metadata": variant["metadata"],
    }


def _price(price: dict[str, Any]) -> dict[str, Any]:
    currency, compare_at = price["currency"], price["compare_at"]
    return {
        "currency": currency,
        "amount": money.to_decimal_text(price["amount"], currency),
        "amount_minor": price["amount"],
        "compare_at": None if compare_at is None else money.to_decimal_text(compare_at, currency),
        "compare_at_minor": compare_at,
    }


def _is_in_stock(variant: dict[str, Any]) -> bool:
    if not variant["manage_inventory"] or variant["inventory_policy"] == "continue":
        return True
    return any(level["stocked"] > level["reserved"] for level in variant["stock"])


def _price_ranges(variants: list[dict[str, Any]]) -> list[dict[str, Any]]:
    amounts: dict[str, list[int]] = {}
    for variant in variants:
        for price in variant["prices"]:
            amounts.setdefault(price["currency"], []).append(price["amount"])
    return [
        {
            "currency": currency,
            "minimum": money.to_decimal_text(min(found), currency),
            "maximum": money.to_decimal_text(max(found), currency),
        }
        for currency, found in sorted(amounts.items())
    ]


PROJECTION = projections.register(
    projections.Projection(
        name="products",
        version=2,
        aggregate_types=("commerce.product",),
        types=TYPES,
        state_template="readmodels_productstate",
        relations=(DOCUMENT,),
        apply=apply,
        render=render,
    )
)
