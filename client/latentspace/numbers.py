"""Arrays, lists and columns of numbers as rows, each bad row by itself."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from latentspace.errors import FieldViolation, InvalidArgumentError, LatentspaceError

BadRows = dict[int, LatentspaceError]
_HALF = ("float16", "bfloat16")


def numbers_of(values: Any, name: str) -> tuple[NDArray[Any], BadRows]:
    """Numbers as float32, float16 or bfloat16 as they are; rows that are none are zero.

    Raises:
        InvalidArgumentError: the whole is of another dtype, such as complex numbers or strings.
    """
    listed = not hasattr(values, "dtype") and isinstance(values, list | tuple)
    try:
        array = values if isinstance(values, np.ma.MaskedArray) else np.asarray(values)
    except (ValueError, TypeError, RuntimeError):
        return _row_by_row(values, name)
    # in a list one row may have made all of them strings, or lost its mask
    odd = listed and (array.dtype.kind not in "fiub" or any(map(np.ma.isMaskedArray, values)))
    if odd or array.dtype.kind == "O":
        return _row_by_row(values if odd else array, name)
    _check_dtype(array.dtype, name)
    rows, beyond = _float32(np.ma.getdata(array))
    errors: BadRows = {
        i: _bad_row(name, i, "has a number beyond the range of float32")
        for i in _any_by_row(beyond)
    }
    errors |= {
        i: _bad_row(name, i, "has masked numbers; fill them or leave the row out")
        for i in _any_by_row(np.ma.getmaskarray(array) if np.ma.isMaskedArray(array) else None)
    }
    return rows, errors


def _row_by_row(values: Any, name: str) -> tuple[NDArray[Any], BadRows]:
    """A list or column of vectors of which some may be none."""
    if getattr(values, "ndim", 1) == 0 or not isinstance(values, Iterable):
        raise InvalidArgumentError(f"{name}: not an array of numbers, got {values!r:.60}")
    errors: BadRows = {}
    rows: list[NDArray[np.float32]] = []
    for i, value in enumerate(values):
        try:
            rows.append(_row(value))
        except (ValueError, TypeError, OverflowError, RuntimeError) as error:
            errors[i] = _bad_row(name, i, f"is not a vector of numbers ({_reason(value, error)})")
            rows.append(np.empty(0, np.float32))
    lengths = Counter(len(row) for i, row in enumerate(rows) if i not in errors)
    dim = lengths.most_common(1)[0][0] if lengths else 0
    for i, row in enumerate(rows):
        if i not in errors and len(row) != dim:
            errors[i] = _bad_row(name, i, f"has {len(row)} numbers, where others have {dim}")
    matrix = np.zeros((len(rows), dim), np.float32)
    for i, row in enumerate(rows):
        if i not in errors:
            matrix[i] = row
    return matrix, errors


def _row(value: Any) -> NDArray[np.float32]:
    if np.ma.isMaskedArray(value) and np.ma.getmaskarray(value).any():
        raise ValueError("it has masked numbers")
    array = np.asarray(value)
    if array.dtype.kind == "O":  # Decimals, Fractions, missing values
        array = np.array([_number(one) for one in array.ravel()]).reshape(array.shape)
    if array.dtype.kind not in "fiub" and array.dtype.name != "bfloat16":
        raise TypeError(f"of dtype {array.dtype}")
    if array.ndim != 1:
        raise ValueError(f"of shape {array.shape}")
    row, beyond = _float32(array)
    if beyond is not None and beyond.any():
        raise ValueError("a number is beyond the range of float32")
    return row.astype(np.float32)


def _number(value: Any) -> float:
    if isinstance(value, str | bytes):
        raise TypeError(f"{value!r:.40} is no number")
    return float(value)


def _float32(array: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
    """The numbers as they travel, and where they became infinite; None: nowhere."""
    if array.dtype == np.float32 or array.dtype.name in _HALF:
        return (array.astype("<f4") if array.dtype.str == ">f4" else array), None
    with np.errstate(over="ignore"):
        rows = array.astype("<f4")
    if array.dtype.itemsize <= 4 or np.isfinite(rows).all():
        return rows, None
    return rows, np.isinf(rows) & np.isfinite(array)


def _any_by_row(mask: NDArray[np.bool_] | None) -> list[int]:
    if mask is None:
        return []
    return np.flatnonzero(mask.reshape(len(mask), -1).any(axis=1)).tolist()


def _check_dtype(dtype: np.dtype[Any], name: str) -> None:
    if dtype.kind in "fiub" or dtype.name == "bfloat16":
        return
    cure = "; take its real part, or stack real and imaginary" if dtype.kind == "c" else ""
    raise InvalidArgumentError(f"{name}: not an array of numbers, but of {dtype}{cure}")


def _bad_row(name: str, position: int, problem: str) -> InvalidArgumentError:
    field = f"{name}[{position}]"
    return InvalidArgumentError(
        f"{field}: {problem}", field_violations=[FieldViolation(field, problem)]
    )


def _reason(value: Any, error: Exception) -> str:
    missing = value is None or (isinstance(value, float) and value != value)
    return "it is missing" if missing else f"{error!s:.80}"
