"""Many runs beside each other, each in a process with one thread of its own."""

import concurrent.futures
import concurrent.futures.process
import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from avssl.errors import AvsslError

Item = TypeVar("Item")
Result = TypeVar("Result")


def each(
    function: Callable[[Item], Result], items: Iterable[Item], *, num_processes: int
) -> Iterator[tuple[Item, Result]]:
    """Yields (item, function(item)) as they get done; in this process where there is but one.

    Args:
        function: at the top of a module, or a partial of such: it is sent to other processes.
        items: what to do.
        num_processes: how many at a time. Small networks gain next to nothing from a second
            thread, so two runs beside each other are done nearly twice as fast.

    Raises:
        AvsslError: a process was killed.
        Whatever the function raises; what has not begun by then is not begun.
    """
    if num_processes <= 1:
        yield from ((item, function(item)) for item in items)
        return
    context = multiprocessing.get_context("spawn")
    before = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = "1"  # read by torch when a process begins
    pool = concurrent.futures.ProcessPoolExecutor(num_processes, mp_context=context)
    try:
        waiting = {pool.submit(function, item): item for item in items}
        for done in concurrent.futures.as_completed(waiting):
            yield waiting[done], done.result()
    except concurrent.futures.process.BrokenProcessPool:
        raise AvsslError(
            "a run was killed, perhaps for lack of memory; the same command goes on, with fewer "
            "beside each other if it happens again"
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)
        if before is None:
            del os.environ["OMP_NUM_THREADS"]
        else:
            os.environ["OMP_NUM_THREADS"] = before
