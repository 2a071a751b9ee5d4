"""Numbers that no network can have are refused where it is made, in one sentence."""

import re

import pytest

from research.ladder import autoencoder, conv_pool_cnn_c, layers, model

NEVER, COUNT = 'is outside [0, inf).', 'must be a whole number of at least 1.'


def ladder(**arguments):
    return model.LadderNetwork(
        **{'encoder': (4, 3), 'input_shape': (5,), 'denoising_costs': (1.0, 1.0, 1.0), **arguments}
    )


@pytest.mark.parametrize(
    'make, sentence',
    [
        (lambda: ladder(noise_std=-1.0), f'LadderNetwork.noise_std = -1.0 {NEVER}'),
        (lambda: ladder(noise_std=float('nan')), f'LadderNetwork.noise_std = nan {NEVER}'),
        (lambda: ladder(hidden_noise_std=-1), f'LadderNetwork.hidden_noise_std = -1 {NEVER}'),
        (
            lambda: ladder(denoising_costs=(1.0, -0.1, 0.0)),
            f'LadderNetwork.denoising_costs[1] = -0.1 {NEVER}',
        ),
        (
            lambda: ladder(denoising_costs=(float('inf'), 0.0, 0.0)),
            f'LadderNetwork.denoising_costs[0] = inf {NEVER}',
        ),
        (lambda: ladder(encoder=(0, 3)), f'LadderNetwork.encoder[0] = 0 {COUNT}'),
        (lambda: ladder(encoder=(4, -3)), f'LadderNetwork.encoder[1] = -3 {COUNT}'),
        (lambda: autoencoder.Autoencoder(noise_std=-1.0), f'Autoencoder.noise_std = -1.0 {NEVER}'),
        (
            lambda: autoencoder.Autoencoder(hidden_noise_std=-1.0),
            f'Autoencoder.hidden_noise_std = -1.0 {NEVER}',
        ),
        (lambda: layers.DenseRung(0), f'DenseRung.units = 0 {COUNT}'),
        (lambda: layers.ConvRung(0, 3), f'ConvRung.filters = 0 {COUNT}'),
        (lambda: layers.ConvRung(3, 0), f'ConvRung.kernel_size = 0 {COUNT}'),
        (
            lambda: layers.ConvRung(3, 3, padding=-1),
            'ConvRung.padding = -1 must be a whole number of at least 0.',
        ),
        (
            lambda: conv_pool_cnn_c.ConvPoolCNN(input_dropout=-1.0),
            'ConvPoolCNN.input_dropout = -1.0 is outside [0, 1).',
        ),
        (
            lambda: conv_pool_cnn_c.ConvPoolCNN(pool_dropout=1.0),
            'ConvPoolCNN.pool_dropout = 1.0 is outside [0, 1).',
        ),
        (
            lambda: conv_pool_cnn_c.ConvPoolCNN(weight_decay=-1.0),
            f'ConvPoolCNN.weight_decay = -1.0 {NEVER}',
        ),
    ],
)
def test_is_refused(make, sentence):
    with pytest.raises(ValueError, match=f'^{re.escape(sentence)}$'):
        make()
