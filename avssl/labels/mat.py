"""MATLAB v5 files (.mat up to `-v7`), read safely, and how to get at what they hold.

A variable is unpacked under a limit; `mat_values` makes arrays of its bytes. Format: "MAT-File
Format", MathWorks, R2021a, chapter 1.
"""

import math
import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from avssl.errors import InputError
from avssl.labels.mat_values import MAX_DEPTH, DamagedError, Variable

MAX_FILE_BYTES = 1 << 30
MAX_UNPACKED_BYTES = 1 << 30
_HEADER_BYTES = 128
_COMPRESSED = 15


def read_mat(path: str | os.PathLike[str], name: str) -> NDArray[Any]:
    """Reads one variable of a MATLAB v5 file.

    Args:
        path: the file.
        name: the variable.

    Returns:
        An array with MATLAB's own shape, nothing squeezed: numbers; text as dtype U; cells as
        object arrays; structs as arrays with object fields. See `elements`, `field`, `number`,
        `numbers` and `text`, which bear what differs from file to file.

    Raises:
        InputError: no such file, another format (v7.3, v4), truncated, damaged, absurd sizes, or
            no such variable.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    if path.stat().st_size > MAX_FILE_BYTES:
        raise InputError(f"{path}: above {MAX_FILE_BYTES >> 30} GiB; no label file is so large")
    data = path.read_bytes()
    order = _byte_order(path, data)
    for matrix in _matrices(path, data, order):
        try:
            variable = Variable(matrix, order)
            if variable.name() == name:
                return variable.value()
        except DamagedError as damage:
            raise InputError(f"{path}: damaged ({damage}); get the file again") from None
    raise InputError(f"{path}: holds no variable {name!r}; is it the right file?")


def elements(value: Any) -> list[Any]:
    """Lists the elements of a struct or cell array in MATLAB's order; nothing for `[]` or None."""
    if isinstance(value, np.ndarray) and (value.dtype.names or value.dtype == object):
        return list(value.ravel(order="F"))
    return [value] if isinstance(value, np.void) else []


def field(record: Any, name: str) -> Any:
    """Gives a field of a struct (of the first element of an array), None where there is none."""
    if isinstance(record, np.ndarray):
        record = next(iter(elements(record)), None)
    names = record.dtype.names if isinstance(record, np.void) else None
    return record[name] if names and name in names else None


def column(value: Any, name: str) -> list[Any]:
    """Lists one field of all elements of a struct array; None for each that lacks it."""
    if isinstance(value, np.ndarray) and name in (value.dtype.names or ()):
        return value[name].ravel(order="F").tolist()
    return [None] * len(elements(value))


def numbers(value: Any) -> NDArray[np.float64]:
    """Gives numbers in MATLAB's order, float64 [n]; text and cells are numbers where they can be.

    What is no number is NaN; None and `[]` give none.
    """
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
        return value.ravel(order="F").astype(np.float64)
    if isinstance(value, np.ndarray) and value.dtype.kind == "U":
        return np.array([_of_text(one) for one in value.ravel(order="F").tolist()], np.float64)
    return np.array([number(one) for one in elements(value)], np.float64)


def number(value: Any) -> float:
    """Gives the first number of `value` (a number, '1', {1}), NaN where there is none."""
    if isinstance(value, np.ndarray) and value.size == 1 and value.dtype.kind in "biuf":
        return float(value.item())  # nearly always
    for _ in range(MAX_DEPTH):
        if not (isinstance(value, np.ndarray) and value.dtype == object and value.size):
            break
        value = value.ravel(order="F")[0]
    else:
        return math.nan
    if isinstance(value, np.ndarray) and value.dtype.kind in "biufU" and value.size:
        return float(numbers(value.ravel(order="F")[:1])[0])
    return math.nan


def text(value: Any) -> str:
    """Gives a text (also inside a cell), "" where there is none."""
    for _ in range(MAX_DEPTH):
        if not (isinstance(value, np.ndarray) and value.dtype == object and value.size):
            break
        value = value.ravel(order="F")[0]
    is_text = isinstance(value, np.ndarray) and value.dtype.kind == "U" and value.size
    return str(value.ravel(order="F")[0]) if is_text else ""


def _of_text(letters: str) -> float:
    try:
        return float(letters)
    except ValueError:
        return math.nan


def _byte_order(path: Path, data: bytes) -> Literal["<", ">"]:
    if data.startswith(b"\x89HDF") or (data[:10] == b"MATLAB 7.3" and b"HDF5" in data[:128]):
        raise InputError(f"{path}: MATLAB 7.3 (HDF5); save it again in MATLAB with -v7")
    orders: dict[bytes, Literal["<", ">"]] = {b"IM": "<", b"MI": ">"}
    order = orders.get(data[126:128])
    if order is None or not data.startswith(b"MATLAB 5.0"):
        raise InputError(f"{path}: not a MATLAB v5 file; get the file again, or save it with -v7")
    if struct.unpack_from(f"{order}H", data, 124)[0] != 0x0100:
        raise InputError(f"{path}: MATLAB's format is not version 5; save it again with -v7")
    return order


def _matrices(path: Path, data: bytes, order: str) -> Iterator[bytes]:
    """Yields each variable with its tag, unpacked under the limit."""
    at, left = _HEADER_BYTES, MAX_UNPACKED_BYTES
    while at < len(data):
        if at + 8 > len(data):
            raise InputError(f"{path}: truncated at byte {at}; get the file again")
        kind, size = struct.unpack_from(f"{order}II", data, at)
        if at + 8 + size > len(data):
            raise InputError(f"{path}: truncated at byte {len(data)}; get the file again")
        if kind == _COMPRESSED:
            unpacker = zlib.decompressobj()
            try:
                matrix = unpacker.decompress(data[at + 8 : at + 8 + size], max_length=left + 1)
            except zlib.error as error:
                raise InputError(f"{path}: damaged ({error}); get the file again") from None
            if len(matrix) > left:
                raise InputError(f"{path}: unpacks to more than {MAX_UNPACKED_BYTES >> 30} GiB")
            if not unpacker.eof:
                raise InputError(f"{path}: truncated at byte {at}; get the file again")
            left -= len(matrix)
        else:
            matrix = data[at : at + 8 + size]
        yield matrix
        at += 8 + size
