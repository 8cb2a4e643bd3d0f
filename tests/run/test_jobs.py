"""Runs beside each other: every result, its own thread, and a killed process in one line.

The jobs are expressions: a new process can import `eval`, but not this file.
"""

import os

import pytest

from avssl.errors import AvsslError
from avssl.run.jobs import each

SQUARES = {
    f"({number} ** 2, __import__('os').environ['OMP_NUM_THREADS'])": number for number in range(5)
}


@pytest.mark.parametrize("num_processes", [1, 2])
def test_every_item_is_done_once(num_processes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    found = {
        SQUARES[item]: value for item, value in each(eval, SQUARES, num_processes=num_processes)
    }
    threads = "3" if num_processes == 1 else "1"
    assert found == {number: (number**2, threads) for number in range(5)}
    assert os.environ["OMP_NUM_THREADS"] == "3"  # as it was
    with pytest.raises(ValueError, match="thirteen"):
        list(each(eval, ["1", "int('thirteen')"], num_processes=num_processes))


def test_a_killed_process_is_one_line() -> None:
    kill = "__import__('os').kill(__import__('os').getpid(), 9)"
    with pytest.raises(AvsslError, match="was killed") as caught:
        list(each(eval, [kill, "2"], num_processes=2))
    assert "\n" not in str(caught.value)
