"""What the benchmark times is the product's training, in as many blocks as it says."""

from __future__ import annotations

import json
import sys

import pytest
import tensorflow as tf

from benchmarks import ladder, ladder_tensorflow
from official.modeling import random


@pytest.mark.parametrize(
    'name, decoder_mappings, denoisers', [('ladder', 6, 7), ('gamma', 0, 1), ('baseline', 0, 0)]
)
def test_networks_are_those_of_the_table(name, decoder_mappings, denoisers):
    model = ladder_tensorflow.compiled(name, steps_per_execution=1)
    assert model.layer_shapes == [(width,) for width in ladder.WIDTHS]
    assert sum(hasattr(rung, 'v') for rung in model.rungs) == decoder_mappings
    assert sum(denoiser is not None for denoiser in model.denoisers) == denoisers


@pytest.mark.parametrize('name', ['ladder', 'gamma', 'baseline'])
def test_products_of_an_update_are_as_many_as_counted(name):
    model = ladder_tensorflow.compiled(name, steps_per_execution=1)

    @tf.function
    def gradients(x_labelled, y, x_unlabelled):
        with tf.GradientTape() as tape:
            costs, _ = model.costs(x_labelled, y, x_unlabelled, random.make_key(0))
        return tape.gradient(costs['loss'], model.trainable_variables)

    x, y = tf.TensorSpec([100, 784]), tf.TensorSpec([100], tf.int32)
    flops = 0
    for product in gradients.get_concrete_function(x, y, x).graph.get_operations():
        if product.type == 'MatMul':
            left = product.inputs[0].shape
            inner = left[0] if product.get_attr('transpose_a') else left[1]
            flops += 2 * inner * product.outputs[0].shape.num_elements()
    assert flops == ladder.CONTESTANTS[name].flops


def test_one_block_to_warm_up_and_the_others_timed():
    model = ladder_tensorflow.compiled('baseline', steps_per_execution=2)
    milliseconds = ladder_tensorflow.update_ms(model, updates=2, blocks=3, num_images=150)
    assert len(milliseconds) == 3 and min(milliseconds) > 0
    assert int(model.global_step) == 2 * (1 + 3)


def test_prints_what_the_benchmark_reads(monkeypatch, capsys):
    monkeypatch.setattr(ladder_tensorflow, 'update_ms', lambda *arguments: [1.0, 2.0])
    monkeypatch.setattr(sys, 'argv', ['ladder_tensorflow.py', 'baseline'])
    ladder_tensorflow.main()
    printed = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert printed['update_ms'] == [1.0, 2.0] and list(printed['libraries']) == ['tensorflow']
