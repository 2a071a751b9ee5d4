import dataclasses
import json
import multiprocessing
import os
import pathlib
import re

import pytest

from official.core import run_folder

_ONE = run_folder.Identity(0, False, {'model.Net.units': '3', 'model.Net.noise_std': '0.3'})


def _identity(seed=0, several_seeds=False, **changed):
    bindings = {f'model.Net.{name}': value for name, value in changed.items()}
    return run_folder.Identity(seed, several_seeds, {**_ONE.bindings, **bindings})


def _worked_in(run_dir, identity=_ONE):
    """A run folder with a checkpoint in it."""
    with run_folder.claim(run_dir, identity):
        os.makedirs(os.path.join(run_dir, 'checkpoints'))
        with open(os.path.join(run_dir, 'checkpoints', 'weights'), 'w') as f:
            f.write('precious')
    return run_dir


def _contents(folder):
    return {
        os.path.join(base, name): open(os.path.join(base, name)).read()
        for base, _, names in os.walk(folder)
        for name in names
        if name != '.lock'
    }


def _refused(run_dir, identity, kind, expected, starts=True):
    before = _contents(run_dir) if os.path.isdir(run_dir) else None
    for call in (run_folder.check, lambda *a, **k: run_folder.claim(*a, **k).__enter__()):
        with pytest.raises(kind, match='^' + re.escape(expected)) as caught:
            call(run_dir, identity, starts=starts)
        assert '\n' not in str(caught.value)
    assert before == (_contents(run_dir) if os.path.isdir(run_dir) else None)


def test_a_new_folder_is_made_and_marked(tmp_path):
    run_dir = str(tmp_path / 'runs' / 'x')
    run_folder.check(run_dir, _ONE)
    assert not os.path.exists(run_dir)
    with run_folder.claim(run_dir, _ONE):
        pass
    assert json.loads(pathlib.Path(run_dir, 'run.json').read_text()) == {
        'seed': 0,
        'several_seeds': False,
        'bindings': _ONE.bindings,
        'others': {},
        'data_dir': None,
        'finished': False,
    }


def test_the_same_experiment_goes_on(tmp_path):
    run_dir = _worked_in(str(tmp_path / 'x'))
    with run_folder.claim(run_dir, _ONE):
        pass
    with run_folder.claim(run_dir, _ONE, starts=False):
        pass


@pytest.mark.parametrize(
    'identity, expected',
    [
        (_identity(noise_std='0.2'), 'model.Net.noise_std is 0.3 there and 0.2 here'),
        (_identity(depth='2'), 'model.Net.depth is not bound there and 2 here'),
        (
            run_folder.Identity(0, False, {'model.Net.units': '3'}),
            'model.Net.noise_std is 0.3 there and not bound here',
        ),
        (_identity(seed=1), 'seed is 0 there and 1 here'),
        (_identity(several_seeds=True), 'several_seeds is False there and True here'),
    ],
)
def test_the_folder_of_another_experiment(tmp_path, identity, expected):
    run_dir = _worked_in(str(tmp_path / 'x'))
    message = f'{run_dir} belongs to another experiment: {expected}. Choose another --model_dir.'
    _refused(run_dir, identity, ValueError, message)


def test_an_attempt_that_did_nothing_does_not_keep_its_folder(tmp_path):
    run_dir = str(tmp_path / 'x')
    with run_folder.claim(run_dir, _ONE):
        os.makedirs(os.path.join(run_dir, 'summaries'))
        run_folder.write_text(os.path.join(run_dir, 'config.gin'), 'x')
        run_folder.write_text(os.path.join(run_dir, 'summaries', 'events'), 'x')
        run_folder.write_text(os.path.join(run_dir, 'history.jsonl'), '')
    other = _identity(noise_std='0.2')
    with pytest.raises(ValueError, match='belongs to another experiment'):
        run_folder.check(run_dir, other, starts=False)
    with run_folder.claim(run_dir, other):
        pass
    assert json.loads(pathlib.Path(run_dir, 'run.json').read_text())['bindings'] == other.bindings


def test_a_folder_that_is_not_a_runs(tmp_path):
    (tmp_path / 'thesis.txt').write_text('precious')
    _refused(
        str(tmp_path),
        _ONE,
        FileExistsError,
        f'{tmp_path} is not empty and not a run folder: it has no run.json.',
    )


def test_a_table_begins_in_the_folder_of_cells_that_were_run_by_themselves(tmp_path):
    with run_folder.claim(str(tmp_path / 'cora_gcn'), _ONE):
        pass
    (tmp_path / 'cora_gcn' / 'result.json').write_text('{}')
    other = dataclasses.replace(_ONE, bindings={'suite.Suite.title': "'Table 1'"})
    with run_folder.claim(str(tmp_path), other):
        pass
    assert (tmp_path / 'cora_gcn' / 'result.json').read_text() == '{}'
    os.remove(tmp_path / 'run.json')
    (tmp_path / 'photographs').mkdir()
    _refused(str(tmp_path), other, FileExistsError, f'{tmp_path} is not empty and not a run folder')


def test_what_a_kill_left_of_the_first_write_is_no_obstacle(tmp_path):
    (tmp_path / '.lock').write_text('')
    (tmp_path / 'run.json.partial').write_text('{"se')
    with run_folder.claim(str(tmp_path), _ONE):
        pass


def test_files_in_the_way(tmp_path):
    file = tmp_path / 'file'
    file.write_text('precious')
    for run_dir in (str(file), str(file / 'x' / 'y')):
        _refused(
            run_dir, _ONE, FileExistsError, f'{run_dir} cannot be a run folder: {file} is a file.'
        )
    assert file.read_text() == 'precious'


def test_a_link_that_leads_nowhere(tmp_path):
    link = tmp_path / 'link'
    link.symlink_to(tmp_path / 'gone')
    for run_dir in (str(link), str(link / 'x')):
        _refused(
            run_dir,
            _ONE,
            FileExistsError,
            f'{run_dir} cannot be a run folder: {link} is a link to {tmp_path}/gone, which '
            f'does not exist.',
        )


def test_a_folder_that_cannot_be_written(tmp_path, monkeypatch):
    # Root may write everywhere, so access is what is asked, and /proc is where even root may not.
    monkeypatch.setattr(os, 'access', lambda path, mode: False)
    _refused(
        str(tmp_path / 'x'),
        _ONE,
        PermissionError,
        f'{tmp_path}/x cannot be written: no permission for {tmp_path}.',
    )
    monkeypatch.undo()
    with (
        pytest.raises(PermissionError, match='^/proc/arboretum/x cannot be '),
        run_folder.claim('/proc/arboretum/x', _ONE),
    ):
        pass
    assert not os.path.exists('/proc/arboretum')


def test_a_damaged_run_json(tmp_path):
    run_dir = _worked_in(str(tmp_path / 'x'))
    path = os.path.join(run_dir, 'run.json')
    for text, reason in (
        ('{"seed": 0, "bi', 'is damaged: it is not valid JSON'),
        ('[1]', 'is damaged: it does not hold a JSON object'),
        ('{"seed": 0, "bindings": null}', 'is damaged: "bindings" is None, not'),
        ('{"seed": 0}', 'is damaged: "bindings" is None, not an object'),
    ):
        with open(path, 'w') as f:
            f.write(text)
        _refused(run_dir, _ONE, ValueError, f'{path} {reason}')
    os.remove(path)
    os.mkdir(path)
    _refused(run_dir, _ONE, ValueError, f'{path} is damaged: it is a folder, not a file.')


def test_nothing_to_go_on_with(tmp_path):
    for run_dir in (str(tmp_path), str(tmp_path / 'x')):
        _refused(
            run_dir,
            _ONE,
            FileNotFoundError,
            f'{run_dir} holds no run; train it first.',
            starts=False,
        )


def _try_to_claim(run_dir, answers):
    try:
        with run_folder.claim(run_dir, _ONE):
            answers.put('claimed')
    except BlockingIOError as error:
        answers.put(str(error))


def test_one_process_at_a_time(tmp_path):
    run_dir = str(tmp_path / 'x')
    context = multiprocessing.get_context('spawn')
    answers = context.Queue()
    with run_folder.claim(run_dir, _ONE):
        process = context.Process(target=_try_to_claim, args=(run_dir, answers))
        process.start()
        assert run_folder.holder(run_dir) == str(os.getpid())
        assert answers.get(timeout=20) == (
            f'{run_dir} is in use by another process ({os.getpid()}); wait for it. Choose another '
            f'--model_dir.'
        )
        process.join()
    process = context.Process(target=_try_to_claim, args=(run_dir, answers))
    process.start()
    assert answers.get(timeout=20) == 'claimed'
    process.join()
    assert run_folder.holder(run_dir) is None


def test_a_worker_that_is_not_the_chief_leaves_the_folder_alone(tmp_path):
    with run_folder.claim(str(tmp_path / 'x'), _ONE, write=False):
        pass
    assert not os.path.exists(tmp_path / 'x')


def test_finished(tmp_path):
    run_dir = _worked_in(str(tmp_path / 'x'))
    run_folder.finish(run_dir)
    assert not run_folder.is_finished(run_dir)  # The result is gone, or never was.
    run_folder.write_text(os.path.join(run_dir, 'result.json'), '{}')
    assert run_folder.is_finished(run_dir)
    with run_folder.claim(run_dir, _ONE):
        assert run_folder.is_finished(run_dir)
    assert not run_folder.is_finished(str(tmp_path / 'nowhere'))


def test_what_was_half_written_is_removed_at_the_next_start(tmp_path):
    run_dir = _worked_in(str(tmp_path / 'x'))
    for folder in ('checkpoints', os.path.join('baseline', 'checkpoints'), ''):
        partial = os.path.join(run_dir, folder, '00000020.partial')
        os.makedirs(partial)
        with open(os.path.join(partial, 'weights.data'), 'w') as f:
            f.write('half')
    with open(os.path.join(run_dir, 'result.json.partial'), 'w') as f:
        f.write('{')
    with run_folder.claim(run_dir, _ONE):
        left = [name for _, folders, names in os.walk(run_dir) for name in [*folders, *names]]
    assert not [name for name in left if name.endswith('.partial')]
    assert pathlib.Path(run_dir, 'checkpoints', 'weights').read_text() == 'precious'


def test_parts_name_their_run(tmp_path):
    identities = {
        'one': _ONE,
        'moved': _ONE,
        'seed': _identity(seed=1),
        'other': _identity(units='4'),
    }
    names = {}
    for folder, identity in identities.items():
        with run_folder.claim(str(tmp_path / folder), identity):
            names[folder] = run_folder.name_of(str(tmp_path / folder))
    assert names['one'] == names['moved'] and re.fullmatch('seed 0, [0-9a-f]{12}', names['one'])
    assert len(set(names.values())) == 3
    # A baseline is a part with checkpoints of its own.
    baseline = run_folder.name_of(str(tmp_path / 'one' / 'baseline'))
    assert baseline == names['one'] + ', baseline'
    assert run_folder.name_of(str(tmp_path)) is None
    run_folder.check_part('p', names['one'], str(tmp_path / 'moved'))
    run_folder.check_part('p', None, str(tmp_path / 'one'))  # Of before parts had names.
    run_folder.check_part('p', names['one'], str(tmp_path))  # Without the launcher.
    with pytest.raises(ValueError, match=r'^p belongs to another run \(seed 1, .*not to that of '):
        run_folder.check_part('p', names['seed'], str(tmp_path / 'one'))
