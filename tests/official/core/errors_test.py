import json
import sys

from official.core import errors


def _caught(function):
    try:
        function()
    except Exception as error:
        return error
    raise AssertionError('nothing was raised')


def test_near_matches():
    assert errors.did_you_mean('--gin_fil', ['--gin_file', '--mode', '--seed']) == (
        '; did you mean --gin_file?'
    )
    names = ['model.LadderNetwork', 'runner.Run', 'schedules.Constant']
    assert errors.did_you_mean('LaderNetwork', names) == '; did you mean model.LadderNetwork?'
    assert errors.did_you_mean('laddernetwork', names) == '; did you mean model.LadderNetwork?'


def test_no_near_match_lists_what_there_is_if_it_is_little():
    assert errors.did_you_mean('xyz', ['b', 'a']) == '; there is a, b.'
    assert errors.did_you_mean('xyz', [f'name_{i}' for i in range(9)]) == '.'
    assert errors.did_you_mean('xyz', []) == '.'


def test_what_this_project_raises_is_a_sentence():
    def bad_path():
        raise FileNotFoundError('data/x.gz does\n   not exist.')

    def wrapped():
        try:
            json.loads('{')
        except ValueError as error:
            raise ValueError('x.json is damaged.') from error

    def in_context():
        with open(__file__):
            bad_path()

    assert errors.sentence(_caught(bad_path)) == 'data/x.gz does not exist.'
    assert errors.sentence(_caught(wrapped)) == 'x.json is damaged.'
    assert errors.sentence(_caught(in_context)) == 'data/x.gz does not exist.'


def test_of_what_a_graph_raises_the_frames_are_not_shown():
    """Keras and AutoGraph put frames before the message and arguments behind it."""
    import tensorflow as tf

    class Refusing(tf.keras.layers.Layer):
        def call(self, x):
            raise ValueError('Refusing.rate = 2 is outside [0, 1).')

    layer = Refusing()
    graph = tf.function(lambda: layer(tf.zeros([1])))
    inner = tf.function(lambda: graph())
    for function in (graph, inner, lambda: layer(tf.zeros([1]))):
        error = _caught(function)
        assert 'Call arguments received by layer' in str(error)
        assert errors.sentence(error) == 'Refusing.rate = 2 is outside [0, 1).'


def test_what_others_raise_is_a_bug():
    def library():
        json.loads('{')

    def operation():
        int('x')

    def other_kind():
        raise TypeError('not for users')

    for function in (library, operation, other_kind):
        assert errors.sentence(_caught(function)) is None
    assert errors.sentence(ValueError('never raised')) is None


def test_package_that_no_install_brings_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, 'tf_agents', None)

    def imports():
        import tf_agents  # noqa: F401

    says = errors.sentence(_caught(imports))
    assert says.startswith('DQN needs tf-agents, ') and 'pip install --no-deps tf-agents==' in says

    def another():
        import no_such_package  # noqa: F401

    assert errors.sentence(_caught(another)) is None
