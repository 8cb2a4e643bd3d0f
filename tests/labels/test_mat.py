"""MATLAB files: values as written by scipy or by hand, and every lie refused at once."""

import struct
import tracemalloc
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.io import loadmat, savemat

from avssl.errors import InputError
from avssl.labels import mat, mat_values
from avssl.labels.mat import elements, field, number, numbers, read_mat, text

HEADER = b"MATLAB 5.0 MAT-file, made by hand".ljust(124)


def element(kind: int, data: bytes, order: str = "<") -> bytes:
    return struct.pack(f"{order}II", kind, len(data)) + data + bytes(-len(data) % 8)


def matrix(
    kind: int, shape: tuple[int, ...], content: bytes, *, name: bytes = b"", order: str = "<"
) -> bytes:
    inside = element(6, struct.pack(f"{order}II", kind, 0), order)
    inside += element(5, struct.pack(f"{order}{len(shape)}i", *shape), order)
    return element(14, inside + element(1, name, order) + content, order)


def write(path: Path, *parts: bytes, order: str = "<") -> Path:
    mark = b"IM" if order == "<" else b"MI"
    path.write_bytes(HEADER + struct.pack(f"{order}H", 0x0100) + mark + b"".join(parts))
    return path


def compressed(data: bytes) -> bytes:
    packed = zlib.compress(data)
    return struct.pack("<II", 15, len(packed)) + packed


@pytest.fixture
def example(tmp_path: Path) -> Path:
    people = np.empty((1, 2), dtype=[("name", object), ("age", object), ("id", object)])
    people[0, 0] = ("Ann", 31.5, np.array([["7"]]))
    people[0, 1] = ("Bo", np.zeros((0, 0)), np.uint8(9))
    cell = np.empty((2, 1), dtype=object)
    cell[:, 0] = ["x", np.array([[1.0, 2.0], [3.0, 4.0]])]
    savemat(tmp_path / "e.mat", {"other": 1.0, "people": people, "cell": cell}, do_compression=True)
    return tmp_path / "e.mat"


def test_structs_cells_text_and_numbers(example: Path) -> None:
    ann, bo = elements(read_mat(example, "people"))
    assert [text(field(one, "name")) for one in (ann, bo)] == ["Ann", "Bo"]
    assert number(field(ann, "age")) == 31.5 and np.isnan(number(field(bo, "age")))
    assert (number(field(ann, "id")), number(field(bo, "id"))) == (7, 9)
    assert field(ann, "shoe") is None and np.isnan(number(field(ann, "shoe")))
    first, second = elements(read_mat(example, "cell"))
    assert text(first) == "x"
    assert numbers(second).tolist() == [1, 3, 2, 4]  # MATLAB's order: column by column
    assert elements(np.zeros((0, 0))) == [] and elements(None) == []


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_file_written_by_hand_in_both_byte_orders(tmp_path: Path, order: str) -> None:
    values = element(9, struct.pack(f"{order}3d", 1.5, -2.0, 4.0), order)
    path = write(tmp_path / "h.mat", matrix(6, (3, 1), values, name=b"x", order=order), order=order)
    assert read_mat(path, "x").tolist() == [[1.5], [-2.0], [4.0]]


def test_other_formats_are_one_line(tmp_path: Path, example: Path) -> None:
    savemat(tmp_path / "v4.mat", {"x": 1.0}, format="4")
    cases = {
        "text.mat": b"no matlab at all " * 20,
        "empty.mat": b"",
        "hdf.mat": b"\x89HDF\r\n\x1a\n" + bytes(600),
        "v73.mat": b"MATLAB 7.3 MAT-file, HDF5 schema 1.00".ljust(124) + b"\x00\x02IM" + bytes(600),
        "v4.mat": (tmp_path / "v4.mat").read_bytes(),
        "picture.mat": b"\xff\xd8\xff\xe0" + bytes(300),
    }
    for name, data in cases.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(InputError) as caught:
            read_mat(tmp_path / name, "x")
        assert "\n" not in str(caught.value) and name in str(caught.value)
        assert ("7.3" in str(caught.value)) == (name in ("hdf.mat", "v73.mat"))
    with pytest.raises(InputError, match="no variable 'absent'"):
        read_mat(example, "absent")
    with pytest.raises(InputError, match="no such file"):
        read_mat(tmp_path, "x")


def test_every_truncation_is_refused(example: Path, tmp_path: Path) -> None:
    data = example.read_bytes()
    for length in range(0, len(data), 7):
        (tmp_path / "cut.mat").write_bytes(data[:length])
        with pytest.raises(InputError):
            read_mat(tmp_path / "cut.mat", "cell")  # the last variable


@given(changes=st.lists(st.tuples(st.integers(128, 10_000), st.integers(0, 255)), max_size=6))
@settings(max_examples=150, deadline=None)
def test_changed_bytes_are_read_or_refused(
    changes: list[tuple[int, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    cell = np.empty((1, 2), dtype=object)
    cell[0, :] = ["abc", np.array([[(1.0, "x")]], dtype=[("a", object), ("b", object)])]
    path = tmp_path_factory.getbasetemp() / "fuzz.mat"
    savemat(path, {"cell": cell})
    data = bytearray(path.read_bytes())
    for place, value in changes:
        data[128 + (place - 128) % (len(data) - 128)] = value
    path.write_bytes(data)
    try:
        found = read_mat(path, "cell")
    except InputError as error:
        assert "\n" not in str(error)
    else:
        assert isinstance(found, np.ndarray) and found.size <= 1 << 20


KINDS = ["f8", "f4", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "c16", "c8", "?"]
SHAPES = st.lists(st.integers(0, 4), min_size=2, max_size=4)
ARRAYS = st.builds(
    lambda kind, shape, seed: np.random.default_rng(seed).integers(0, 100, shape).astype(kind),
    st.sampled_from(KINDS),
    SHAPES,
    st.integers(0, 99),
)
LETTERS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=9)


def boxed(values: list[Any]) -> Any:
    cell = np.empty((len(values), 1), object)
    cell[:, 0] = values
    return cell


VALUES: Any = st.recursive(
    ARRAYS | LETTERS.filter(lambda one: not one.endswith(" ")) | st.floats(allow_nan=False),
    lambda inner: (
        st.lists(inner, min_size=1, max_size=4).map(boxed)
        | st.dictionaries(st.sampled_from(["a", "bc", "d_1"]), inner, min_size=1)
    ),
    max_leaves=12,
)


def same(ours: Any, theirs: Any) -> None:
    assert type(ours) is type(theirs)
    if not isinstance(theirs, np.ndarray):
        return
    assert ours.shape == theirs.shape and ours.dtype.names == theirs.dtype.names
    if theirs.dtype.names:
        for name in theirs.dtype.names:
            same(ours[name], theirs[name])
    elif theirs.dtype == object:
        for one, other in zip(ours.ravel(), theirs.ravel(), strict=True):
            same(one, other)
    else:
        assert ours.dtype.kind == theirs.dtype.kind or not theirs.size
        assert np.array_equal(ours, theirs)


@given(value=VALUES, packed=st.booleans())
@settings(max_examples=150, deadline=None)
def test_values_equal_scipys(
    value: Any, packed: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.mat"
    savemat(path, {"x": value}, do_compression=packed)
    same(read_mat(path, "x"), loadmat(path)["x"])


def nested(depth: int) -> bytes:
    inner = matrix(6, (0, 0), element(9, b""))
    for level in range(depth):
        inner = matrix(1, (1, 1), inner, name=b"x" if level == depth - 1 else b"")
    return inner


FIELDS = element(5, struct.pack("<i", 8))
LIES = {
    "cells": matrix(1, (2**31 - 1, 1), b"", name=b"x"),
    "cells2": matrix(1, (40_000, 40_000), element(14, b""), name=b"x"),
    "structs": matrix(2, (2**20, 2**10), FIELDS + element(1, b"a".ljust(8, b"\0")), name=b"x"),
    "no fields": matrix(2, (2**16, 2**15), FIELDS + element(1, b""), name=b"x"),
    "letters": matrix(4, (1, 2**31 - 1), element(4, b""), name=b"x"),
    "numbers": matrix(6, (2**15, 2**15), element(9, bytes(8)), name=b"x"),
    "negative": matrix(6, (-1, 3), element(9, bytes(8)), name=b"x"),
    "overflow": matrix(1, (2**30, 2**30, 2**30, 0), b"", name=b"x"),
    "object": matrix(3, (1, 1), element(1, b"Evil"), name=b"x"),
    "sparse": matrix(5, (3, 3), element(5, bytes(4)), name=b"x"),
    "deep": nested(2000),
}


@pytest.mark.parametrize("lie", LIES)
@pytest.mark.parametrize("packed", [False, True])
def test_lying_sizes_cost_no_memory(tmp_path: Path, lie: str, packed: bool) -> None:
    path = write(tmp_path / "lie.mat", compressed(LIES[lie]) if packed else LIES[lie])
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match="damaged"):
            read_mat(path, "x")
        assert tracemalloc.get_traced_memory()[1] < 20e6
    finally:
        tracemalloc.stop()


def test_a_file_that_unpacks_without_end_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mat, "MAX_UNPACKED_BYTES", 1 << 20)
    bomb = compressed(matrix(6, (1, 1 << 20), element(9, bytes(8 << 20)), name=b"x"))
    assert len(bomb) < 20_000
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match="unpacks to more than"):
            read_mat(write(tmp_path / "bomb.mat", bomb), "x")
        assert tracemalloc.get_traced_memory()[1] < 8e6
    finally:
        tracemalloc.stop()


def test_a_bad_matrix_among_many_good_ones_of_its_kind(tmp_path: Path) -> None:
    def number_of(value: float, size: int = 8) -> bytes:
        whole = matrix(6, (1, 1), element(9, struct.pack("<d", value)))
        return whole[:52] + struct.pack("<I", size) + whole[56:]

    small = matrix(9, (1, 1), struct.pack("<HHB3x", 2, 1, 7))  # its one byte stands in the tag
    good = [number_of(1.0), small, number_of(2.0), small]
    found = read_mat(write(tmp_path / "a.mat", matrix(1, (1, 4), b"".join(good), name=b"x")), "x")
    assert [number(one) for one in elements(found)] == [1, 7, 2, 7]
    for bad in (number_of(3.0, size=800), small[:8], small[:40]):
        content = b"".join([*good, *good[:2], bad])
        path = write(tmp_path / "b.mat", matrix(1, (1, 7), content, name=b"x"))
        with pytest.raises(InputError, match="damaged"):
            read_mat(path, "x")


def test_too_many_matrices_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mat_values, "MAX_MATRICES", 100)
    leaf = matrix(6, (1, 1), element(9, bytes(8)))
    for count, refused in ((99, False), (100, True)):
        path = write(tmp_path / "m.mat", matrix(1, (1, count), leaf * count, name=b"x"))
        if refused:
            with pytest.raises(InputError, match="more than 100 matrices"):
                read_mat(path, "x")
        else:
            assert len(elements(read_mat(path, "x"))) == count


def test_depth_that_is_allowed_is_read(tmp_path: Path) -> None:
    value: Any = read_mat(write(tmp_path / "n.mat", nested(20)), "x")
    for _ in range(20):
        value = value[0, 0]
    assert value.shape == (0, 0)
