"""The arithmetic of the benchmark of graph networks and its complaints; nothing is timed."""

from __future__ import annotations

import sys

import pytest

from benchmarks import geometric, geometric_data

CORA = geometric_data.SIZES['cora']


def test_parameters_counted_by_hand():
    # 1433 x 16 + 16 and 16 x 7 + 7.
    assert geometric.parameters('gcn', CORA) == 22_928 + 16 + 112 + 7
    # 1433 x 64, two vectors a and b of 64, and 64 x 7, two vectors and b of 7.
    assert geometric.parameters('gat', CORA) == 91_712 + 3 * 64 + 448 + 3 * 7
    # 30 bases and W_0 of 23 644 x 16, a of 46 x 30, b of 16; and the same of 16 x 2.
    assert geometric.parameters('rgcn', geometric_data.SIZES['mutag']) == (
        31 * 23_644 * 16 + 1380 + 16 + 31 * 32 + 1380 + 2
    )


def test_work_counted_by_hand():
    assert geometric.product(2, 3, 5) == (60, 4 * (6 + 15 + 10))
    # 7 entries, each a value, an index and a row of 3; 2 rows of 3 come out.
    assert geometric.sparse_product(7, 2, 3) == (42, 4 * (7 * (1 + 1 + 3) + 6))
    # Two heads: two values an entry.
    assert geometric.sparse_product(7, 2, 4, heads=2).bytes == 4 * (7 * (2 + 1 + 4) + 8)
    assert geometric.adam(10).bytes == 280
    work = geometric.Work(1, 2) + geometric.Work(10, 20)
    assert work == (11, 22) and work * 3 == (33, 66)


def test_work_of_an_epoch_of_gcn_on_cora():
    # Features: 49 216 words x 16, forward and back. Edges: 10 556 + 2 708 self loops, of 16 and of
    # 7, forward and back. 2 708 x 16 x 7 forward, and twice back. Adam: 12 a parameter.
    multiplications = 2 * 49_216 * 16 + 2 * 13_264 * (16 + 7) + 3 * 2_708 * 112
    assert geometric.epoch_work('gcn', CORA).flops == 2 * multiplications + 12 * 23_063


def test_floor_is_of_what_takes_longer():
    peaks = {'gflop_per_s': 100.0, 'gbyte_per_s': 10.0}
    assert geometric.floor_s(geometric.Work(10**9, 10**9), peaks) == pytest.approx(0.1)
    assert geometric.floor_s(geometric.Work(10**9, 10**7), peaks) == pytest.approx(0.01)


def run(seconds, loss=0.5, parameters=23_063, peak_mb=500.0):
    return {
        'seconds': seconds,
        'loss': loss,
        'parameters': parameters,
        'memory': {'peak_mb': peak_mb, 'libraries_mb': 300.0},
    }


RUNS = {
    'arboretum': [run(0.5), run(0.4), run(1.0)],
    'plain': [run(6.0), run(4.0), run(9.0)],
    'fastest': [run(1.5, 0.7), run(1.0, 0.6), run(2.0, 0.4)],
}
PEAKS = {'gflop_per_s': 100.0, 'gbyte_per_s': 50.0}


def test_summary():
    numbers = geometric.summary('gcn_cora', 200, CORA, RUNS, PEAKS)
    ours = numbers['contestants']['arboretum']
    assert (ours['median_s'], ours['lowest_s'], ours['highest_s']) == (0.5, 0.4, 1.0)
    assert numbers['contestants']['fastest']['loss'] == 0.6
    assert ours['peak_mb'] == 500 and ours['libraries_mb'] == 300
    assert numbers['over_arboretum']['plain']['of_medians'] == pytest.approx(12)
    assert numbers['over_arboretum']['plain']['median'] == pytest.approx(10)  # of 12, 10, 9
    assert numbers['paper_s'] == 0.7 and numbers['dgl_s'] == 4.2
    work = geometric.epoch_work('gcn', CORA)
    assert numbers['floor_s'] == pytest.approx(200 * work.bytes / 50e9)
    assert numbers['floor_fraction'] == pytest.approx(numbers['floor_s'] / 0.5)


def test_other_numbers_of_parameters_are_refused():
    runs = RUNS | {'plain': [run(1.0, parameters=5)] * 3}
    with pytest.raises(
        SystemExit, match='gcn_cora: torch-geometric, plain trains 5 parameters, not 23063'
    ):
        geometric.summary('gcn_cora', 200, CORA, runs, PEAKS)


def text_of(epochs=200, runs=RUNS, fastest=None):
    row = geometric.summary('gcn_cora', epochs, CORA, runs, PEAKS)
    tried = fastest and {'seconds': {'a': 1, 'b': 2}, 'fastest': fastest}
    return geometric.table(
        {
            'workloads': {
                'gcn_cora': row | {'graph': 'a SYNTHETIC graph', 'tried': tried, 'threads': 1}
            },
            'peaks': PEAKS,
        }
    )


def test_table_says_what_was_measured():
    text = text_of(fastest={'features': 'csr', 'threads': 1})
    lines = text.splitlines()
    assert lines[0] == 'gcn_cora, 200 epochs, 23063 parameters, a SYNTHETIC graph'
    assert lines[2].split() == ['Arboretum', '0.500', '0.400', '1.000', '500', '300', '0.500']
    assert (
        'torch-geometric, plain, over Arboretum: 12.0 of the medians; of the rounds 10.0 '
        '(9.0 to 12.0)'
    ) in lines
    assert 'Fastest form of 2: csr features, 1 threads' in lines
    assert 'The paper, on a GPU: PyTorch Geometric 0.7 s, DGL 4.2 s' in lines
    assert 'losses differ' not in text


def test_table_of_fewer_epochs_leaves_the_paper_s_out():
    assert 'The paper' not in text_of(epochs=20)


def test_table_names_trainings_that_are_not_the_same():
    assert 'The losses differ' in text_of(runs=RUNS | {'plain': [run(1.0, loss=1.9)] * 3})


def test_unknown_memory_is_no_number():
    runs = {'arboretum': [run(1.0, peak_mb=None)]}
    text = text_of(runs=runs)
    assert text.splitlines()[2].split() == [
        'Arboretum',
        '1.000',
        '1.000',
        '1.000',
        '?',
        '300',
        '0.500',
    ]


def test_contestants_of_a_workload_take_turns_on_one_file(monkeypatch):
    called = []

    def worker(command):
        script = next(word.rpartition('/')[2] for word in command if word.endswith('.py'))
        called.append(
            (
                script,
                *command[
                    command.index(next(word for word in command if word.endswith('.py'))) + 1 :
                ],
            )
        )
        libraries = {'libraries': {script: '1'}}
        if script == 'peak.py':
            return {'gflop_per_s': [50, len(called)], 'gbyte_per_s': [10]} | libraries
        if '--find' in command:
            return {
                'seconds': {'csr': 1.0},
                'failed': {},
                'fastest': {'features': 'csr', 'edges': 'csc', 'threads': 1},
            } | libraries
        return run(0.5 if command[-1] == '--threads=1' else 1.0) | libraries

    monkeypatch.setattr(geometric.contest, 'run_worker', worker)
    monkeypatch.setattr(geometric.contest, 'processors', lambda: 2)
    graphs = {'cora': (geometric_data.synthetic(CORA), 'here')}
    numbers = geometric.measure(['gcn_cora'], 2, None, graphs, '/torch/python')
    scripts = [script for script, *_ in called]
    turn = ['geometric_tensorflow.py', 'geometric_torch.py', 'geometric_torch.py']
    assert scripts == [
        'peak.py',
        *4 * ['geometric_tensorflow.py'],
        'geometric_torch.py',
        *turn,
        *turn,
        'peak.py',
    ]
    assert called[5][-3:] == ('--find', '--epochs=10', '--threads=2')
    # The faster of one thread and of two.
    assert called[6][3:] == ('--epochs=200', '--warm_up=10', '--threads=1')
    assert numbers['workloads']['gcn_cora']['threads'] == 1
    assert called[7][3:] == ('--epochs=200', '--warm_up=10', '--threads=2')
    assert called[8][3:] == (
        '--epochs=200',
        '--warm_up=10',
        '--features=csr',
        '--edges=csc',
        '--threads=1',
    )
    assert len({words[2] for words in called[1:-1]}) == 1
    assert numbers['peaks'] == {'gflop_per_s': 50, 'gbyte_per_s': 20}
    assert numbers['workloads']['gcn_cora']['graph'] == 'here'
    assert geometric.table(numbers)


@pytest.mark.parametrize(
    'argument, complaint',
    [
        ('--rounds=0', '--rounds'),
        ('--epochs=many', '--epochs'),
        ('--only=gcn_cora,gcn_paris', "'gcn_paris' is none of gcn_cora"),
        ('--data_dir=/nowhere/else', 'no such folder'),
        ('--json=/nowhere/else/x.json', '--json'),
    ],
)
def test_bad_argument(monkeypatch, capsys, argument, complaint):
    monkeypatch.setattr(sys, 'argv', ['geometric.py', '--torch_python=none', argument])
    with pytest.raises(SystemExit):
        geometric.main()
    assert complaint in capsys.readouterr().err
