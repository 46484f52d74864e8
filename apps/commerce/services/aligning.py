"""Which stored option and value each wanted one is, also where the two are named in different languages.

In a language that both are named in, the name decides. A stored option or value that has no name yet in the wanted
language is found by the SKUs of its variants, by the same text in another language (a size 42 is 42 everywhere), or by
its place among those left over, where there are as many wanted as stored and their SKUs do not differ. Otherwise
nothing tells, and it is refused.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from apps.commerce import errors, snapshots
from apps.commerce.services import inputs
from apps.kernel import wording
from apps.kernel.errors import FieldProblem

_SAME_OPTIONS = wording.say("give it as many options, in the same order")
_SAME_SKUS = wording.say("give the variants the SKUs that the product has")
_SAME_VALUES = wording.say(
    "first import all of them in the language that the product has, or give each variant its SKU"
)


@dataclass(slots=True)
class Aligned:
    """A wanted option with the stored one, and the stored values in the order of its own; None is a new one.

    `untold` are stored values of which the wanted language has never told: they are none of its business.
    """

    given: inputs.OptionInput
    stored: snapshots.Option | None
    values: list[snapshots.Value | None]
    untold: list[snapshots.Value] = field(default_factory=list)

    @property
    def dropped(self) -> list[snapshots.Value]:
        """Stored values that the wanted language named once and names no more."""
        kept = [*self.values, *self.untold]
        return [value for value in (self.stored.values if self.stored else []) if value not in kept]


def align(snapshot: snapshots.Snapshot, wanted: inputs.NewProduct) -> list[Aligned]:
    """One for each wanted option, in order. Raises AmbiguousOptions."""
    locales = {translation.locale for translation in wanted.translations}
    locales |= {locale for option in wanted.options for locale in option.names}
    options = _by_name(snapshot.options, wanted.options)
    _by_text(snapshot.options, wanted.options, options, locales)
    left, untold = _left(snapshot.options, wanted.options, options, locales)
    if len(left) != len(untold) and untold:
        there = ", ".join(f'"{_shown(option.names)}"' for option in untold)
        here = ", ".join(f'"{_shown(wanted.options[place].names)}"' for place in left) or wording.say("none")
        reason = wording.say("the product has the options {there} and here are {here}", there=there, here=here)
        raise _ambiguous("/options", reason, _SAME_OPTIONS)
    for index, option in zip(left, untold, strict=False):
        options[index] = option
    return [
        _align_values(snapshot, wanted, index, stored, locales) if stored else Aligned(given, None, _new(given))
        for index, (given, stored) in enumerate(zip(wanted.options, options, strict=True))
    ]


def _new(given: inputs.OptionInput) -> list[snapshots.Value | None]:
    return [None] * len(given.values)


def _align_values(
    snapshot: snapshots.Snapshot, wanted: inputs.NewProduct, index: int, stored: snapshots.Option, locales: set[str]
) -> Aligned:
    given = wanted.options[index]
    values = _by_name(stored.values, given.values)
    _by_sku(snapshot, wanted, index, stored, values, locales)
    _by_text(stored.values, given.values, values, locales)
    left, untold = _left(stored.values, given.values, values, locales)
    if not left:
        return Aligned(given, stored, values, untold)
    here = ", ".join(f'"{_shown(given.values[place].names)}"' for place in left)
    there = ", ".join(f'"{_shown(value.names)}"' for value in untold)
    names = {name for place in left for name in given.values[place].names.values()}
    pointer = f"/options/{index}/values"
    if untold and len(left) != len(untold):
        reason = wording.say("{here} could be any of {there}", here=here, there=there)
        raise _ambiguous(pointer, reason, _SAME_VALUES)
    if untold and _have_other_skus(snapshot, wanted, index, names, untold):
        reason = wording.say("{here} would be {there}, but the SKUs of their variants differ", here=here, there=there)
        raise _ambiguous(pointer, reason, _SAME_SKUS)
    for place, value in zip(left, untold, strict=False):
        values[place] = value
    return Aligned(given, stored, values)


def _by_name[Stored: (snapshots.Option, snapshots.Value)](
    stored: Sequence[Stored], wanted: Sequence[inputs.OptionInput] | Sequence[inputs.OptionValueInput]
) -> list[Stored | None]:
    """The stored entries that share a name in a language with the wanted ones, each once."""
    free = list(stored)
    found: list[Stored | None] = []
    for given in wanted:
        match = next((entry for entry in free if entry.names.items() & given.names.items()), None)
        if match is not None:
            free.remove(match)
        found.append(match)
    return found


def _by_text[Stored: (snapshots.Option, snapshots.Value)](
    stored: Sequence[Stored],
    wanted: Sequence[inputs.OptionInput] | Sequence[inputs.OptionValueInput],
    found: list[Stored | None],
    locales: set[str],
) -> None:
    """Fill in entries without a name in these languages that have the same text in another one."""
    left, untold = _left(stored, wanted, found, locales)
    for place in left:
        texts = {name.casefold() for name in wanted[place].names.values()}
        same = [entry for entry in untold if texts & {name.casefold() for name in entry.names.values()}]
        if len(same) == 1:
            found[place] = same[0]
            untold.remove(same[0])


def _by_sku(
    snapshot: snapshots.Snapshot,
    wanted: inputs.NewProduct,
    index: int,
    stored: snapshots.Option,
    found: list[snapshots.Value | None],
    locales: set[str],
) -> None:
    """Fill in values without a name in these languages whose variants have SKUs. Raises AmbiguousOptions."""
    left, untold = _left(stored.values, wanted.options[index].values, found, locales)
    by_id = {value.row.id: value for value in untold}
    told: dict[str, set[uuid.UUID]] = defaultdict(set)
    by_sku = {variant.row.sku: variant for variant in snapshot.variants if variant.row.sku}
    for given in wanted.variants:
        if given.sku in by_sku and len(given.values) > index:
            told[given.values[index]].update(by_sku[given.sku].value_ids)
    taken: set[uuid.UUID] = set()
    for place in left:
        names = set(wanted.options[index].values[place].names.values())
        candidates = {value_id for name in names for value_id in told[name]} & by_id.keys()
        if len(candidates) > 1 or candidates & taken:
            shown = _shown(wanted.options[index].values[place].names)
            reason = wording.say(
                'by the SKUs of its variants "{value}" is several values, or one that another is too', value=shown
            )
            raise _ambiguous(f"/options/{index}/values", reason, _SAME_SKUS)
        for value_id in candidates:
            found[place] = by_id[value_id]
        taken |= candidates


def _have_other_skus(
    snapshot: snapshots.Snapshot, wanted: inputs.NewProduct, index: int, names: set[str], stored: list[snapshots.Value]
) -> bool:
    """Whether all variants of these wanted and of these stored values have SKUs; those in common are found before.

    The only variant of a product may have got another SKU.
    """
    ids = {value.row.id for value in stored}
    here = [given.sku for given in wanted.variants if names.intersection(given.values[index : index + 1])]
    there = [variant.row.sku for variant in snapshot.variants if ids.intersection(variant.value_ids)]
    return len(snapshot.variants) > 1 and bool(here and there) and all(here) and all(there)


def _left[Stored: (snapshots.Option, snapshots.Value)](
    stored: Sequence[Stored],
    wanted: Sequence[inputs.OptionInput] | Sequence[inputs.OptionValueInput],
    found: Sequence[Stored | None],
    locales: set[str],
) -> tuple[list[int], list[Stored]]:
    """The places of wanted entries not found yet, and the stored entries left over that these languages do not name."""
    left = [place for place in range(len(wanted)) if found[place] is None]
    return left, [entry for entry in stored if entry not in found and not entry.names.keys() & locales]


def _shown(names: dict[str, str]) -> str:
    return next(iter(names.values()), "")


def _ambiguous(pointer: str, reason: str, remedy: str) -> errors.AmbiguousOptions:
    detail = wording.say("{reason}, and nothing tells which is which: {remedy}.", reason=reason, remedy=remedy)
    return errors.AmbiguousOptions(detail, problems=[FieldProblem(pointer, "ambiguous_options", detail)])
