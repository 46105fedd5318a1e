"""A frozen value with other fields: what every `evolve` and `react` ends in, for each event of each stream that is folded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

T = TypeVar("T")
_new, _set = object.__new__, object.__setattr__

if TYPE_CHECKING:
    from dataclasses import replace as replace
else:

    def replace(value: T, /, **changes: Any) -> T:
        """As `dataclasses.replace`, for values that are no more than their fields: no slots, nothing computed when they are made.

        That one asks for every field by name and sets each again: of a state of thirty fields, most of the time of a fold. Raises
        TypeError for a field that the value has not.
        """
        before = value.__dict__
        fields = before | changes
        if len(fields) > len(before):
            raise TypeError(f"{type(value).__name__} has no field {', '.join(sorted(changes.keys() - before.keys()))}")
        made = _new(type(value))
        _set(made, "__dict__", fields)
        return made
