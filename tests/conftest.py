"""Two virtual CPUs for every process of tests, whichever tests are collected with each other.

The number of devices has to be set before TensorFlow's first op, which may be at a test's import.
"""

from official.core import distribution

distribution.virtual_cpu_devices(2)
