"""How long exact search takes: avssl's (torch, in parts) beside scikit-learn's brute force.

python tools/bench_neighbours.py                 # a million vectors of 512, 100 queries
python tools/bench_neighbours.py --num 200000    # fewer

Both search the same unit vectors on as many threads as OMP_NUM_THREADS says; what they find is
compared. Seconds are of the processor (all threads together) and of the clock.
"""

import argparse
import platform
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from avssl.downstream.neighbours import search


def timed(job: Callable[[], Any]) -> tuple[Any, float, float]:
    """Gives the result, seconds of the processor and of the clock."""
    processor_s, clock_s = time.process_time(), time.perf_counter()
    found = job()
    return found, time.process_time() - processor_s, time.perf_counter() - clock_s


def main() -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--num", type=int, default=1_000_000)
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--top", type=int, default=10)
    parser.add_argument("--no-sklearn", action="store_true")
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    gallery = rng.standard_normal((options.num, options.width), dtype=np.float32)
    gallery /= np.linalg.norm(gallery, axis=1, keepdims=True)
    queries = gallery[: options.queries] + np.float32(0.05) * rng.standard_normal(
        (options.queries, options.width), dtype=np.float32
    )
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    groups = np.arange(options.num, dtype=np.int64) // 3
    own = np.full(options.queries, -1, dtype=np.int64)
    machine = platform.processor() or platform.machine()
    print(f"{options.num} vectors of {options.width}, {options.queries} queries, top {options.top}")
    print(f"{machine}, {torch.get_num_threads()} threads\n")
    print("| search | processor s | clock s |\n|---|---|---|")
    ours, processor_s, clock_s = timed(
        lambda: search(
            queries, gallery, top=options.top, query_groups=own, gallery_groups=groups
        )
    )  # fmt: skip
    print(f"| avssl (groups left out) | {processor_s:.1f} | {clock_s:.1f} |", flush=True)
    if options.no_sklearn:
        return
    from sklearn.neighbors import NearestNeighbors

    model = NearestNeighbors(n_neighbors=options.top, algorithm="brute").fit(gallery)
    theirs, processor_s, clock_s = timed(lambda: model.kneighbors(queries, return_distance=False))
    print(f"| scikit-learn, brute | {processor_s:.1f} | {clock_s:.1f} |")
    same = np.mean([len(set(a) & set(b)) for a, b in zip(ours.indices, theirs, strict=True)])
    print(f"\nof {options.top} nearest, both find {same:.2f} (ties and rounding)")


if __name__ == "__main__":
    main()
