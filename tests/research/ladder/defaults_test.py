"""Without a gin file the classes have the values that the paper states."""

import pytest

from research.ladder import autoencoder, data, denoisers, model
from tests import conformance

# Sec. 4.1: layers 784-1000-500-250-250-250-10, batches of 100, noise and multipliers of the full
# Ladder with 100 labels; Eq. (1): the denoising function.
PAPER = {
    model.LadderNetwork: {
        'encoder': (1000, 500, 250, 250, 250, 10),
        'input_shape': (784,),
        'denoising_costs': (1000.0, 10.0, 0.1, 0.1, 0.1, 0.1, 0.1),
        'noise_std': 0.3,
        'hidden_noise_std': 0.3,
        'denoiser': denoisers.MiniatureMLP,
        'top_scale': True,
    },
    data.SemiSupervisedData: {'labelled_batch': 100, 'unlabelled_batch': 100},
}


@pytest.mark.parametrize('owner', PAPER, ids=lambda owner: owner.__name__)
def test_defaults(owner):
    conformance.assert_defaults(owner, PAPER[owner])


def test_the_autoencoder_is_of_the_ladders_sizes():
    """Appendix B, "Results": a decoder attached to the MLP of the other experiments."""
    conformance.assert_defaults(
        autoencoder.Autoencoder,
        {'units': PAPER[model.LadderNetwork]['encoder'], 'input_shape': (784,)},
    )
