"""Byte ranges of the files of a data set, local or behind a URL."""

import os
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from avssl.catalog import ClipRow
from avssl.errors import MediaError


class Store:
    """Reads byte ranges; keeps at most `max_open` files open. Safe to use after a fork."""

    def __init__(self, directory: str, *, max_open: int) -> None:
        self.directory = directory
        self.max_open = max_open
        self._open: OrderedDict[str, Any] = OrderedDict()
        self._remote: Any = None

    def close(self) -> None:
        """Closes all files."""
        while self._open:
            self._close_one()

    def read(self, name: str, offset: int, num_bytes: int) -> bytes:
        """Gives exactly the bytes [offset, offset + num_bytes) of a file of the data set.

        Raises:
            MediaError: the file is missing or shorter.
        """
        try:
            if "://" in self.directory:
                data = self._fetch(name, offset, num_bytes)
            else:
                data = os.pread(self._descriptor(name), num_bytes, offset)
        except OSError as error:
            raise MediaError(
                f"{self.directory}/{name}: cannot be read ({error}); is the data set complete?"
            ) from error
        if len(data) != num_bytes:
            raise MediaError(
                f"{self.directory}/{name}: ends at byte {offset + len(data)}, the catalogue needs "
                f"{offset + num_bytes}; the shard is cut off, prepare or copy it again"
            )
        return data

    def packets(self, row: ClipRow, first: int, last: int) -> Iterator[tuple[int, bytes]]:
        """Yields (index, packet) of frames first…last, read in one go."""
        yield from zip(
            range(first, last + 1),
            self._ranges(row.store, row.packet_offsets, row.packet_num_bytes, first, last),
            strict=True,
        )

    def sound_packets(self, row: ClipRow, first: int, last: int) -> Iterator[bytes]:
        """Yields the sound packets first…last, read in one go."""
        yield from self._ranges(
            row.store, row.sound_packet_offsets, row.sound_packet_num_bytes, first, last
        )

    def _ranges(
        self, name: str, offsets: Any, num_bytes: Any, first: int, last: int
    ) -> Iterator[bytes]:
        begin = int(offsets[first])
        end = int(offsets[last] + num_bytes[last])
        data = self.read(name, begin, end - begin)
        for index in range(first, last + 1):
            at = int(offsets[index]) - begin
            yield data[at : at + int(num_bytes[index])]

    def _descriptor(self, name: str) -> int:
        found = self._open.pop(name, None)
        if found is None:
            found = os.open(Path(self.directory, name), os.O_RDONLY)
        self._open[name] = found
        if len(self._open) > self.max_open:
            self._close_one()
        return found

    def _close_one(self) -> None:
        os.close(self._open.popitem(last=False)[1])

    def _fetch(self, name: str, offset: int, num_bytes: int) -> bytes:
        if self._remote is None:
            from fsspec.core import url_to_fs

            self._remote = url_to_fs(self.directory)
        files, root = self._remote
        return files.cat_file(f"{root}/{name}", start=offset, end=offset + num_bytes)
