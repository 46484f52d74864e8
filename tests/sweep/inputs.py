"""Everything a caller can send to the API, read from its own description: operations, their inputs, what these mean."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from drf_spectacular.generators import SchemaGenerator

from tests import factories

type Schema = dict[str, Any]
type Path = tuple[str | int, ...]

# What inputs mean, by their names; where that depends on the address, by the beginning of what follows /api/v1/.
# A new input whose name ends like that of an id must be written here, or the sweep fails and names it.
KINDS: dict[str, str | dict[str, str]] = {
    "actor": "actor",
    "category": {
        "admin/nodes": "content_category",
        "admin/products": "product_category",
        "store/products": "product_category_slug",
        "store/content": "content_category_slug",
    },
    "category_id": {"admin/content-categories": "content_category", "admin/categories": "product_category"},
    "category_ids": {"admin/nodes": "content_category", "admin/products": "product_category"},
    "code": "location",
    "collection": "collection_slug",
    "asset_id": "asset",
    "collection_id": "collection",
    "comment_id": "comment",
    "correlation_id": "correlation_id",
    "created_by": "owner",
    "customer_id": "customer",
    "email": {
        "store/account": "customer_email",
        "auth": "member_email",
        "admin": "member_email",
        "admin/customers": "customer_email",
    },
    "entry_id": "audit_entry",
    "external_id": {
        "admin/menus": "menu_external_id",
        "admin/nodes": "node_external_id",
        "admin/products": "product_external_id",
    },
    "file": "file",
    "handle": {"admin/categories": "product_category_slug", "admin/collections": "collection_slug", "": "handle"},
    "id": {
        "admin/comments/bulk": "comment",
        "admin/menus": "node_uuid",  # of what an item leads to, and good for the item itself
        "admin/nodes/bulk": "node",
        "admin/products/bulk": "product",
        "admin/variants": "variant",
    },
    "ids": "child_node",
    "image": "image",
    "image_id": "asset",
    "invitation_id": "invitation",
    "item_id": "menu_item",
    "job_id": "job",
    "key_id": "api_key",
    "location": {"store/menus": "menu", "": "location"},
    "menu_id": "menu",
    "node_id": "node",
    "object_id": "object_id",
    "old_paths": "old_path",
    "path": "old_path",
    "parent": {
        "admin/comments": "post",
        "store/account/comments": "post",
        "admin/nodes": "node",
        "admin/categories": "product_category",
        "admin/content-categories": "content_category",
        "store/content": "node_slug",
        "store/categories": "parent_slug",
    },
    "parent_id": {
        "admin/nodes": "other_node",
        "store/account/comments": "post",
        "admin/content-categories": "other_content_category",
        "admin/menus": "other_menu_item",
        "admin/categories": "other_product_category",
    },
    "product_id": "product",
    "product_type": "product_type",
    "q": "title",
    "refresh_token": {"store/account": "refresh_token"},
    "reservation_id": "reservation",
    "role": "role",
    "roles": "role",
    "schema_id": "field_schema",
    "session_id": {"auth": "session", "store/account": "customer_session"},
    "sku": "sku",
    "slug": {
        "admin/roles": "role",
        "admin/nodes": "node_slug",
        "admin/content-categories": "content_category_slug",
        "admin/tags": "tag_slug",
        "store/content/{kind}/{slug}/comments": "talk_slug",
        "store/content": "node_slug",
    },
    "tag": {"admin/nodes": "tag", "store/products": "product_tag", "store/content": "tag_slug"},
    "tag_id": "tag",
    "tag_ids": "tag",
    "tags": "product_tag",
    "taxonomy": "taxonomy",
    "token": {
        "auth/invitations": "invitation_token",
        "store/account/verify": "registration_token",
        "store/account/reset": "reset_token",
    },
    "url": "image",
    "user": "member_email",
    "user_id": "member",
    "values": "option_value",
    "variant_id": "variant",
    "vendor": "vendor",
}
# People belong to the installation: what they come in with is theirs wherever they are, and is not probed.
OF_PEOPLE = {
    "login.email": "member_email",
    "refresh.refresh_token": "staff_refresh_token",
    "password_reset.token": "staff_reset_token",
    "email_verify.token": "staff_verify_token",
}
# Bodies take nothing for these that is there already; and what operations need that their description does not tell.
NEW = ("code", "external_id", "handle", "old_paths", "sku", "slug")
_TITLES_OF_MENUS = tuple(("items", *(0, "children") * level, 0, "titles", "en") for level in range(5))
NEEDED: dict[str, tuple[Path, ...]] = {
    "invitation_accept": (("password",),),
    "menu_create": _TITLES_OF_MENUS,
    "menu_update": _TITLES_OF_MENUS,
    "node_bulk": (("operations", 0, "if_match"),),
    "product_bulk": (("operations", 0, "if_match"), ("operations", 0, "data", "variants", 0, "barcode")),
    "product_create": (("variants", 0, "barcode"),),
    "reservation_create": (("location",),),
    "variant_create": (("values", 0),),
    "variant_set_prices_bulk": (("operations", 0, "if_match"),),
}
# The locale an address takes something out of; the default one stays.
IN_ADDRESSES = {"locale": "de"}
# What is sent where nothing of a tenant is meant, so that the request comes as far as it can.
SAMPLES = {
    "action": "read",
    "amount": "1.00",
    "currency": "EUR",
    "current_password": factories.PASSWORD,
    "kind": "page",
    "locale": "en",
    "module": "search",
    "new_password": "a wholly different phrase",
    "password": factories.PASSWORD,
    "permission": "nodes:read",
    "scopes": "nodes:read",
}
# What the contract asks of requests and lists whatever they are about: the probes say it themselves.
OF_THE_CONTRACT = {"cursor", "expand", "fields", "If-Match", "If-None-Match", "Idempotency-Key", "X-Tenant"}
_ID_LIKE = ("_id", "_ids", "ids", "token", "key", "slug", "handle", "sku")


@dataclass(frozen=True)
class Input:
    """Something of a request that is text. `kind` is what it means of a tenant; "text" for words of any kind."""

    place: str
    path: Path
    kind: str

    @property
    def name(self) -> str:
        return next(str(part) for part in reversed(self.path) if isinstance(part, str))

    @property
    def is_sampled(self) -> bool:
        """Whether only words of the program are taken."""
        return _without_operator(self.name) in SAMPLES

    def __str__(self) -> str:
        return f"{self.place} {'/'.join(map(str, self.path))}"


@dataclass(frozen=True)
class Operation:
    """A method of an address; `path` has its parameters in braces."""

    name: str
    method: str
    path: str
    parameters: tuple[tuple[str, str], ...]
    body: Schema | None

    @property
    def area(self) -> str:
        return self.path.removeprefix("/api/v1/")

    @property
    def is_list(self) -> bool:
        """Whether the answer comes in pages, as far as the address tells."""
        return self.method == "GET" and not self.path.endswith("}")

    @property
    def takes_key(self) -> bool:
        """Whether an idempotency key says anything to it."""
        return self.method != "GET" and self.area.startswith("admin")

    def inputs(self) -> Iterator[Input]:
        """All of them. Raises LookupError for one that looks like an id and means nothing known."""
        for place, name in self.parameters:
            yield Input(place, (name,), self.kind_of(name))
        if self.is_list:
            yield Input("query", ("cursor",), "cursor")
        for path in _texts(self.body or {}, ()):
            found = Input("body", path, "")
            if f"{self.name}.{found.name}" not in OF_PEOPLE:
                yield Input("body", path, self.kind_of(found.name))

    def kind_of(self, name: str) -> str:
        name = _without_operator(name)
        kind = KINDS.get(name)
        if isinstance(kind, dict):
            kind = next((kind[start] for start in sorted(kind, reverse=True) if self.area.startswith(start)), None)
        if kind is not None:
            return kind
        if name.endswith(_ID_LIKE) and not self.area.startswith("admin/modules"):
            raise LookupError(f'{self.name} takes "{name}", and tests/sweep/inputs.py does not say what it means')
        return "text"

    def sample_body(self, fill: Callable[[str], str], wanted: Path = ()) -> Any:
        """The least that is valid, with what leads to `wanted`; texts come from `fill(name)`."""
        if self.body is None:
            return None
        needed = [path for path in NEEDED.get(self.name, ()) if _leads_somewhere(self.body, path)]
        return _sample(self.body, fill, "", [path for path in (wanted, *needed) if path])


def operations() -> list[Operation]:
    """Every operation of the API's description, once for each kind of thing that its body can ask for."""
    document = SchemaGenerator().get_schema(request=None, public=True)
    components = document["components"]["schemas"]
    return [
        Operation(
            name=operation["operationId"],
            method=method.upper(),
            path=path,
            parameters=tuple(
                (each["in"], each["name"])
                for each in operation.get("parameters", ())
                if each["name"] not in OF_THE_CONTRACT and _is_free_text(each["schema"].get("items", each["schema"]))
            ),
            body=body,
        )
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if method in {"get", "post", "put", "patch", "delete"}
        for body in _bodies_of(operation, components)
    ]


def is_closed(schema: Schema) -> bool:
    """Whether no object in it whose members are declared takes further ones."""
    is_open = bool(schema.get("properties")) and schema.get("additionalProperties") is not False
    more = schema.get("additionalProperties")
    inner = [*schema.get("properties", {}).values(), schema.get("items", {}), more if isinstance(more, dict) else {}]
    return not is_open and all(is_closed(each) for each in inner if each)


def _bodies_of(operation: Mapping[str, Any], components: Mapping[str, Schema]) -> list[Schema | None]:
    content = operation.get("requestBody", {}).get("content", {})
    schema = next(iter(content.values()), {}).get("schema")  # a form is sent as one: `probing.encoded`
    if schema is None:
        return [None]
    return [_resolved(schema, components, kind) for kind in range(_kinds_in(schema, components))]


def _kinds_in(schema: Schema, components: Mapping[str, Schema]) -> int:
    if "$ref" in schema:
        return _kinds_in(components[schema["$ref"].rpartition("/")[2]], components)
    if "discriminator" in schema:
        return len(schema["oneOf"])
    inner = [*schema.get("properties", {}).values(), schema.get("items", {})]
    return max((_kinds_in(each, components) for each in inner if each), default=1)


def _resolved(schema: Schema, components: Mapping[str, Schema], kind: int) -> Schema:
    """Without references and alternatives: of named kinds that one, of others the first that is no number."""
    if "$ref" in schema:
        return _resolved(components[schema["$ref"].rpartition("/")[2]], components, kind)
    if "discriminator" in schema:
        return _resolved(schema["oneOf"][kind], components, kind)
    if options := schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf"):
        known = [option for option in options if option.get("type") != "null"]
        first = next((each for each in known if each.get("type") != "integer"), known[0])
        return _resolved(first, components, kind)
    found = dict(schema)
    if "properties" in found:
        found["properties"] = {name: _resolved(inner, components, kind) for name, inner in found["properties"].items()}
    for key in ("items", "additionalProperties"):
        if isinstance(found.get(key), dict):
            found[key] = _resolved(found[key], components, kind)
    return found


def _texts(schema: Schema, path: Path) -> Iterator[Path]:
    """Where in a body texts stand that are not of a fixed few."""
    match schema.get("type"):
        case "object":
            for name, inner in schema.get("properties", {}).items():
                yield from _texts(inner, (*path, name))
            if more := schema.get("additionalProperties"):
                yield from _texts(more if isinstance(more, dict) else {"type": "string"}, (*path, "en"))
        case "array":
            yield from _texts(schema.get("items", {}), (*path, 0))
        case "string" if _is_free_text(schema):
            yield path


def _is_free_text(schema: Schema) -> bool:
    """Whether words of a tenant can be sent for it."""
    is_one_of_few = "const" in schema or bool(schema.get("enum"))
    return schema.get("type") == "string" and not is_one_of_few and schema.get("format") != "date-time"


def _without_operator(name: str) -> str:
    """Of a filter such as `slug__in`."""
    return name.partition("__")[0]


def _sample(schema: Schema, fill: Callable[[str], str], name: str, wanted: Sequence[Path]) -> Any:
    match schema.get("type"):
        case "object":
            return {
                str(part): _sample(_part(schema, part), fill, str(part), _below(wanted, part))
                for part in dict.fromkeys([*schema.get("required", ()), *(path[0] for path in wanted)])
            }
        case "array":
            return [_sample(schema.get("items", {}), fill, name, _below(wanted, 0))]
        case "boolean":
            return schema.get("default", True)
        case "integer" | "number":
            return max(schema.get("minimum", 1), schema.get("exclusiveMinimum", 0) + 1)
        case _:
            return schema.get("const") or (schema.get("enum") or [None])[0] or fill(name)


def _leads_somewhere(schema: Schema, path: Path) -> bool:
    for part in path:
        each = schema.get("items" if isinstance(part, int) else "additionalProperties")
        schema = schema.get("properties", {}).get(part) or (each if isinstance(each, dict) else {})
    return bool(schema)


def _part(schema: Schema, name: str | int) -> Schema:
    more = schema.get("additionalProperties")
    found: Schema = schema.get("properties", {}).get(name) or (more if isinstance(more, dict) else {"type": "string"})
    return found


def _below(paths: Sequence[Path], part: str | int) -> list[Path]:
    return [path[1:] for path in paths if path[0] == part and len(path) > 1]
