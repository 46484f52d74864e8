"""The header row, in the languages WooCommerce writes it in; the first name of each column is the English one."""

from __future__ import annotations

import re
from collections.abc import Sequence

from apps.commerce.importing.rows import Header, spelled
from apps.kernel import text
from apps.kernel.imports import ImportRefused

# In order: English, German, Spanish, French, Italian, Dutch, Portuguese, Russian, Polish, where they differ.
NAMES: dict[str, tuple[str, ...]] = {
    "id": ("ID", "Идентификатор"),
    "type": ("Type", "Typ", "Tipo", "Тип"),
    "sku": ("SKU", "Artikelnummer", "Art.-Nr.", "UGS", "COD", "REF", "Артикул"),
    "gtin": (
        *("GTIN, UPC, EAN, or ISBN", "GTIN, UPC, EAN oder ISBN", "GTIN, UPC, EAN o ISBN", "GTIN, UPC, EAN ou ISBN"),
        *("GTIN, UPC, EAN of ISBN", "GTIN, UPC, EAN или ISBN", "GTIN, UPC, EAN lub ISBN", "Barcode", "EAN", "GTIN"),
    ),
    "name": ("Name", "Nombre", "Nom", "Nome", "Naam", "Имя", "Название", "Nazwa", "Product name", "Produktname"),
    "published": (
        *("Published", "Veröffentlicht", "Publicado", "Publié", "Pubblicato", "Gepubliceerd", "Опубликован"),
        *("Опубликовано", "Opublikowano"),
    ),
    "visibility": (
        *("Visibility in catalog", "Sichtbarkeit im Katalog", "Visibilidad en el catálogo"),
        *("Visibilité dans le catalogue", "Visibilità nel catalogo", "Zichtbaarheid in catalogus"),
        *("Visibilidade no catálogo", "Видимость в каталоге", "Widoczność w katalogu"),
    ),
    "short": (
        *("Short description", "Kurzbeschreibung", "Descripción corta", "Description courte", "Breve descrizione"),
        *("Korte beschrijving", "Descrição curta", "Breve descrição", "Краткое описание", "Krótki opis"),
    ),
    "description": ("Description", "Beschreibung", "Descripción", "Descrizione", "Beschrijving", "Descrição",
                    "Описание", "Opis"),
    "sale_starts": (
        *("Date sale price starts", "Datum, an dem Angebotspreis beginnt", "Día en que empieza el precio rebajado"),
        *("Date de début de promo", "Data di inizio del prezzo in offerta", "Startdatum actieprijs"),
        *("Data de início do preço promocional", "Дата начала действия цены распродажи"),
    ),
    "sale_ends": (
        *("Date sale price ends", "Datum, an dem Angebotspreis endet", "Día en que termina el precio rebajado"),
        *("Date de fin de promo", "Data di fine del prezzo in offerta", "Einddatum actieprijs"),
        *("Data de fim do preço promocional", "Дата окончания действия цены распродажи"),
    ),
    "in_stock": (
        *("In stock?", "Vorrätig?", "Auf Lager?", "¿Existencias?", "¿En inventario?", "En stock ?", "Disponibile?"),
        *("Op voorraad?", "Em estoque?", "Em stock?", "В наличии?", "Наличие", "Na stanie?"),
    ),
    "stock": ("Stock", "Lager", "Lagerbestand", "Bestand", "Inventario", "Magazzino", "Voorraad",
              "Estoque", "Запасы", "Stan magazynowy"),
    "low_stock": ("Low stock amount", "Geringe Lagermenge", "Cantidad de bajo inventario", "Montant de stock faible",
                  "Ammontare delle scorte basse", "Lage voorraad hoeveelheid"),
    "backorders": (
        *("Backorders allowed?", "Lieferrückstände erlaubt?", "¿Permitir reservas de productos agotados?"),
        *("Autoriser les commandes de produits en rupture ?", "Abilita gli ordini arretrati?"),
        *("Backorders toegestaan?", "Nabestellingen toegestaan?", "São permitidas encomendas?"),
        *("Возможен ли предзаказ?", "Dozwolone zamówienia oczekujące?"),
    ),
    "weight": ("Weight", "Gewicht", "Peso", "Poids", "Вес", "Waga"),
    "length": ("Length", "Länge", "Longitud", "Longueur", "Lunghezza", "Lengte", "Comprimento", "Длина", "Długość"),
    "width": ("Width", "Breite", "Anchura", "Largeur", "Larghezza", "Breedte", "Largura", "Ширина", "Szerokość"),
    "height": ("Height", "Höhe", "Altura", "Hauteur", "Altezza", "Hoogte", "Высота", "Wysokość"),
    "sale_price": ("Sale price", "Angebotspreis", "Precio rebajado", "Tarif promo", "Prezzo in offerta", "Actieprijs",
                   "Preço promocional", "Preço de venda", "Акционная цена", "Цена распродажи", "Cena promocyjna"),
    "regular_price": (
        *("Regular price", "Normaler Preis", "Regulärer Preis", "Precio normal", "Tarif régulier"),
        *("Prezzo di listino", "Reguliere prijs", "Normale prijs", "Preço normal", "Preço", "Базовая цена"),
        *("Cena regularna", "Price"),
    ),
    "categories": ("Categories", "Kategorien", "Categorías", "Catégories", "Categorie", "Categorieën", "Categorias",
                   "Категории", "Kategorie"),
    "tags": ("Tags", "Schlagwörter", "Etiquetas", "Étiquettes", "Tag", "Метки", "Tagi", "Znaczniki"),
    "images": ("Images", "Bilder", "Imágenes", "Immagini", "Afbeeldingen", "Imagens", "Изображения", "Obrazki"),
    "parent": ("Parent", "Übergeordnetes Produkt", "Übergeordnet", "Superior", "Genitore", "Hoofd", "Bovenliggend",
               "Ascendente", "Pai", "Родительский", "Nadrzędny"),
    "grouped": ("Grouped products", "Gruppierte Produkte", "Productos agrupados", "Produits groupés",
                "Prodotti raggruppati", "Gegroepeerde producten", "Produtos agrupados", "Сгруппированные товары"),
    "external_url": ("External URL", "Externe URL", "URL externa", "URL externe", "URL esterno", "Внешний URL"),
    "button": ("Button text", "Texto del botón", "Libellé du bouton", "Testo del pulsante",
               "Knoptekst", "Texto do botão", "Текст кнопки"),
    "brands": ("Brands", "Marken", "Marcas", "Marques", "Marchi", "Merken", "Бренды", "Marki", "Brand"),
}  # fmt: skip
META, ATTRIBUTE_NAMES, ATTRIBUTE_VALUES = "meta", "attribute_names", "attribute_values"
_FIELDS = {spelled(name): key for key, names in NAMES.items() for name in names}
_UNIT = re.compile(r"\s*\(([^()]{1,10})\)\s*$")
_META = re.compile(r"(?:meta|метаданные)\s*:\s*(.+)", re.IGNORECASE)
# Whatever the language and the order of its words: an attribute, its number, and whether it is its name or value.
_ATTRIBUTE = re.compile(r"attribu|atribut|atrybut|атрибут")
_NUMBER = re.compile(r"\d{1,3}")
_IS_NAME = re.compile(r"name|nombre|nom|naam|назван|имя|nazwa")
_IS_VALUE = re.compile(r"value|wert|valor|valeur|valore|valori|waarde|значени|wartos")
_IS_OTHER = re.compile(
    r"visible|visib|sichtbar|zichtba|global|default|standard|predetermin|defaut|predefin|видим|умолч|глобал|widoczn|domysl"
)


def read_header(cells: Sequence[str]) -> Header:
    """Units stand behind the names of weights and sizes. Raises ImportRefused for another header."""
    names = [text.to_one_line(cell) for cell in cells]
    header = Header(names, NAMES)
    for index, name in enumerate(names):
        unit = _UNIT.search(name)
        key = _FIELDS.get(spelled(name)) or (_FIELDS.get(spelled(name[: unit.start()])) if unit else None)
        if key is not None and key not in header.fields:
            header.fields[key] = index
            if unit and key in {"weight", "length", "width", "height"}:
                header.extras.setdefault(f"unit of {key}", []).append((index, unit[1].lower()))
        elif match := _META.fullmatch(name):
            header.extras.setdefault(META, []).append((index, match[1]))
        elif kind := _attribute(spelled(name)):
            header.extras.setdefault(kind[0], []).append((index, kind[1]))
        elif name:
            header.ignored.append(name)
    if not header.has("name") or not (header.has("type") or header.has("sku") or header.has("id")):
        found = ", ".join(names[:8]) + (", …" if len(names) > 8 else "")
        raise ImportRefused(
            f'The first row has no columns Name and Type, SKU or ID: found "{found[:300]}"; expected the header row '
            "of a WooCommerce product export."
        )
    return header


def unit_of(header: Header, key: str, *, otherwise: str) -> str:
    """The unit that the header gives to a weight or size."""
    return next((unit for _, unit in header.extras.get(f"unit of {key}", ())), otherwise)


def _attribute(name: str) -> tuple[str, str] | None:
    """Whether it is the name or the value of an attribute, and of which."""
    number = _NUMBER.search(name)
    if number is None or not _ATTRIBUTE.search(name) or _IS_OTHER.search(name):
        return None
    if _IS_VALUE.search(name):
        return ATTRIBUTE_VALUES, number[0]
    return (ATTRIBUTE_NAMES, number[0]) if _IS_NAME.search(name) else None
