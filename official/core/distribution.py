"""Strategies of `tf.distribute` by name, and what the rest of the house asks about one.

TensorFlow is imported where it is needed, so that flags and TF_CONFIG are checked before.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import re
import socket
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from absl import logging

from official.core import checks, rendezvous

if TYPE_CHECKING:
    import tensorflow as tf

STRATEGIES = ('one_device', 'mirrored', 'multi_worker', 'tpu')
_CONNECT_SECONDS = 10
_WAIT_MINUTES = 60


def check(name: str, tpu: str | None = None, wait_minutes: float | None = None) -> None:
    """Raises what `make_strategy` would about its arguments and environment, in no time.

    Raises:
      ValueError: if there is no such strategy, if `tpu` or `wait_minutes` is given and changes
        nothing, or if TF_CONFIG does not describe a cluster and this process's place in it.
    """
    if name not in STRATEGIES:
        raise ValueError(f'There is no strategy {name!r}: there is {", ".join(STRATEGIES)}.')
    if tpu is not None and name != 'tpu':
        raise ValueError(f'--tpu={tpu} needs --strategy=tpu, not {name}.')
    if wait_minutes is not None:
        if name != 'multi_worker':
            raise ValueError(
                f'--wait_minutes={wait_minutes:g} needs --strategy=multi_worker, not {name}.'
            )
        checks.above_zero('--strategy=multi_worker', wait_minutes=wait_minutes)
    if name == 'multi_worker':
        cluster_task()


def make_strategy(
    name: str, tpu: str | None = None, wait_minutes: float | None = None
) -> tf.distribute.Strategy:
    """Returns a `tf.distribute.Strategy`. Call it before anything else that runs on a device.

    Args:
      name: 'one_device', the default strategy: the first GPU if there is one, else the CPU;
        'mirrored', all GPUs of this machine, else all its logical CPUs;
        'multi_worker', this process is one of those that the variable TF_CONFIG lists;
        'tpu', a TPU or, run on a host beside it, all of a TPU pod.
      tpu: name or address (`grpc://host:8470`) of the TPU, or 'local' for one in this machine; None
        takes TPU_NAME.
      wait_minutes: time to wait for the other workers of 'multi_worker'; None: 60.

    Raises:
      ValueError: see `check`.
      ConnectionError: if no TPU answers, a worker does not come, or this one's port is taken.
    """
    check(name, tpu, wait_minutes)
    import tensorflow as tf

    if name == 'one_device':
        return tf.distribute.get_strategy()
    if name == 'mirrored':
        devices = tf.config.list_logical_devices('GPU') or tf.config.list_logical_devices('CPU')
        return mirrored(tuple(device.name for device in devices))
    if name == 'multi_worker':
        task, workers, _ = cluster_task()
        logging.warning('%s is one of %d workers; waiting for all of them.', task, workers)
        rendezvous.meet(worker_addresses(), task, 60 * (wait_minutes or _WAIT_MINUTES))
        return tf.distribute.MultiWorkerMirroredStrategy()
    return _tpu_strategy(tpu)


@functools.cache
def mirrored(devices: tuple[str, ...]) -> tf.distribute.MirroredStrategy:
    """The MirroredStrategy over `devices` of this process.

    There is one only: the collective operations of a second one would meet those of the first,
    whose numbers they share, and fail.
    """
    import tensorflow as tf

    return tf.distribute.MirroredStrategy(list(devices))


def cluster_task() -> tuple[str, int, bool]:
    """Returns this process's name in the cluster of TF_CONFIG, the workers' number, if it is chief.

    The chief is the task 'chief' where the cluster has one, else the first worker.

    Raises:
      ValueError: if TF_CONFIG does not say.
    """
    jobs, kind, index = _cluster()
    chief = kind == 'chief' or ('chief' not in jobs and index == 0)
    return f'{kind} {index}', sum(map(len, jobs.values())), chief


def worker_addresses() -> dict[str, str]:
    """Returns 'host:port' of every process that trains in the cluster of TF_CONFIG, by its name.

    Raises:
      ValueError: see `cluster_task`.
    """
    return {
        f'{job} {index}': address
        for job, addresses in _cluster()[0].items()
        for index, address in enumerate(addresses)
    }


def _cluster() -> tuple[dict[str, list[str]], str, int]:
    """The addresses of the jobs that train, and this process's job and index in it."""
    example = (
        '{"cluster": {"worker": ["host1:2222", "host2:2222"]}, '
        '"task": {"type": "worker", "index": 0}}'
    )
    text = os.environ.get('TF_CONFIG')
    if not text:
        raise ValueError(f'--strategy=multi_worker needs the variable TF_CONFIG, as in {example}.')
    try:
        value = json.loads(text)
    except ValueError as error:
        raise ValueError(f'TF_CONFIG={text} is not valid JSON ({error}).') from None
    try:
        cluster, kind = value['cluster'], value['task']['type']
        index = int(value['task']['index'])
        jobs = {job: cluster[job] for job in ('chief', 'worker') if job in cluster}
    except (KeyError, TypeError, ValueError, AttributeError):
        raise ValueError(f'TF_CONFIG={text} lacks a part of {example}.') from None
    for job, addresses in jobs.items():
        if not isinstance(addresses, list) or not all(map(_is_address, addresses)):
            raise ValueError(
                f'TF_CONFIG={text}: {job!r} is {json.dumps(addresses)}, not a list of '
                f'addresses, as in {example}.'
            )
    if kind not in jobs or not 0 <= index < len(jobs[kind]):
        raise ValueError(f'TF_CONFIG={text}: the cluster has no {kind} {index} that trains.')
    return jobs, kind, index


def _is_address(value: object) -> bool:
    if not isinstance(value, str):
        return False
    port = value.rpartition(':')[2]
    return port.isdecimal() and ':' in value and 0 < int(port) < 2**16


def lost_worker(error: Exception) -> str | None:
    """Returns a sentence for an error by which TensorFlow says that a worker is gone, else None.

    Args:
      error: what training under 'multi_worker' raised.
    """
    import tensorflow as tf

    kinds = (
        tf.errors.UnavailableError,
        tf.errors.AbortedError,
        tf.errors.DeadlineExceededError,
        tf.errors.CancelledError,
    )
    if not isinstance(error, kinds):
        return None
    own, _, _ = cluster_task()
    found = re.findall(r'/job:(\w+)/(?:replica:\d+/)?task:(\d+)', str(error))
    names = [
        name for name in dict.fromkeys(f'{job} {index}' for job, index in found) if name != own
    ]
    peers = worker_addresses()
    who = ', '.join(f'{name} ({peers[name]})' for name in names if name in peers) or (
        'another worker'
    )
    return (
        f'{own}: the connection to {who} was lost; start every worker again, and all go on '
        f'from the last checkpoint.'
    )


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Returns True if this process is the one that writes files, under `strategy`."""
    import tensorflow as tf

    resolver = strategy.cluster_resolver
    # One process drives all of a TPU pod.
    if resolver is None or isinstance(strategy, tf.distribute.TPUStrategy):
        return True
    if 'chief' in resolver.cluster_spec().jobs:
        return resolver.task_type == 'chief'
    return not resolver.task_id


def from_all_workers(strategy: tf.distribute.Strategy, value: int) -> list[int]:
    """Waits until every worker of `strategy` has called it, and returns the values of all."""
    import tensorflow as tf

    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return [value]
    gathered = tf.function(
        lambda: strategy.run(
            lambda: tf.distribute.get_replica_context().all_gather(tf.constant([value]), axis=0)
        )
    )()
    return strategy.experimental_local_results(gathered)[0].numpy().tolist()


def results_of(step: Callable, dataset: Any, strategy: tf.distribute.Strategy) -> Iterator[Any]:
    """Runs a function on every element of a distributed dataset, and collects from all replicas.

    Args:
      step: called as step(*element) of a tuple, else step(element), on each replica; gives tensors
        with an axis of examples, in a structure.
      dataset: of the strategy.
      strategy: what to run under.

    Yields:
      The structure with NumPy arrays: the results of all replicas, one after another.
    """
    import tensorflow as tf

    for element in dataset:
        results = strategy.run(step, args=element if isinstance(element, tuple) else (element,))
        yield tf.nest.map_structure(lambda value: strategy.gather(value, axis=0).numpy(), results)


def supports_jit_compile(strategy: tf.distribute.Strategy) -> bool:
    """Returns True if `compile(jit_compile=True)` works under `strategy`.

    It does on one device and on a TPU; MirroredStrategy refuses it, over one machine or several.
    """
    import tensorflow as tf

    mirrored = (tf.distribute.MirroredStrategy, tf.distribute.MultiWorkerMirroredStrategy)
    if isinstance(strategy, mirrored):
        logging.warning('%s cannot use XLA: jit_compile is off.', type(strategy).__name__)
        return False
    return True


def virtual_cpu_devices(count: int) -> list[str]:
    """Makes this process see `count` CPUs, for tests of strategies, and returns their names.

    Raises:
      RuntimeError: if TensorFlow runs already, with fewer.
    """
    import tensorflow as tf

    cpu = tf.config.list_physical_devices('CPU')[0]
    with contextlib.suppress(RuntimeError):  # It is too late, but it may have been done before.
        tf.config.set_logical_device_configuration(
            cpu, [tf.config.LogicalDeviceConfiguration()] * count
        )
    names = [device.name for device in tf.config.list_logical_devices('CPU')]
    if len(names) < count:
        raise RuntimeError(
            f'TensorFlow runs already with {len(names)} CPU, {count} were asked for: call '
            f'virtual_cpu_devices before anything else.'
        )
    return names[:count]


def _tpu_strategy(tpu: str | None):
    import tensorflow as tf

    named = f'--tpu={tpu}' if tpu else 'TPU_NAME'
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver(tpu)
        local = (tpu or os.environ.get('TPU_NAME')) == 'local'
        addresses = [] if local else resolver.cluster_spec().as_dict()
    except Exception as error:  # A name that nobody knows, no metadata server, no credentials, ...
        raise ConnectionError(f'No TPU found by {named}: {error}.') from error
    for job in addresses:
        for address in resolver.cluster_spec().job_tasks(job):
            _check_answers(address, named)
    try:
        tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
    except tf.errors.OpError as error:
        reason = error.message.splitlines()[0].split('. Failed in')[0]
        raise ConnectionError(f'No TPU answers at {named}: {reason}.') from error
    return tf.distribute.TPUStrategy(resolver)


def _check_answers(address: str, named: str) -> None:
    """Raises ConnectionError if nobody listens; TensorFlow itself would wait for ever."""
    host, _, port = address.rpartition(':')
    try:
        socket.create_connection((host, int(port)), _CONNECT_SECONDS).close()
    except (OSError, ValueError) as error:
        raise ConnectionError(f'No TPU answers at {named}, address {address}: {error}.') from error
