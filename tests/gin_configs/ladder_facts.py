"""Facts of Rasmus et al. (2015) and of the authors' runs, for the test of the Ladder's gin files.

Tables 1, 2, 3 and 5, Secs. 4.1 and 4.2, Appendix B; where the paper is silent, the authors' code.
"""

from __future__ import annotations

import re

from research.ladder import denoisers

# Test error % and standard deviation as the paper prints them; None: not printed (one run).
PAPER = {
    # Table 1, rows, by number of labels.
    'table1/mnist_100_baseline': (21.74, 1.77),
    'table1/mnist_1000_baseline': (5.70, 0.20),
    'table1/mnist_all_baseline': (0.80, 0.03),
    'table1/mnist_100_gamma': (4.34, 2.31),
    'table1/mnist_1000_gamma': (1.71, 0.07),
    'table1/mnist_all_gamma': (0.79, 0.05),
    'table1/mnist_100_bottom': (1.38, 0.49),
    'table1/mnist_1000_bottom': (1.07, 0.06),
    'table1/mnist_all_bottom': (0.61, 0.05),
    'table1/mnist_100_full': (1.13, 0.04),
    'table1/mnist_1000_full': (1.00, 0.06),
    # Section 4.1.1.
    'mnist_50_full': (1.39, 0.55),
    # Table 2.
    'table2/mnist_100_conv_small_baseline': (6.43, 0.84),
    'table2/mnist_all_conv_small_baseline': (0.36, None),
    'table2/mnist_100_conv_fc': (0.91, 0.14),
    'table2/mnist_100_conv_small_gamma': (0.86, 0.41),
    # Table 3, the first as published by Springenberg et al.
    'table3/cifar10_all_conv_pool_cnn_c': (9.31, None),
    'table3/cifar10_4000_baseline': (23.33, 0.61),
    'table3/cifar10_all_baseline': (9.27, None),
    'table3/cifar10_4000_gamma': (20.09, 0.46),
    # Table 5.
    'table5/mnist_100_g': (1.11, 0.07),
    'table5/mnist_1000_g': (1.11, 0.06),
    'table5/mnist_100_g2': (2.03, 0.09),
    'table5/mnist_1000_g2': (1.70, 0.08),
    'table5/mnist_100_g3': (1.49, 0.10),
    'table5/mnist_1000_g3': (1.30, 0.08),
    'table5/mnist_100_g4': (2.90, 1.19),
    'table5/mnist_1000_g4': (2.11, 0.45),
    'table5/mnist_100_g5': (1.06, 0.07),
    'table5/mnist_1000_g5': (1.03, 0.06),
}
ONE_RUN = {name for name, (_, std) in PAPER.items() if std is None}
# Not compared with a cell of their own: the autoencoders have the supervised network's.
OTHERS = {
    'digits_100',
    'validation_mnist_100_full',
    'validation_cifar10_4000_gamma',
    'appendix_b/mnist_100_autoencoder',
    'appendix_b/mnist_1000_autoencoder',
}

MLP = (1000, 500, 250, 250, 250, 10)
FULL = (1000, 10, 0.1, 0.1, 0.1, 0.1, 0.1)
# Multipliers of the denoising cost and hidden noise: Table 1 by the authors' code of July 2015.
SETTINGS = {
    'mnist_50_full': ((2000, 20, 0.01, 0.01, 0.01, 0.01, 0.05), 0.3),
    'table1/mnist_100_full': (FULL, 0.3),
    'table1/mnist_1000_full': (FULL, 0.2),
    'table1/mnist_100_bottom': ((4000, 0, 0, 0, 0, 0, 0), 0.3),
    'table1/mnist_1000_bottom': ((1000, 0, 0, 0, 0, 0, 0), 0.3),
    'table1/mnist_all_bottom': ((500, 0, 0, 0, 0, 0, 0), 0.3),
    'table1/mnist_100_gamma': ((0, 0, 0, 0, 0, 0, 1), 0.3),
    'table1/mnist_1000_gamma': ((0, 0, 0, 0, 0, 0, 5), 0.3),
    'table1/mnist_all_gamma': ((0, 0, 0, 0, 0, 0, 1), 0.3),
    **{f'table1/mnist_{n}_baseline': ((0,) * 7, 0.5) for n in ('100', '1000', 'all')},
    'table2/mnist_100_conv_fc': ((1000, 10, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1), 0.3),
    'table2/mnist_100_conv_small_gamma': ((0,) * 9 + (1,), 0.3),
    'table2/mnist_100_conv_small_baseline': ((0,) * 10, 0.45),
    'table3/cifar10_4000_gamma': ((0,) * 12 + (4,), 0.3),
    'table3/cifar10_4000_baseline': ((0,) * 13, 0.3),
    **{
        f'table5/mnist_{n}_{g}': (FULL, 0.3)
        for n in (100, 1000)
        for g in ('g', 'g2', 'g3', 'g4', 'g5')
    },
    'table5/mnist_1000_g5': ((2000, 20, 0.1, 0.1, 0.1, 0.1, 0.1), 0.3),
    'validation_mnist_100_full': (FULL, 0.3),
    'validation_cifar10_4000_gamma': ((0,) * 12 + (4,), 0.3),
    # The authors' code of November 2015, with g5.
    'authors_later/mnist_50_full': ((2000, 20, 0.1, 0.1, 0.1, 0.1, 0.1), 0.3),
    'authors_later/mnist_100_bottom': ((5000, 0, 0, 0, 0, 0, 0), 0.3),
    'authors_later/mnist_100_gamma': ((0, 0, 0, 0, 0, 0, 0.5), 0.3),
    'authors_later/mnist_1000_full': ((2000, 20, 0.1, 0.1, 0.1, 0.1, 0.1), 0.2),
    'authors_later/mnist_1000_bottom': ((2000, 0, 0, 0, 0, 0, 0), 0.3),
    'authors_later/mnist_1000_gamma': ((0, 0, 0, 0, 0, 0, 10), 0.3),
    'authors_later/mnist_all_full': ((1000, 1, 0.01, 0.01, 0.01, 0.01, 0.01), 0.3),
    'authors_later/mnist_all_bottom': ((2000, 0, 0, 0, 0, 0, 0), 0.3),
    'authors_later/mnist_all_gamma': ((0, 0, 0, 0, 0, 0, 2), 0.3),
}
LATER = {name for name in SETTINGS if name.startswith('authors_later')}
OTHERS |= LATER
# Epochs, and how many of them before the learning rate falls; else 150 and 100.
EPOCHS = {
    'table2/mnist_100_conv_small_baseline': (20, 10),
    'table3/cifar10_4000_gamma': (70, 60.2),
    'validation_cifar10_4000_gamma': (70, 60.2),
    'table3/cifar10_4000_baseline': (20, 10),
}
DENOISERS = {
    'g2': denoisers.NoAugmentedTerm,
    'g3': denoisers.Linear,
    'g4': denoisers.AdditiveMean,
    'g5': denoisers.Gaussian,
}
# Bindings that are the house's and no fact of the paper.
NOT_THE_PAPERS = {
    'Run.experiment',
    'KerasExperiment.steps_per_execution',
    'KerasExperiment.signatures',
    'KerasExperiment.reporter',
    'KerasExperiment.title',
    'KerasExperiment.reference',
}


def denoiser_of(name):
    kind = 'g5' if name in LATER else name.rpartition('_')[2]
    return DENOISERS.get(kind, denoisers.MiniatureMLP)


def labels_of(name):
    """Number of labels in a file's name; None: all."""
    labels = re.search(r'(mnist|cifar10)_(\d+|all)', name)[2]
    return None if labels == 'all' else int(labels)


def facts(name):
    """Bindings of a run by the paper, or by the authors' code where it is silent."""
    cifar10, conv = 'cifar10' in name, 'cifar10' in name or 'conv' in name
    validation = 10_000 if name.startswith('validation') else 0
    an_epoch = ((50_000 if cifar10 else 60_000) - validation) // 100
    epochs, constant = EPOCHS.get(name, (150, 100))
    expected = {
        'Run.num_seeds': 1 if name in ONE_RUN else 5 if cifar10 else 10,
        'KerasExperiment.model': '@research.ladder.model.LadderNetwork',
        'KerasExperiment.optimizer': '@official.modeling.optimizers.FusedAdam',
        'KerasExperiment.data': '@research.ladder.data.SemiSupervisedData',
        'KerasExperiment.train_steps': epochs * an_epoch,
        'KerasExperiment.save_every_steps': an_epoch,
        'KerasExperiment.calibrate': True,
        'KerasExperiment.split': 'validation' if validation else 'test',
        'KerasExperiment.monitor_split': 'validation' if validation else 'test',
        'FusedAdam.learning_rate': '@official.modeling.schedules.ConstantThenLinear()',
        'ConstantThenLinear.learning_rate': 0.002,
        'ConstantThenLinear.decay_start': round(constant * an_epoch),
        'ConstantThenLinear.decay_end': epochs * an_epoch,
        'SemiSupervisedData.source': '@official.data.'
        + ('tfds_images.cifar10' if cifar10 else 'mnist.load'),
        'SemiSupervisedData.labelled_batch': 100,
        'SemiSupervisedData.unlabelled_batch': 100,
        'LadderNetwork.encoder': MLP,
        'LadderNetwork.input_shape': (784,),
        'LadderNetwork.noise_std': 0.3,
    }
    if labels_of(name):
        expected['SemiSupervisedData.num_labels'] = labels_of(name)
    if validation:
        expected['SemiSupervisedData.validation_size'] = validation
    if conv:
        encoder = 'conv_large' if cifar10 else 'conv_fc' if 'conv_fc' in name else 'conv_small'
        expected |= {
            'SemiSupervisedData.flatten': False,
            'LadderNetwork.encoder': f'@research.ladder.architectures.{encoder}()',
            'LadderNetwork.input_shape': (32, 32, 3) if cifar10 else (28, 28, 1),
        }
    if cifar10:
        expected |= {
            'SemiSupervisedData.preprocess': '@official.data.whitening.fit',
            'fit.scale': 55.0,
            'fit.diagonal': 0.1,
            'LadderNetwork.top_scale': False,
        }
    if name in SETTINGS:
        costs, hidden_noise = SETTINGS[name]
        expected |= {
            'LadderNetwork.denoising_costs': costs,
            'LadderNetwork.hidden_noise_std': hidden_noise,
        }
        if any(costs):
            expected['LadderNetwork.denoiser'] = (
                f'@research.ladder.denoisers.{denoiser_of(name).__name__}'
            )
    if name in ONE_RUN:
        expected |= reference_facts(name, expected)
    if 'autoencoder' in name:
        expected |= {'KerasExperiment.model': '@research.ladder.autoencoder.Autoencoder'}
        expected |= {
            f'Autoencoder.{parameter}': value
            for parameter, value in {
                'units': MLP,
                'input_shape': (784,),
                'attach_to': 1,
                'reconstruction_weight': 1000.0,
                'noise_std': 0.3,
                'hidden_noise_std': 0.5,
            }.items()
        }
    return expected


def reference_facts(name, expected):
    """The supervised networks with dropout and all labels, of one run each."""
    published = 'conv_pool_cnn_c' in name  # By Springenberg et al.
    cifar10 = 'cifar10' in name
    model = {
        'encoder': expected['LadderNetwork.encoder'],
        'input_shape': expected['LadderNetwork.input_shape'],
        'batch_norm': not published,
        'input_dropout': 0.2,
        'pool_dropout': 0.5,
    }
    if published:
        model |= {
            'encoder': '@research.ladder.conv_pool_cnn_c.conv_pool_cnn_c()',
            'weight_decay': 0.001,
        }
    elif cifar10:
        model['top_scale'] = False
    network = 'research.ladder.conv_pool_cnn_c.ConvPoolCNN'
    changed = {
        'KerasExperiment.model': f'@{network}',
        **{f'ConvPoolCNN.{parameter}': value for parameter, value in model.items()},
    }
    if not cifar10:  # The network of the shared part is not used.
        changed |= {'LadderNetwork.encoder': MLP, 'LadderNetwork.input_shape': (784,)}
    if published:  # 350 epochs of 500 updates; the schedule of the shared part is not used.
        changed |= {
            'KerasExperiment.train_steps': 175_000,
            'KerasExperiment.optimizer': '@tensorflow.keras.optimizers.SGD',
            'SGD.momentum': 0.9,
            'SGD.learning_rate': '@tensorflow.keras.optimizers.schedules.PiecewiseConstantDecay()',
            'PiecewiseConstantDecay.boundaries': (100_000, 125_000, 150_000),
            'PiecewiseConstantDecay.values': (0.05, 0.005, 0.0005, 0.00005),
            'ConstantThenLinear.decay_start': 30_100,
            'ConstantThenLinear.decay_end': 35_000,
        }
    return changed
