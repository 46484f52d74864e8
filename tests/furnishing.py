"""What the tenant of the tutorial has beside its imports when its pictures are taken: drawn images and a menu."""

from __future__ import annotations

import io

from django.utils import timezone
from PIL import Image, ImageDraw

from apps.accounts.models import User
from apps.commerce import services as products
from apps.commerce.models import Category, Product
from apps.content import services as content
from apps.content.models import Node
from apps.imports import formats, serving
from apps.kernel import context, ids, isolation, validation
from apps.media import files, inputs
from apps.media import services as media
from apps.tenants import models, queries, scope
from rustok.environment import CHECKOUT

SIZE = 900
ALT = {
    "harbour-lamp": "A brass lamp beside a blue door",
    "pier-lantern": "A zinc lantern on a pier",
    "reading-light": "A hinged lamp over a page",
}
WALLS = {"harbour-lamp": (38, 70, 110), "pier-lantern": (96, 125, 139), "reading-light": (121, 85, 72)}
BRASS, LIGHT, DARK = (222, 184, 105), (255, 244, 206), (33, 33, 33)


def furnish(slug: str, *, editor: str) -> None:
    """Give the products of the tutorial pictures, the site a menu, and the editor an import looked through."""
    with isolation.all_tenants(reason="furnish the tutorial"):
        tenant = models.Tenant.objects.get(slug=slug)
        user = User.objects.get(email=editor)
    with scope.use(queries.scope_of(tenant)), context.use(actor="command:furnish"):
        for handle, alt in ALT.items():
            product = Product.objects.get(translations__handle=handle)
            new = validation.parse(inputs.NewAsset, {"alt": alt, "folder": "lamps"})
            asset = media.upload_asset(
                new=new, file=io.BytesIO(drawn(handle)), name=f"{handle}.jpg", declared="image/jpeg"
            ).asset
            images = {"images": [{"url": files.address(asset.path), "alt": alt}]}
            products.update_product(product_id=product.id, changes=validation.parse(products.ProductChanges, images))
        content.create_menu(new=validation.parse(content.NewMenu, _menu()))
        content.create_node(new=validation.parse(content.NewNode, _welcome()), now=timezone.now())
        with (CHECKOUT / "docs" / "tutorial" / "shop.csv").open("rb") as file:
            serving.ask(
                format=formats.formats()["shopify"],
                file=file,
                name="spring-prices.csv",
                options={"locale": "en", "currency": "EUR", "location": "default"},
                is_dry_run=True,
                by=user,
                now=timezone.now(),
            )


def _welcome() -> dict[str, object]:
    """A page of blocks."""
    lamps = Product.objects.filter(translations__handle__in=ALT).order_by("id").distinct()
    body = [
        {
            "type": "hero",
            "title": "Light for long evenings",
            "subtitle": "Lamps of brass and zinc, made to be mended",
            "actions": [{"label": "See all lamps", "url": "/shop"}],
        },
        {"type": "product_grid", "title": "New", "product_ids": [ids.encode("prod", lamp.id) for lamp in lamps]},
        {
            "type": "faq",
            "title": "Questions",
            "items": [{"question": "Do you mend old lamps?", "answer": "Yes, **also those of others**."}],
        },
    ]
    return {
        "kind": "page",
        "translations": [{"locale": "en", "title": "Welcome"}],
        "bodies": [{"locale": "en", "format": "json", "body": body}],
    }


def _menu() -> dict[str, object]:
    """A shop with its lamps below it, and the pages."""
    return {
        "name": "Main menu",
        "location": "header",
        "items": [
            {
                "titles": {"en": "Shop"},
                "url": "/shop",
                "children": [
                    {"target": {"type": "category", "id": ids.encode("cat", row.id)}}
                    for row in Category.objects.filter(depth=2).order_by("position")
                ],
            },
            *(
                {"target": {"type": "node", "id": ids.encode("node", row.id)}}
                for row in Node.objects.filter(kind="page").order_by("id")
            ),
        ],
    }


def drawn(handle: str) -> bytes:
    """A lamp in front of a wall."""
    image = Image.new("RGB", (SIZE, SIZE), WALLS[handle])
    pen = ImageDraw.Draw(image)
    pen.rectangle((0, 720, SIZE, SIZE), fill=DARK)
    for radius in range(330, 150, -6):
        share = (330 - radius) / 180
        both = zip(WALLS[handle], LIGHT, strict=True)
        glow = tuple(round(wall + (light - wall) * share * 0.7) for wall, light in both)
        pen.ellipse((450 - radius, 400 - radius, 450 + radius, 400 + radius), fill=glow)
    if handle == "reading-light":
        pen.line((300, 720, 300, 420, 450, 300), fill=BRASS, width=22, joint="curve")
        pen.polygon(((400, 260), (560, 260), (640, 420), (330, 420)), fill=BRASS)
        pen.ellipse((430, 390, 540, 480), fill=LIGHT)
    else:
        pen.arc((350, 120, 550, 320), 180, 360, fill=BRASS, width=16)
        pen.polygon(((360, 260), (540, 260), (590, 330), (310, 330)), fill=BRASS)
        pen.rounded_rectangle((330, 330, 570, 620), 24, fill=LIGHT, outline=BRASS, width=16)
        pen.line((450, 330, 450, 620), fill=BRASS, width=10)
        pen.rounded_rectangle((300, 620, 600, 670), 12, fill=BRASS)
    written = io.BytesIO()
    image.save(written, "JPEG", quality=88)
    return written.getvalue()
