"""The values in a MATLAB v5 variable, taken from its bytes with every size and type checked first.

scipy reads the same files, and the tests compare with it; but its compiled reader follows types
and sizes that a damaged file made up, and a few changed bytes can end the process.
Format: "MAT-File Format", MathWorks, R2021a, chapter 1.
"""

import math
import struct
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

MAX_MATRICES = 6_000_000
"""Each costs some 150 bytes, whatever it holds; MPII's release has about 2.5 million."""
MAX_DEPTH = 32
MAX_FILLED = 1 << 20
"""Letters or structs that have a count but no data."""
MAX_DIMS = 32
MAX_COUNT = 1 << 40
"""Elements, empty dimensions counted as one: numpy's own arithmetic overflows beyond."""
_MATRIX = 14
_CELL, _STRUCT, _CHAR, _NUMERIC = 1, 2, 4, range(6, 16)
_NUMBERS = {
    1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8",
}  # fmt: skip
_LETTERS = {1: "latin-1", 2: "latin-1", 4: "utf-16", 16: "utf-8", 17: "utf-16", 18: "utf-32"}


class DamagedError(Exception):
    """The bytes do not hold what their types and sizes say."""


class Variable:
    """One variable (a matrix with its tag); `order` is "<" or ">"."""

    def __init__(self, data: bytes, order: Literal["<", ">"]) -> None:
        self._data = data
        self._order: Literal["<", ">"] = order
        self._words: Callable[[bytes, int], tuple[int, int]] = struct.Struct(
            f"{order}II"
        ).unpack_from  # type: ignore[assignment]
        self._num_matrices = 0
        self._scalars: dict[bytes, np.dtype[Any]] = {}
        """First bytes of single numbers found good: files hold millions of a few kinds."""

    def name(self) -> str:
        """Gives the variable's name; "" where it is nameless or no matrix."""
        kind, start, size, _ = self._element(0, len(self._data))
        if kind != _MATRIX or not size:
            return ""
        return self._head(start, start + size)[2]

    def value(self) -> NDArray[Any]:
        """Gives the value in MATLAB's own shape, see `read_mat`.

        Raises:
            DamagedError: sizes lie, or what stands there is no number, text, cell or struct.
        """
        return self._matrix(0, len(self._data), 0)[0]

    def _element(self, at: int, end: int) -> tuple[int, int, int, int]:
        """Gives kind, start, number of bytes and where the next element is."""
        if at + 8 > end:
            raise DamagedError(f"ends within a tag at {at}")
        kind, size = self._words(self._data, at)
        if kind >> 16:  # up to four bytes stand in the tag itself
            kind, size, start, following = kind & 0xFFFF, kind >> 16, at + 4, at + 8
            if size > 4:
                raise DamagedError(f"small element of {size} bytes at {at}")
        else:
            start = at + 8
            following = start + size + -size % 8
        if start + size > end:
            raise DamagedError(f"element at {at} ends beyond its place")
        return kind, start, size, min(following, end)

    def _head(self, at: int, end: int) -> tuple[int, tuple[int, ...], str, int]:
        """Gives a matrix's flags, shape, name, and where its content begins."""
        _, start, size, at = self._element(at, end)
        if size != 8:
            raise DamagedError(f"no flags at {start}")
        flags = self._words(self._data, start)[0]
        _, start, size, at = self._element(at, end)
        if size % 4 or not 8 <= size <= 4 * MAX_DIMS:
            raise DamagedError(f"no dimensions at {start}")
        shape = struct.unpack_from(f"{self._order}{size // 4}i", self._data, start)
        if min(shape) < 0 or math.prod(one or 1 for one in shape) > MAX_COUNT:
            raise DamagedError(f"dimensions {shape}")
        _, start, size, at = self._element(at, end)
        name = self._data[start : start + size].decode("latin-1") if size else ""
        return flags, shape, name, at

    def _matrix(self, at: int, end: int, depth: int) -> tuple[NDArray[Any], int]:
        """Gives a matrix's value and where the next one is."""
        self._num_matrices += 1
        if self._num_matrices > MAX_MATRICES:
            raise DamagedError(f"more than {MAX_MATRICES} matrices")
        dtype = self._scalars.get(self._data[at : at + 56])
        if dtype is not None and at + 64 <= end:
            return self._scalar(dtype, at + 56), at + 64
        kind, start, size, following = self._element(at, end)
        if kind != _MATRIX:
            raise DamagedError(f"type {kind} for a matrix at {at}")
        if not size:  # [] in short
            return np.zeros((0, 0)), following
        begin, end = at, start + size
        flags, shape, _, at = self._head(start, end)
        kind = flags & 0xFF
        if kind == _CELL:
            return self._cells(shape, at, end, depth), following
        if kind == _STRUCT:
            return self._structs(shape, at, end, depth), following
        if kind == _CHAR:
            return self._text(shape, at, end), following
        if kind not in _NUMERIC:
            raise DamagedError(f"class {kind} is no number, text, cell or struct")
        value, content, at = self._numbers(shape, at, end)
        if flags & 0x0800:
            value = value + 1j * self._numbers(shape, at, end)[0]
        elif shape == (1, 1) and content == begin + 56 and end == begin + 64:
            self._scalars[self._data[begin:content]] = value.dtype.newbyteorder(self._order)
        return value, following

    def _scalar(self, dtype: np.dtype[Any], at: int) -> NDArray[Any]:
        value = np.frombuffer(self._data, dtype, 1, at).reshape(1, 1)
        return value.astype(dtype.newbyteorder("="))

    def _numbers(self, shape: tuple[int, ...], at: int, end: int) -> tuple[NDArray[Any], int, int]:
        """Gives an array, where its bytes start and where the next element is."""
        kind, start, size, at = self._element(at, end)
        count = math.prod(shape)
        if kind not in _NUMBERS:
            if count or size:
                raise DamagedError(f"type {kind} for numbers at {start}")
            kind = 9
        dtype = np.dtype(self._order + _NUMBERS[kind])
        if count * dtype.itemsize != size:
            raise DamagedError(f"{count} numbers of {dtype.itemsize} bytes in {size} bytes")
        value = np.frombuffer(self._data, dtype, count, start)
        # a copy: the whole file need not stay in memory for one number
        return value.astype(dtype.newbyteorder("=")).reshape(shape, order="F"), start, at

    def _text(self, shape: tuple[int, ...], at: int, end: int) -> NDArray[Any]:
        """Gives one text a row, joined over the last dimension."""
        kind, start, size, _ = self._element(at, end)
        count = math.prod(shape)
        if kind not in _LETTERS:
            raise DamagedError(f"type {kind} for letters at {start}")
        if not count:
            return np.zeros(shape[:-1], "U1")
        if not size:
            if count > MAX_FILLED:
                raise DamagedError(f"{count} letters in no bytes")
            letters = " " * count
        else:
            codec = _LETTERS[kind]
            if codec in ("utf-16", "utf-32"):
                codec += "-le" if self._order == "<" else "-be"
            try:
                letters = self._data[start : start + size].decode(codec)
            except UnicodeDecodeError:
                raise DamagedError(f"no letters at {start}") from None
        if count == shape[-1] and size:  # one text: MATLAB counts UTF-16 units, Python letters
            if not len(letters) <= count <= 2 * len(letters):
                raise DamagedError(f"{count} letters in {size} bytes")
            return np.full(shape[:-1], letters)
        if len(letters) != count:
            raise DamagedError(f"{count} letters in {size} bytes")
        grid = np.array(list(letters)).reshape(shape, order="F")
        rows = ["".join(row) for row in grid.reshape(-1, shape[-1]).tolist()]
        return np.array(rows).reshape(shape[:-1])

    def _cells(self, shape: tuple[int, ...], at: int, end: int, depth: int) -> NDArray[Any]:
        values = np.empty(self._children(math.prod(shape), at, end, depth), object)
        for index in range(len(values)):
            values[index], at = self._matrix(at, end, depth + 1)
        return values.reshape(shape, order="F")

    def _structs(self, shape: tuple[int, ...], at: int, end: int, depth: int) -> NDArray[Any]:
        names, at = self._fields(at, end)
        count = math.prod(shape)
        if not names:
            if count > MAX_FILLED:
                raise DamagedError(f"{count} structs without fields")
            return np.empty(shape, object, order="F")
        self._children(count * len(names), at, end, depth)
        values = np.empty(count, [(name, object) for name in names])
        row: list[Any] = [None] * len(names)
        for index in range(count):
            for column in range(len(names)):
                row[column], at = self._matrix(at, end, depth + 1)
            values[index] = tuple(row)
        return values.reshape(shape, order="F")

    def _children(self, count: int, at: int, end: int, depth: int) -> int:
        if depth >= MAX_DEPTH:
            raise DamagedError(f"nested deeper than {MAX_DEPTH}")
        if count * 8 > end - at:  # each has a tag at least
            raise DamagedError(f"{count} elements in {end - at} bytes")
        return count

    def _fields(self, at: int, end: int) -> tuple[list[str], int]:
        """Gives a struct's field names and where its values begin."""
        _, start, size, at = self._element(at, end)
        if size != 4:
            raise DamagedError(f"no length of field names at {start}")
        (length,) = struct.unpack_from(f"{self._order}i", self._data, start)
        _, start, size, at = self._element(at, end)
        if length <= 0 or size % length:
            raise DamagedError(f"field names of length {length}")
        names = [
            self._data[one : one + length].split(b"\0")[0].decode("latin-1")
            for one in range(start, start + size, length)
        ]
        if "" in names or len(set(names)) < len(names):
            raise DamagedError(f"field names at {start}")
        return names, at
