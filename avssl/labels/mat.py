"""MATLAB v5 files (.mat up to `-v7`), read safely: scipy does the reading, this checks first.

scipy trusts the sizes in a file: a few bytes can ask for gigabytes, and cells nested in cells can
overflow the stack. So the variable is unpacked under a limit and its structure is walked before
scipy sees it. Format: "MAT-File Format", MathWorks, R2021a, chapter 1.
"""

import io
import math
import os
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avssl.errors import InputError

MAX_FILE_BYTES = 1 << 30
MAX_UNPACKED_BYTES = 1 << 30
MAX_MATRICES = 6_000_000
"""Each costs scipy nearly 1 kB, whatever it holds; MPII's release has some 2.5 million."""
MAX_DEPTH = 32
MAX_FILLED = 1 << 20
"""Letters that scipy would make up where a text has a size and no data."""
_HEADER_BYTES = 128
_MATRIX, _COMPRESSED = 14, 15
_CELL, _STRUCT, _CHAR, _NUMERIC = 1, 2, 4, range(6, 16)


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
            walk = _Walk(matrix, order)
            if walk.name() != name:
                continue
            walk.check()
        except _DamagedError as damage:
            raise InputError(f"{path}: damaged ({damage}); get the file again") from None
        return _load(path, data[:_HEADER_BYTES] + matrix, name)
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


def _byte_order(path: Path, data: bytes) -> str:
    if data.startswith(b"\x89HDF") or (data[:10] == b"MATLAB 7.3" and b"HDF5" in data[:128]):
        raise InputError(f"{path}: MATLAB 7.3 (HDF5); save it again in MATLAB with -v7")
    order = {b"IM": "<", b"MI": ">"}.get(data[126:128])
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


def _load(path: Path, data: bytes, name: str) -> NDArray[Any]:
    from scipy.io import loadmat

    try:
        found = loadmat(
            io.BytesIO(data), variable_names=[name], struct_as_record=True, squeeze_me=False
        )
        return found[name]
    except Exception as error:  # scipy raises whatever a wrong byte leads to
        reason = str(error).splitlines()[0][:80] if str(error) else type(error).__name__
        raise InputError(f"{path}: damaged ({reason}); get the file again") from None


class _DamagedError(Exception):
    """The bytes do not hold what their sizes say."""


class _Walk:
    """Walks the tags of one variable without making anything of them."""

    def __init__(self, data: bytes, order: str) -> None:
        self.data = data
        self.words: Callable[[bytes, int], tuple[int, int]] = struct.Struct(
            f"{order}II"
        ).unpack_from  # type: ignore[assignment]
        self.order = order
        self.num_matrices = 0
        self.leaves: set[bytes] = set()
        """First bytes of small matrices found good: files hold millions of a few kinds."""

    def element(self, at: int, end: int) -> tuple[int, int, int, int]:
        """Gives kind, start, number of bytes and where the next element is."""
        if at + 8 > end:
            raise _DamagedError(f"ends within a tag at {at}")
        kind, size = self.words(self.data, at)
        if kind >> 16:  # up to four bytes stand in the tag itself
            kind, size, start, following = kind & 0xFFFF, kind >> 16, at + 4, at + 8
            if size > 4:
                raise _DamagedError(f"small element of {size} bytes at {at}")
        else:
            start = at + 8
            following = start + size + -size % 8
        if start + size > end:
            raise _DamagedError(f"element at {at} ends beyond its place")
        return kind, start, size, min(following, end)

    def head(self, at: int, end: int) -> tuple[int, int, str, int]:
        """Gives a matrix's class, number of elements, name, and where its content begins."""
        _, start, size, at = self.element(at, end)
        if size != 8:
            raise _DamagedError(f"no flags at {start}")
        flags = self.words(self.data, start)[0]
        _, start, size, at = self.element(at, end)
        if size % 4 or not 8 <= size <= 128:
            raise _DamagedError(f"no dimensions at {start}")
        shape = struct.unpack_from(f"{self.order}{size // 4}i", self.data, start)
        if min(shape) < 0:
            raise _DamagedError(f"dimensions {shape}")
        _, start, size, at = self.element(at, end)
        name = self.data[start : start + size].decode("latin-1") if size else ""
        return flags & 0xFFFF, math.prod(shape), name, at

    def name(self) -> str:
        """Gives the variable's name."""
        kind, start, size, _ = self.element(0, len(self.data))
        if kind != _MATRIX or not size:
            return ""
        return self.head(start, start + size)[2]

    def check(self) -> None:
        """Raises where sizes lie or what stands there is no number, text, cell or struct."""
        self.matrix(0, len(self.data), 0)

    def matrix(self, at: int, end: int, depth: int) -> int:
        """Checks a matrix and what is in it; gives where the next one is."""
        begin = at
        self.num_matrices += 1
        if self.num_matrices > MAX_MATRICES:
            raise _DamagedError(f"more than {MAX_MATRICES} matrices")
        if self.data[at : at + 52] in self.leaves or self.data[at : at + 56] in self.leaves:
            following = at + 8 + self.words(self.data, at)[1]
            if following <= end:
                return following
        kind, start, size, following = self.element(at, end)
        if kind != _MATRIX:
            raise _DamagedError(f"type {kind} for a matrix at {at}")
        if not size:  # [] in short
            return following
        end = start + size
        flags, count, _, at = self.head(start, end)
        kind = flags & 0xFF
        if kind in (_CELL, _STRUCT):
            if depth >= MAX_DEPTH:
                raise _DamagedError(f"nested deeper than {MAX_DEPTH}")
            if kind == _STRUCT:
                at, num_fields = self.fields(at, end)
                if not num_fields and count > MAX_FILLED:
                    raise _DamagedError(f"{count} structs without fields")
                count *= num_fields
            if count * 8 > end - at:
                raise _DamagedError(f"{count} elements in {end - at} bytes")
            for _ in range(count):
                at = self.matrix(at, end, depth + 1)
        elif kind == _CHAR or kind in _NUMERIC:
            content, is_complex = at, flags & 0x0800
            for _ in range(2 if is_complex else 1):
                _, start, size, at = self.element(at, end)
                if count > (size or MAX_FILLED):
                    raise _DamagedError(f"{count} elements in {size} bytes")
            # all that was looked at lies in these bytes: the size in the tag, or beside it
            if content == begin + 48 and not is_complex and following == end:
                self.leaves.add(self.data[begin:start])
        else:
            raise _DamagedError(f"class {kind} is no number, text, cell or struct")
        return following

    def fields(self, at: int, end: int) -> tuple[int, int]:
        """Gives where a struct's values begin and how many fields an element has."""
        _, start, size, at = self.element(at, end)
        if size != 4:
            raise _DamagedError(f"no length of field names at {start}")
        (length,) = struct.unpack_from(f"{self.order}i", self.data, start)
        _, _, size, at = self.element(at, end)
        if length <= 0 or size % length:
            raise _DamagedError(f"field names of length {length}")
        return at, size // length
