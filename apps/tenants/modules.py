"""Modules: what a tenant can have switched on or off, and which addresses, screens and commands belong to each.

An app registers its modules when it is ready. What is switched off is not there: every address of it answers 404, its
screens are hidden, its commands refuse. Core modules are always on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from apps.kernel import errors, wording
from apps.tenants import scope


class UnknownModule(errors.NotFound):
    """No module has this slug. `detail` names the nearest."""

    code = "unknown_module"


class ModuleOff(errors.NotFound):
    """The module is switched off for the tenant. Who operates the tenant can switch it on."""

    code = "module_off"
    title = "The module is switched off"


@dataclass(frozen=True, slots=True)
class Module:
    """`packages` are the Python packages whose views, screens and models belong to it; the longest match decides.

    `is_default` says whether tenants that have not chosen have it.
    """

    slug: str
    name: str
    description: str
    version: str
    packages: tuple[str, ...]
    depends_on: tuple[str, ...] = ()
    is_core: bool = False
    is_default: bool = True


_modules: dict[str, Module] = {}


def register(module: Module) -> Module:
    """Declare a module. Raises ValueError when the slug is taken."""
    if _modules.setdefault(module.slug, module) != module:
        raise ValueError(f"module {module.slug} is already registered")
    return module


def all_modules() -> list[Module]:
    """Every module, those it depends on before it."""
    ordered: dict[str, Module] = {}

    def place(module: Module) -> None:
        for slug in module.depends_on:
            place(get(slug))
        ordered.setdefault(module.slug, module)

    for slug in sorted(_modules):
        place(_modules[slug])
    return list(ordered.values())


def get(slug: str) -> Module:
    """Raises UnknownModule naming the nearest."""
    if slug not in _modules:
        known = sorted(_modules)
        hint = errors.did_you_mean(slug, known) or wording.say(" There are: {known}.", known=", ".join(known))
        raise UnknownModule(wording.say('There is no module "{slug}".{hint}', slug=slug, hint=hint))
    return _modules[slug]


def switched_on(chosen: Mapping[str, bool]) -> tuple[str, ...]:
    """The slugs that are on for a tenant that has chosen this, in alphabetical order."""
    return tuple(sorted(m.slug for m in _modules.values() if m.is_core or chosen.get(m.slug, m.is_default)))


def dependants_of(slug: str) -> list[Module]:
    """The modules that need this one."""
    return [module for module in all_modules() if slug in module.depends_on]


def require(*slugs: str) -> None:
    """Raises ModuleOff unless the tenant in scope has one of the modules; for commands and parts of answers."""
    at_work = scope.current()
    if not at_work.has_one_of(slugs):
        names = " / ".join(f'"{slug}"' for slug in slugs)
        raise ModuleOff(
            wording.say(
                'The module {names} is switched off for the tenant "{slug}". Switch it on with: manage.py '
                "tenant_modules {slug} enable {module}",
                names=names,
                slug=at_work.slug,
                module=slugs[0],
            )
        )


def owners_of(view: Any) -> tuple[str, ...]:
    """The modules a view belongs to, of which one must be on; none for what serves the installation.

    A view class may name them in `modules`; a screen of the admin belongs where its model does, all else where its
    code does.
    """
    shown = getattr(view, "cls", None) or getattr(view, "view_class", None) or view
    if declared := getattr(shown, "modules", None):
        return tuple(declared)
    if screen := getattr(view, "model_admin", None):
        return owners_of_package(screen.model.__module__)
    return owners_of_package(shown.__module__)


def owners_of_package(package: str) -> tuple[str, ...]:
    """The module a Python package belongs to, by the longest match."""
    matches = [
        (len(prefix), module.slug)
        for module in _modules.values()
        for prefix in module.packages
        if f"{package}.".startswith(f"{prefix}.")
    ]
    return (max(matches)[1],) if matches else ()


def are_off(slugs: Iterable[str]) -> bool:
    """Whether all of these are switched off for the tenant in scope; without a tenant, or without slugs, nothing is."""
    at_work, wanted = scope.find(), tuple(slugs)
    return bool(wanted) and at_work is not None and not at_work.has_one_of(wanted)
