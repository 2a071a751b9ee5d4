"""What every test shares: a process with two virtual CPUs, whichever tests are collected with it.

The number of devices has to be set before TensorFlow's first op, which may be at a test's import.
"""

from official.core import distribution

distribution.virtual_cpu_devices(2)
