"""Without a gin file the classes have the values that the paper states."""

import inspect
import sys

import pytest

from research.ladder import autoencoder
from research.ladder import data
from research.ladder import denoisers
from research.ladder import model

# Sec. 4.1: "layer sizes 784-1000-500-250-250-250-10", batches of 100, the multipliers of the full
# Ladder with 100 labels and noise of 0.3; Eq. (2) of App. B's denoiser is the miniature MLP's.
PAPER = {
    model.LadderNetwork: {
        'encoder': (1000, 500, 250, 250, 250, 10), 'input_shape': (784,),
        'denoising_costs': (1000., 10., .1, .1, .1, .1, .1), 'noise_std': .3,
        'hidden_noise_std': .3, 'denoiser': denoisers.MiniatureMLP, 'top_scale': True},
    data.SemiSupervisedData: {'labelled_batch': 100, 'unlabelled_batch': 100},
}


@pytest.mark.parametrize('owner', PAPER, ids=lambda owner: owner.__name__)
def test_defaults(owner):
    parameters = inspect.signature(owner.__init__).parameters
    assert {name: parameters[name].default for name in PAPER[owner]} == PAPER[owner]


def test_the_autoencoder_is_of_the_ladders_sizes():
    """Appendix B, "the same architecture"."""
    parameters = inspect.signature(autoencoder.Autoencoder.__init__).parameters
    assert tuple(parameters['units'].default) == PAPER[model.LadderNetwork]['encoder']
    assert parameters['input_shape'].default == (784,)


if __name__ == '__main__':
    raise SystemExit(pytest.main([__file__, *sys.argv[1:]]))
