"""What the benchmark times is the product's training, with as much work as is counted."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
import tensorflow as tf

from benchmarks import geometric, geometric_data, geometric_tensorflow
from official.modeling import random
from tests.benchmarks import graphs

NETWORKS = ('gcn', 'gat', 'rgcn')


def training(network):
    found = geometric_data.synthetic(graphs.sizes_for(network))
    return geometric_tensorflow.Training(network, found)


@pytest.mark.parametrize('network', NETWORKS)
def test_parameters_are_as_many_as_counted(network):
    assert training(network).parameters == geometric.parameters(network, graphs.sizes_for(network))


@pytest.mark.parametrize('network', ['gcn', 'rgcn'])
def test_products_of_an_epoch_are_as_many_as_counted(network):
    made = training(network)
    inputs, labels, nodes = made.batch

    @tf.function
    def gradients():
        with tf.GradientTape() as tape:
            logits = tf.gather(made.model(inputs, key=random.make_key(0)), nodes)
            loss = tf.reduce_sum(
                tf.nn.sparse_softmax_cross_entropy_with_logits(tf.gather(labels, nodes), logits)
            )
        return tape.gradient(loss, made.model.trainable_variables)

    flops = 0
    for product in gradients.get_concrete_function().graph.get_operations():
        if product.type == 'MatMul':
            left = product.inputs[0].shape
            inner = left[0] if product.get_attr('transpose_a') else left[1]
            flops += 2 * inner * product.outputs[0].shape.num_elements()
        elif product.type == 'SparseTensorDenseMatMul':
            flops += 2 * product.inputs[1].shape[0] * product.inputs[3].shape[1]
    work = geometric.epoch_work(network, graphs.sizes_for(network)).flops
    assert flops == work - geometric.adam(made.parameters).flops


@pytest.mark.parametrize('network', NETWORKS)
def test_the_loop_takes_the_steps_of_the_model(network):
    loop, steps = training(network), training(network)
    last = loop.run(3)
    for _ in range(3):
        logs = steps.model.step(steps.batch)
    assert last == pytest.approx(float(logs['loss']), rel=1e-4)
    assert int(loop.model.global_step) == 3
    for one, other in zip(
        loop.model.trainable_variables, steps.model.trainable_variables, strict=True
    ):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-5)
    assert loop.run(40) < last


def test_prints_what_the_benchmark_reads(monkeypatch, capsys, tmp_path):
    path = tmp_path / 'graph.npz'
    np.savez(path, **geometric_data.synthetic(graphs.TINY))
    monkeypatch.setattr(
        sys, 'argv', ['geometric_tensorflow.py', 'gcn', str(path), '--epochs=2', '--warm_up=1']
    )
    geometric_tensorflow.main()
    printed = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert printed['seconds'] > 0 and np.isfinite(printed['loss'])
    assert printed['parameters'] == geometric.parameters('gcn', graphs.TINY)
    assert printed['memory']['peak_mb'] >= printed['memory']['libraries_mb'] > 0
    assert list(printed['libraries']) == ['tensorflow']
