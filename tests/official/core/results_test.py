import pytest

from official.core import results


def _result(seed, error, baseline):
    return {
        'step': 100,
        'seed': seed,
        'test_error_percent': error,
        'test_loss': 0.5 * error,
        'confusion_matrix': [[seed]],
        'class_names': ['a', 'b'],
        'train_seconds': 10.0 + seed,
        'reference': {'cell': 'Table 1, 100 labels', 'test_error_percent': 1.06, 'std': 0.37},
        'baseline': {'seed': seed, 'test_error_percent': baseline},
    }


def test_average_against_numbers_by_hand():
    # Deviations from the mean 3: -2, -1, 3; squares 1 + 4 + 9 = 14; 14 / (3 - 1) = 7.
    averaged = results.average(
        [_result(4, 1.0, 20.0), _result(5, 2.0, 21.0), _result(6, 6.0, 25.0)]
    )
    assert averaged['test_error_percent'] == {
        'mean': 3.0,
        'std': pytest.approx(7**0.5),
        'median': 2.0,
        'values': [1.0, 2.0, 6.0],
    }
    assert averaged['test_loss']['mean'] == 1.5
    assert averaged['baseline']['test_error_percent'] == {
        'mean': 22.0,
        'std': pytest.approx(7**0.5),
        'median': 21.0,
        'values': [20.0, 21.0, 25.0],
    }
    assert averaged['train_seconds']['mean'] == 15.0
    assert averaged['num_seeds'] == 3 and averaged['seeds'] == [4, 5, 6]
    assert averaged['reference']['test_error_percent'] == 1.06
    assert averaged['class_names'] == ['a', 'b']
    assert 'step' not in averaged and 'confusion_matrix' not in averaged
    assert 'seed' not in averaged['baseline']


def test_a_metric_that_one_seed_lacks_is_left_out():
    averaged = results.average([{'seed': 0, 'a': 1.0, 'b': 2.0}, {'seed': 1, 'a': 3.0}])
    assert 'b' not in averaged and averaged['a']['mean'] == 2.0


def test_on_what_was_measured_is_told_beside_the_numbers():
    each = [
        {'seed': seed, 'test_fid': 8.0 + seed, 'measured_on': '5 sets of 100 samples'}
        for seed in (0, 2)
    ]
    assert results.lines(each[0]) == ['test FID 8', 'measured on 5 sets of 100 samples']
    averaged = results.average(each)
    assert averaged['measured_on'] == '5 sets of 100 samples'
    assert results.lines(averaged)[1] == 'measured on 5 sets of 100 samples'


def test_lines_of_several_seeds():
    # Mean 1.13, median 1.12; deviations -0.03, -0.01, 0.04; squares 0.0026 / 2 = 0.0013.
    each = [_result(s, error, 20.0) for s, error in enumerate((1.10, 1.12, 1.17))]
    assert results.lines(results.average(each)) == [
        'test error 1.13 % (±0.04 %, median 1.12 %, 3 seeds)',
        'test loss 0.565 (±0.01803, median 0.56, 3 seeds)',
        'baseline test error 20.00 % (±0.00 %, median 20.00 %, 3 seeds)',
        'paper test error 1.06 % (±0.37 %, Table 1, 100 labels)',
    ]


def test_lines_of_one_seed():
    assert results.lines(_result(0, 3.421, 20.0)) == [
        'test error 3.42 %',
        'test loss 1.71',
        'baseline test error 20.00 %',
        'paper test error 1.06 % (±0.37 %, Table 1, 100 labels)',
    ]
    assert results.lines({'step': 1, 'seed': 0, 'score': 400}) == ['score 400']
    # The deviation is the mean's, not the median's.
    reference = {'cell': 'Table 1', 'test_error': 4.0, 'median_test_error': 2.0, 'std': 1.0}
    assert results.lines({'test_error': 3.0, 'reference': reference}) == [
        'test error 3',
        'paper test error 4 (±1, Table 1)',
        'paper median test error 2 (Table 1)',
    ]
