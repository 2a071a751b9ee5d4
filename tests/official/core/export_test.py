import os

import pytest
import tensorflow as tf

from official.core import export


class Scale(tf.keras.Model):
    def __init__(self, factor):
        super().__init__()
        self.factor = tf.Variable(factor)
        self.built = True

    def call(self, x):
        return self.factor * x


def signatures(model):
    return {
        'scale': (lambda x: {'y': model(x)}, [tf.TensorSpec([None], tf.float32, 'x')]),
        'both': (
            lambda a, b: {'sum': model(a) + b},
            [tf.TensorSpec([], tf.float32, 'a'), tf.TensorSpec([], tf.float32, 'b')],
        ),
    }


def test_named_signatures_and_a_new_export_replaces_the_old(tmp_path, capsys):
    path = str(tmp_path / 'saved_model')
    for factor in (2.0, 3.0):
        model = Scale(factor)
        assert export.save(model, signatures(model), path) == path
        loaded = tf.saved_model.load(path).signatures
        assert loaded['scale'](x=tf.constant([1.0, 5.0]))['y'].numpy().tolist() == [
            factor,
            5 * factor,
        ]
        assert float(loaded['both'](a=tf.constant(1.0), b=tf.constant(0.5))['sum']) == factor + 0.5
        assert float(loaded['serving_default'](x=tf.constant([1.0]))['y'][0]) == factor
    assert os.listdir(tmp_path) == ['saved_model']
    assert capsys.readouterr().out == ''


def test_an_export_that_fails_leaves_the_old_one(tmp_path):
    path = str(tmp_path / 'saved_model')
    model = Scale(2.0)
    export.save(model, signatures(model), path)

    def fails(x):
        raise KeyError('no such thing')

    with pytest.raises(KeyError):
        export.save(model, {'bad': (fails, [tf.TensorSpec([], tf.float32, 'x')])}, path)
    loaded = tf.saved_model.load(path).signatures['scale']
    assert loaded(x=tf.constant([1.0]))['y'].numpy().tolist() == [2.0]


def test_a_full_disk_leaves_the_older_one(tmp_path, monkeypatch):
    model = Scale(2.0)
    specs = {'predict': (lambda x: {'y': model(x)}, [tf.TensorSpec([None], name='x')])}
    path = export.save(model, specs, str(tmp_path / 'saved_model'))
    before = sorted(os.listdir(path))

    def full(archive, folder):
        os.makedirs(folder)
        raise tf.errors.ResourceExhaustedError(None, None, 'variables; No space left on device')

    monkeypatch.setattr(tf.keras.export.ExportArchive, 'write_out', full)
    with pytest.raises(OSError, match=f'^{path} cannot be written: the disk is full, .* are free'):
        export.save(model, specs, path)
    assert os.listdir(tmp_path) == ['saved_model'] and sorted(os.listdir(path)) == before
