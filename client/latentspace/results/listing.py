"""Lists of results that a notebook shows as tables."""

from typing import TYPE_CHECKING, Any, SupportsIndex, TypeVar, overload

if TYPE_CHECKING:
    import pandas as pd  # type: ignore[import-untyped, import-not-found, unused-ignore]
    import pyarrow as pa

T = TypeVar("T")


class Listing(list[T]):
    """A list; a notebook shows it as a table, with thumbnails of the images that it can find."""

    @overload
    def __getitem__(self, place: SupportsIndex, /) -> T: ...

    @overload
    def __getitem__(self, place: slice, /) -> "Listing[T]": ...

    def __getitem__(self, place: SupportsIndex | slice, /) -> "T | Listing[T]":
        if isinstance(place, slice):
            return Listing(super().__getitem__(place))
        return super().__getitem__(place)

    def to_pandas(self, *, payload_columns: bool = False) -> "pd.DataFrame":
        """The same as a data frame (see `latentspace.tables`)."""
        from latentspace.tables import to_pandas

        return to_pandas(self, payload_columns=payload_columns)

    def to_arrow(self, *, payload_columns: bool = False) -> "pa.Table":
        """The same as an Arrow table (see `latentspace.tables`)."""
        from latentspace.tables import to_arrow

        return to_arrow(self, payload_columns=payload_columns)

    def _repr_html_(self) -> str:
        return html_or_nothing(self)


def html_or_nothing(result: Any) -> str:
    """The table of a result, or "" where it is none: a notebook then shows its repr."""
    from latentspace.errors import InvalidArgumentError
    from latentspace.notebook import show

    try:
        return show(result).html
    except InvalidArgumentError:
        return ""
