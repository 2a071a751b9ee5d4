import h5py
import numpy as np
import pytest
import tensorflow as tf

from official.vision import resnet_weights

NAMES = ['a_conv', 'a_bn', 'b_conv', 'b_bn']


@pytest.fixture(scope='module')
def network():
    """Two convolutions and a classifier, with the kinds of layers that residual networks have."""
    x = inputs = tf.keras.Input((None, None, 3))
    for name in 'ab':
        x = tf.keras.layers.Conv2D(2, 1, name=f'{name}_conv')(x)
        x = tf.keras.layers.BatchNormalization(name=f'{name}_bn')(x)
    x = tf.keras.layers.GlobalAveragePooling2D()(x)
    model = tf.keras.Model(inputs, tf.keras.layers.Dense(5, name='predictions')(x))
    rng = np.random.default_rng(0)
    for v in model.variables:
        v.assign(rng.normal(size=v.shape))
    return model


def save(network, path):
    if path.name == 'weights.h5':
        network.save_weights(path)
    else:
        network.save(path)
    return str(path)


@pytest.mark.filterwarnings('ignore')
@pytest.mark.parametrize('name', ['weights.h5', 'model.h5', 'model.keras', 'saved_model'])
def test_all_kinds_of_files(network, name, tmp_path):
    layers = resnet_weights.read(save(network, tmp_path / name), NAMES)
    assert sorted(layers) == sorted(NAMES)  # Without the classifier.
    norm = network.get_layer('b_bn')
    assert sorted(layers['b_bn']) == ['beta', 'gamma', 'moving_mean', 'moving_variance']
    for tensor, value in layers['b_bn'].items():
        np.testing.assert_array_equal(value, getattr(norm, tensor))
    np.testing.assert_array_equal(layers['a_conv']['kernel'], network.get_layer('a_conv').kernel)
    np.testing.assert_array_equal(layers['a_conv']['bias'], network.get_layer('a_conv').bias)


def test_a_file_with_other_names_is_read_in_order(network, tmp_path):
    path = save(network, tmp_path / 'weights.h5')
    layers = resnet_weights.read(path, ['conv1', 'bn1', 'conv2', 'bn2'])
    np.testing.assert_array_equal(layers['conv2']['kernel'], network.get_layer('b_conv').kernel)
    np.testing.assert_array_equal(layers['bn1']['gamma'], network.get_layer('a_bn').gamma)
    assert 'conv1' not in resnet_weights.read(path, ['conv1', 'bn1', 'conv2'])


def test_names_that_keras_wrote_in_parts(network, tmp_path):
    path = save(network, tmp_path / 'weights.h5')
    with h5py.File(path, 'a') as file:
        names = list(file.attrs['layer_names'])
        del file.attrs['layer_names']
        file.attrs['layer_names0'], file.attrs['layer_names1'] = names[:3], names[3:]
    assert sorted(resnet_weights.read(path, NAMES)) == sorted(NAMES)


@pytest.mark.parametrize(
    'make, blocks',
    [
        (tf.keras.applications.ResNet50, (3, 4, 6, 3)),
        (tf.keras.applications.ResNet101, (3, 4, 23, 3)),
    ],
)
def test_names_and_their_order_are_those_of_keras(make, blocks):
    model = make(weights=None, include_top=False)
    assert resnet_weights.layer_names(blocks) == [
        layer.name for layer in model.layers if layer.weights
    ]


def test_files_that_are_none(tmp_path):
    with pytest.raises(FileNotFoundError, match='nowhere.h5: there is no such file'):
        resnet_weights.read(str(tmp_path / 'nowhere.h5'), NAMES)
    (tmp_path / 'text.h5').write_text('no weights')
    with pytest.raises(ValueError, match=r'text\.h5 is neither an \.h5 file nor a model'):
        resnet_weights.read(str(tmp_path / 'text.h5'), NAMES)
    (tmp_path / 'folder').mkdir()
    with pytest.raises(ValueError, match='folder is neither'):
        resnet_weights.read(str(tmp_path / 'folder'), NAMES)
    with h5py.File(tmp_path / 'other.h5', 'w') as file:
        file['data'] = np.zeros(3)
    with pytest.raises(ValueError, match=r'other\.h5 has no layers of Keras'):
        resnet_weights.read(str(tmp_path / 'other.h5'), NAMES)
    whole = (tmp_path / 'other.h5').read_bytes()
    (tmp_path / 'half.h5').write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r'half\.h5 is damaged'):
        resnet_weights.read(str(tmp_path / 'half.h5'), NAMES)


def test_tensors_of_another_network():
    layers = {'conv': {'kernel': np.zeros((3, 3, 8, 16))}, 'extra': {'gamma': np.zeros(2)}}
    assert resnet_weights.tensor('f', layers, 'conv', 'kernel', (3, 3, 8, 16)).shape[-1] == 16
    with pytest.raises(ValueError, match='f has no tensor conv/bias'):
        resnet_weights.tensor('f', layers, 'conv', 'bias', (16,))
    with pytest.raises(ValueError, match='f has no tensor conv2/kernel'):
        resnet_weights.tensor('f', layers, 'conv2', 'kernel', (1,))
    with pytest.raises(ValueError, match=r'f: conv/kernel is \[3, 3, 8, 16\] .* \[1, 1, 8, 16\]'):
        resnet_weights.tensor('f', layers, 'conv', 'kernel', (1, 1, 8, 16))
    resnet_weights.check_none_left('f', layers, ['conv', 'extra'])
    with pytest.raises(ValueError, match='f has extra/gamma, which this network has not'):
        resnet_weights.check_none_left('f', layers, ['conv'])
