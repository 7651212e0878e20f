"""Plain classes whose annotations are their fields: dataclasses without the 22 ms that importing them costs."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing_extensions import dataclass_transform
else:

    def dataclass_transform(**_):
        return lambda decorated: decorated


@dataclass_transform(kw_only_default=True)
class Fields:
    """A base class whose constructor takes all annotated fields of a subclass, by name.

    Raises TypeError for a field that is missing or that does not exist.
    """

    def __init__(self, **values: object) -> None:
        if values.keys() != type(self).__annotations__.keys():
            wrong = sorted(values.keys() ^ type(self).__annotations__.keys())
            raise TypeError(f"{type(self).__name__} is missing, or does not have, {', '.join(wrong)}")
        self.__dict__.update(values)
