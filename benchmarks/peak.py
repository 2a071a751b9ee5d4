"""What this machine can do at most: floating-point operations, and bytes to and from the cache.

What the floors of the benchmarks stand on; by hand:

    ./garden python benchmarks/peak.py

Prints one JSON object: 'gflop_per_s', each of several large float32 products of TensorFlow, with
all processors; 'gbyte_per_s', the sums of NumPy arrays that fit the cache, with one processor;
'libraries'; and 'machine' with the processor's instruction sets.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from benchmarks import contest


def gflop_per_s(size: int = 2048, repetitions: int = 10, dtype: str = 'float32') -> list[float]:
    """The rate of each of several products of two matrices [size, size]."""
    a, b = (
        tf.cast(tf.random.stateless_normal([size, size], seed), dtype) for seed in ([0, 0], [0, 1])
    )
    rates = []
    for _ in range(1 + repetitions):
        start = time.perf_counter()
        tf.matmul(a, b)
        rates.append(2e-9 * size**3 / (time.perf_counter() - start))
    return rates[1:]


def convolution_gflop_per_s(
    sizes: Sequence[tuple[int, int, int, int]], dtype: str = 'float32', repetitions: int = 5
) -> float:
    """The highest rate of 3 x 3 convolutions.

    Args:
      sizes: channels, height, width and images of each.
      dtype: of the numbers.
      repetitions: of each size.
    """
    rates = []
    for channels, height, width, number in sizes:
        x, kernel = (
            tf.cast(tf.random.stateless_normal(shape, [0, 0]), dtype)
            for shape in ([number, height, width, channels], [3, 3, channels, channels])
        )
        for _ in range(1 + repetitions):
            start = time.perf_counter()
            tf.nn.conv2d(x, kernel, 1, 'SAME')
            seconds = time.perf_counter() - start
            rates.append(2e-9 * 9 * number * height * width * channels**2 / seconds)
    return max(rates)


def gbyte_per_s(kilobytes: int = 100, repetitions: int = 50, sums: int = 100) -> list[float]:
    """The rate of one processor at which sums of two arrays read and write.

    Args:
      kilobytes: of the three arrays together.
      repetitions: rates to return.
      sums: timed together for one rate.
    """
    a, b, c = np.ones((3, kilobytes * 1000 // 12), np.float32)
    rates = []
    for _ in range(1 + repetitions):
        start = time.perf_counter()
        for _ in range(sums):
            np.add(a, b, out=c)
        rates.append(1e-9 * sums * 3 * c.nbytes / (time.perf_counter() - start))
    return rates[1:]


def main() -> None:
    print(
        json.dumps(
            {
                'gflop_per_s': gflop_per_s(),
                'gbyte_per_s': gbyte_per_s(),
                'libraries': {'tensorflow': tf.__version__},
                'machine': contest.machine(),
            }
        )
    )


if __name__ == '__main__':
    main()
