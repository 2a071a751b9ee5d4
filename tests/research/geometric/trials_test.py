import json
import os
import pathlib
import signal

import numpy as np
import pytest
import tensorflow as tf

from official.core import checkpoints
from official.core import model as core_model
from research.geometric import trials
from tests.official.core import toy


class Data:
    class_names = ('no', 'yes')


class Line(core_model.Model):
    """x times one weight."""

    def __init__(self, seed=0):
        super().__init__(seed=seed)
        self.weight = self.add_weight('weight', [], initializer='zeros')
        self.built = True

    def call(self, x):
        return x * self.weight


class Toy(trials.Trials):
    """Trial i measures 10 i + 1 and has the weight i + 5."""

    def __init__(self, run_dir, seed=0, fails_at=None, steps=3, **kwargs):
        super().__init__(run_dir, seed, signatures=self._signatures, **{'num_trials': 3, **kwargs})
        self.data, self.fails_at, self.steps, self.ran = Data(), fails_at, steps, []
        self.use_model(Line())

    @staticmethod
    def _signatures(model, data):
        spec = tf.TensorSpec([None], tf.float32, 'x')
        return {'predict': (lambda x: {'y': model(x)}, [spec])}

    def settings(self):
        return {**super().settings(), 'steps': self.steps, 'shape': (1, 2)}

    def run_trial(self, index):
        if index == self.fails_at:
            raise RuntimeError('killed')
        self.ran.append(index)
        self.model.weight.assign(index + 5.0)
        self.save_model(index, [{'step': step, 'validation_loss': 1.0 / step} for step in (1, 2)])
        return {
            'test_accuracy_percent': 10.0 * index + 1,
            'confusion_matrix': [[index, 1], [0, 2]],
            'note': 'kept',
        }


def test_averages_and_sums(tmp_path):
    run = Toy(str(tmp_path), seed=4, reference={'cell': 'Table 2', 'test_accuracy_percent': 12.0})
    run.train()
    result = run.evaluate()
    assert result['num_seeds'] == 3 and result['seeds'] == [4, 5, 6]
    assert result['test_accuracy_percent'] == {
        'mean': 11.0,
        'std': 10.0,
        'median': 11.0,
        'values': [1.0, 11.0, 21.0],
    }
    assert result['confusion_matrix'] == [[3, 3], [0, 6]]
    assert result['class_names'] == ['no', 'yes']
    assert result['reference'] == {'cell': 'Table 2', 'test_accuracy_percent': 12.0}
    assert 'note' not in result and 'trial' not in result
    with open(tmp_path / 'result.json') as f:
        assert json.load(f) == result


def test_goes_on_with_the_first_missing_trial(tmp_path):
    killed = Toy(str(tmp_path), fails_at=2)
    with pytest.raises(RuntimeError, match='killed'):
        killed.train()
    with pytest.raises(FileNotFoundError, match=r'trials\.jsonl has 2 of 3 trials: train first'):
        killed.evaluate()
    resumed = Toy(str(tmp_path))
    resumed.train()
    assert killed.ran == [0, 1] and resumed.ran == [2]
    assert resumed.evaluate()['test_accuracy_percent']['values'] == [1.0, 11.0, 21.0]
    again = Toy(str(tmp_path))
    again.train()
    assert again.ran == []


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_at_once_and_says_where_it_goes_on(tmp_path, capsys, number):
    class Asked(Toy):
        def run_trial(self, index):
            if index == 2:
                os.kill(os.getpid(), number)
            return super().run_trial(index)

    asked = Asked(str(tmp_path))
    with toy.signals_heard():
        before = signal.getsignal(number)
        with pytest.raises(SystemExit) as end:
            asked.train()
        assert signal.getsignal(number) is before
    assert end.value.code == 128 + number and asked.ran == [0, 1]
    assert (
        f'Stopped by {number.name} after 2 of 3 trials; the same command goes on from '
        f'{tmp_path}/trials.jsonl.'
    ) in capsys.readouterr().err
    resumed = Toy(str(tmp_path))
    resumed.train()
    assert resumed.ran == [2]


def test_more_trials_in_the_same_folder(tmp_path):
    Toy(str(tmp_path)).train()
    more = Toy(str(tmp_path), num_trials=5)
    more.train()
    assert more.ran == [3, 4]
    assert Toy(str(tmp_path), num_trials=2).evaluate()['num_seeds'] == 2


def test_one_trial_is_not_averaged(tmp_path):
    run = Toy(str(tmp_path), num_trials=1)
    run.train()
    result = run.evaluate()
    assert result['test_accuracy_percent'] == 1.0 and result['seed'] == 0
    assert result['confusion_matrix'] == [[0, 1], [0, 2]]
    assert 'Curves of the first trial' not in pathlib.Path(run.report()).read_text()


@pytest.mark.parametrize(
    'change, message',
    [({'seed': 1}, 'seed is 0 there and 1 here'), ({'steps': 7}, 'steps is 3 there and 7 here')],
)
def test_trials_of_other_settings_are_refused(tmp_path, change, message):
    Toy(str(tmp_path)).train()
    for method in ('train', 'evaluate'):
        with pytest.raises(ValueError, match=f'trials.jsonl has trials of other .*: {message}'):
            getattr(Toy(str(tmp_path), **change), method)()


@pytest.mark.parametrize(
    'text, message',
    [
        ('{"trial": 0}\n', 'line 1, does not hold the settings'),
        ('', 'line 1, does not hold the settings'),
        (
            '{"settings": {"seed": 0, "steps": 3, "shape": [1, 2]}}\n{"trial": 0, "x"\n',
            'line 2, is not valid JSON',
        ),
        (
            '{"settings": {"seed": 0, "steps": 3, "shape": [1, 2]}}\n[3]\n',
            'line 2, is no JSON object',
        ),
        (
            '{"settings": {"seed": 0, "steps": 3, "shape": [1, 2]}}\n{"trial": "a"}\n',
            'line 2, has no integer "trial"',
        ),
    ],
)
def test_damaged_file(tmp_path, text, message):
    (tmp_path / 'trials.jsonl').write_text(text)
    with pytest.raises(ValueError, match='trials.jsonl, ' + message):
        Toy(str(tmp_path)).train()


def test_no_trials():
    with pytest.raises(ValueError, match='num_trials = 0 must be at least 1'):
        Toy('nowhere', num_trials=0)
    with pytest.raises(ValueError, match='num_trials = 3 is too large for seed 4294967294: the '):
        Toy('nowhere', 2**32 - 2, num_trials=3)


def test_first_model_is_exported_and_reported(tmp_path):
    seen = []

    def reporter(model, data, key):
        seen.append((float(model.weight), data.class_names, key.shape))
        return []

    with pytest.raises(FileNotFoundError, match='checkpoints has no checkpoint: train first'):
        Toy(str(tmp_path)).export()
    run = Toy(str(tmp_path), reporter=reporter)
    run.train()
    run.evaluate()
    assert float(run.model.weight) == 7.0  # The last trial's.
    text = pathlib.Path(run.report()).read_text()
    assert seen == [(5.0, ('no', 'yes'), (1, 2))]
    assert 'Curves of the first trial' in text and 'Confusion matrix' in text
    loaded = tf.saved_model.load(Toy(str(tmp_path)).export())
    np.testing.assert_allclose(
        loaded.signatures['predict'](x=tf.constant([1.0, 2.0]))['y'], [5.0, 10.0]
    )


def test_damaged_checkpoint(tmp_path):
    run = Toy(str(tmp_path))
    run.train()
    file = os.path.join(run._checkpoints.path(0), 'weights.data-00000-of-00001')
    with open(file, 'r+b') as f:
        f.truncate(os.path.getsize(file) // 2)
    with pytest.raises(checkpoints.CheckpointError, match='cut short'):
        Toy(str(tmp_path)).export()
