import json
import socket

import pytest
import tensorflow as tf

from official.core import distribution

# Now, at import: once TensorFlow runs it is too late.
CPUS = distribution.virtual_cpu_devices(2)
_CLUSTER = {'worker': ['localhost:1111', 'localhost:2222']}


def _tf_config(monkeypatch, kind, index, cluster=None):
    value = {'cluster': cluster or _CLUSTER, 'task': {'type': kind, 'index': index}}
    monkeypatch.setenv('TF_CONFIG', json.dumps(value))


def test_one_device_is_the_default_strategy():
    strategy = distribution.make_strategy('one_device')
    assert strategy is tf.distribute.get_strategy()
    assert strategy.num_replicas_in_sync == 1
    assert distribution.is_chief(strategy) and distribution.supports_jit_compile(strategy)


def test_mirrored_uses_every_device():
    strategy = distribution.make_strategy('mirrored')
    count = len(tf.config.list_logical_devices('GPU')) or len(CPUS)
    assert strategy.num_replicas_in_sync == count
    assert distribution.is_chief(strategy)

    @tf.function
    def total():
        return strategy.run(
            lambda: tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, 3.0)
        )

    assert [float(x) for x in strategy.experimental_local_results(total())] == [3.0 * count] * count


def test_mirrored_refuses_xla_with_one_logged_line(monkeypatch):
    logged = []
    monkeypatch.setattr(
        distribution.logging, 'warning', lambda message, *args: logged.append(message % args)
    )
    assert not distribution.supports_jit_compile(distribution.make_strategy('mirrored'))
    assert logged == ['MirroredStrategy cannot use XLA: jit_compile is off.']


def test_virtual_devices_are_there_once_and_for_all():
    assert CPUS == ['/device:CPU:0', '/device:CPU:1']
    assert distribution.virtual_cpu_devices(1) == CPUS[:1]
    with pytest.raises(RuntimeError, match='runs already with 2 CPU, 3 were asked for'):
        distribution.virtual_cpu_devices(3)


def test_names_that_do_not_exist():
    with pytest.raises(ValueError, match="^There is no strategy 'mirrored_': there is one_"):
        distribution.make_strategy('mirrored_')
    with pytest.raises(ValueError, match='^--tpu=x needs --strategy=tpu, not mirrored.$'):
        distribution.make_strategy('mirrored', 'x')


@pytest.mark.parametrize(
    'kind, index, cluster, expected',
    [
        ('worker', 0, None, ('worker 0', 2, True)),
        ('worker', 1, None, ('worker 1', 2, False)),
        ('worker', 0, {'chief': ['a:1'], 'worker': ['b:1']}, ('worker 0', 2, False)),
        (
            'chief',
            0,
            {'chief': ['a:1'], 'worker': ['b:1'], 'evaluator': ['c:1']},
            ('chief 0', 2, True),
        ),
    ],
)
def test_the_place_in_a_cluster(monkeypatch, kind, index, cluster, expected):
    _tf_config(monkeypatch, kind, index, cluster)
    assert distribution.cluster_task() == expected


class _Strategy:
    """All that is_chief asks of one."""

    def __init__(self):
        self.cluster_resolver = tf.distribute.cluster_resolver.TFConfigClusterResolver()


@pytest.mark.parametrize(
    'kind, index, cluster, expected',
    [
        ('worker', 0, None, True),
        ('worker', 1, None, False),
        ('worker', 0, {'chief': ['a:1'], 'worker': ['b:1']}, False),
        ('chief', 0, {'chief': ['a:1'], 'worker': ['b:1']}, True),
    ],
)
def test_the_chief_of_a_cluster(monkeypatch, kind, index, cluster, expected):
    _tf_config(monkeypatch, kind, index, cluster)
    assert distribution.is_chief(_Strategy()) is expected


@pytest.mark.parametrize(
    'text, expected',
    [
        (None, r'--strategy=multi_worker needs the variable TF_CONFIG, as in \{"cluster": '),
        ('{"cluster": ', r'TF_CONFIG=\{"cluster":  is not valid JSON'),
        ('{"cluster": {"worker": ["a:1"]}}', r'TF_CONFIG=.* lacks a part of \{"cluster"'),
        ('[1]', r'TF_CONFIG=\[1\] lacks a part of'),
        (
            '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1}}',
            'TF_CONFIG=.*: the cluster has no worker 1 that trains.$',
        ),
        (
            '{"cluster": {"worker": ["a:1"]}, "task": {"type": "wroker", "index": 0}}',
            'TF_CONFIG=.*: the cluster has no wroker 0 that trains.$',
        ),
    ],
)
def test_a_bad_cluster_is_found_before_tensorflow_waits_for_it(monkeypatch, text, expected):
    monkeypatch.delenv('TF_CONFIG', raising=False)
    if text is not None:
        monkeypatch.setenv('TF_CONFIG', text)
    with pytest.raises(ValueError, match='^' + expected):
        distribution.check('multi_worker')
    with pytest.raises(ValueError, match='^' + expected):
        distribution.make_strategy('multi_worker')


def test_no_tpu(monkeypatch):
    for name in ('TPU_NAME', 'KUBE_GOOGLE_CLOUD_TPU_ENDPOINTS', 'TPU_CONFIG'):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ConnectionError, match='^No TPU found by TPU_NAME: Please provide a TPU'):
        distribution.make_strategy('tpu')
    with socket.socket() as taken:  # A port that is ours, so that nobody listens.
        taken.bind(('localhost', 0))
        address = f'localhost:{taken.getsockname()[1]}'
        with pytest.raises(
            ConnectionError,
            match=f'^No TPU answers at --tpu=grpc://{address}, address {address}: .*refused',
        ):
            distribution.make_strategy('tpu', f'grpc://{address}')


@pytest.mark.parametrize('addresses', ['host:1234', ['a'], ['a:0'], ['a:1', 5], {'a:1': 1}, []])
def test_addresses_that_are_none(monkeypatch, addresses):
    _tf_config(monkeypatch, 'worker', 0, {'worker': addresses})
    with pytest.raises(
        ValueError,
        match=("'worker' is .*, not a list of addresses, as in|has no worker 0 that trains"),
    ):
        distribution.check('multi_worker')


def test_the_time_to_wait(monkeypatch):
    with pytest.raises(ValueError, match='^--wait_minutes=5 needs --strategy=multi_worker, not mi'):
        distribution.check('mirrored', wait_minutes=5)
    _tf_config(monkeypatch, 'worker', 0)
    distribution.check('multi_worker', wait_minutes=0.5)
    for minutes in (0, -1, float('nan')):
        with pytest.raises(ValueError, match='wait_minutes = .* must be a finite number above 0'):
            distribution.check('multi_worker', wait_minutes=minutes)


def test_a_lost_worker_is_named(monkeypatch):
    _tf_config(monkeypatch, 'worker', 0)
    error = tf.errors.UnavailableError(
        None,
        None,
        'Collective ops is aborted by: Connection reset by peer\nAdditional GRPC error '
        'information from remote target /job:worker/replica:0/task:1 while calling RecvBuf',
    )
    assert distribution.lost_worker(error) == (
        'worker 0: the connection to worker 1 (localhost:2222) was lost; start every worker again, '
        'and all go on from the last checkpoint.'
    )
    unnamed = tf.errors.AbortedError(None, None, 'The collective was aborted')
    assert 'the connection to another worker was lost' in distribution.lost_worker(unnamed)
    assert distribution.lost_worker(tf.errors.InvalidArgumentError(None, None, 'a bug')) is None
