import gin
import numpy as np
import pytest

from official.core import config, runner
from tests.official.core import toy

_KERAS = """\
from tests.official.core import toy_keras
toy_keras.Holder.model = @toy_keras.Net
toy_keras.Holder.optimizer = @toy_keras.Descent
toy_keras.Descent.learning_rate = @toy_keras.Falling()
toy_keras.Falling.first = 0.25
toy_keras.Net.units = 3
toy.Model.inner = @toy_keras.Holder
"""


@pytest.fixture(autouse=True)
def _no_configuration_left():
    yield
    config.clear()


def _load(tmp_path, text='', params=()):
    loaded = config.read(toy.write_gin(tmp_path, text), params)
    config.load(loaded)
    return loaded


def _message(tmp_path, text='', params=()):
    with pytest.raises(ValueError) as caught:
        _load(tmp_path, text, params)
    return str(caught.value).replace(f'{tmp_path}/', '')


def test_run_and_experiment_get_their_bindings(tmp_path):
    _load(tmp_path, 'runner.Run.num_seeds = 3\ntoy.Toy.bias = 2.0\n', ('Model.units=9',))
    run = gin.get_configurable(runner.Run)()
    assert type(run) is runner.Run and run.num_seeds == 3
    made = run.experiment(run_dir='x', seed=5, data_dir=None, strategy=None)
    assert type(made) is toy.Toy
    assert (made.bias, made.model.units, made.model.seed) == (2.0, 9, 5)


def test_the_callers_keywords_win(tmp_path):
    _load(tmp_path, 'toy.Model.seed = 77\n')
    assert gin.get_configurable(toy.Model)().seed == 77
    assert gin.get_configurable(toy.Model)(seed=3).seed == 3


def test_one_class_in_two_scopes(tmp_path):
    _load(
        tmp_path,
        """
toy.Model.noise_std = 0.1
toy.Model.inner = @toy.Kept
toy.Kept.model = @toy.Model
small/toy.Model.units = 2
small/toy.Model.inner = None
small/toy.Kept.model = @small/toy.Model
loose/toy.Kept.model = @toy.Model
loose/toy.Model.units = 6
loose/toy.Model.inner = None
toy.Model.layers = (@small/toy.Kept, @loose/toy.Kept)
""",
    )
    model = gin.get_configurable(toy.Model)()
    assert model.units == 4 and model.noise_std == 0.1
    small, loose = (factory() for factory in model.layers)
    # A scope takes over what only the bindings without scope say.
    assert small.now.units == 2 and small.now.noise_std == 0.1
    # Named on the reference, the scope holds whenever the factory is called ...
    assert small.model().units == 2
    # ... not named, only while the scope is open.
    assert loose.now.units == 6 and loose.model().units == 4


def test_evaluated_references_are_made_anew(tmp_path):
    _load(
        tmp_path,
        'toy.Kept.model = @toy.Model\ntoy.Toy.bias = @outer/toy.Kept()\n'
        'toy.Model.layers = (@inner/toy.Model(),)\ninner/toy.Model.layers = ()\n',
    )
    first, second = gin.get_configurable(toy.Model)(), gin.get_configurable(toy.Model)()
    assert type(first.layers[0]) is toy.Model
    assert first.layers[0] is not second.layers[0]


def test_keras_objects_are_plain_ones(tmp_path):
    import tensorflow as tf

    from tests.official.core import toy_keras

    _load(tmp_path, _KERAS)
    holder = gin.get_configurable(toy_keras.Holder)()
    assert issubclass(holder.model, tf.keras.Model)
    net, optimizer = holder.model(seed=5), holder.optimizer()
    assert type(net) is toy_keras.Net and type(optimizer) is toy_keras.Descent
    assert net.get_config()['units'] == 3 and net.get_config()['seed'] == 5
    # Mean squared error over 2 x 3 outputs, x = y = 1, kernel 0: every kernel gradient is -2/3,
    # the rates are 0.25 and 0.125.
    net.build([None, 1])
    net.dense.kernel.assign(tf.zeros([1, 3]))
    net.compile(optimizer, 'mse')
    net.fit(np.ones([2, 1]), np.ones([2, 3]), batch_size=2, epochs=1, verbose=0)
    np.testing.assert_allclose(net.dense.kernel, np.full([1, 3], 0.25 * 2 / 3), rtol=1e-6)
    net.fit(np.ones([2, 1]), np.ones([2, 3]), batch_size=2, epochs=1, verbose=0)
    # The output is now 1/3 (kernel and bias 1/6 each), so the gradient is -2/3 * 2/3.
    expected = 0.25 * 2 / 3 + 0.125 * 2 / 3 * 2 / 3
    np.testing.assert_allclose(net.dense.kernel, np.full([1, 3], expected), rtol=1e-6)
    path = str(tmp_path / 'saved_model')
    tf.saved_model.save(net, path)
    loaded = tf.saved_model.load(path)
    np.testing.assert_allclose(loaded(np.ones([1, 1], np.float32)), net(np.ones([1, 1])))
    assert toy_keras.Net.from_config(net.get_config()).units == 3


@pytest.mark.parametrize(
    'text, expected',
    [
        (
            'toy.Modle.units = 3\n',
            "toy.gin:8: tests.official.core.toy has no 'Modle'; did you mean Model?",
        ),
        (
            'toy.Model.inner = @toy.Fowarding\n',
            "toy.gin:8: tests.official.core.toy has no 'Fowarding'; did you mean Forwarding?",
        ),
        (
            'toy.Model.unit = 3\n',
            "toy.gin:8: toy.Model has no parameter 'unit'; did you mean units?",
        ),
        (
            'toy.Model.frobnicate = 3\n',
            "toy.gin:8: toy.Model has no parameter 'frobnicate'; there is "
            'inner, layers, noise_std, seed, units.',
        ),
        (
            'toy.Model.inner = @toy.constant\n',
            'toy.gin:8: tests.official.core.toy.constant is neither a class nor a function.',
        ),
        (
            'toy.Model.inner = @toy.Kept()\n',
            'toy.gin:8: toy.Kept needs a value for model, as in "toy.Kept.model = ...".',
        ),
        (
            'toy.Forwarding.widht = 3\n',
            "toy.gin:8: toy.Forwarding has no parameter 'widht'; did you mean width?",
        ),
        (
            'toy.Forwarding.noise_sdt = 3\n',
            "toy.gin:8: toy.Forwarding has no parameter 'noise_sdt'; did you mean noise_std?",
        ),
    ],
)
def test_names_that_do_not_exist(tmp_path, text, expected):
    assert _message(tmp_path, text) == expected


def test_keywords_that_a_keras_base_takes(tmp_path):
    _load(
        tmp_path,
        _KERAS + "toy_keras.Net.name = 'n'\ntoy_keras.Descent.clipnorm = 1.0\n"
        'toy_keras.anything.at_all = 1\n',
    )
    assert _message(tmp_path, _KERAS + 'toy_keras.Net.nane = 1\n').startswith(
        "toy.gin:15: toy_keras.Net has no parameter 'nane'; did you mean name?"
    )


def test_a_mistyped_parameter_in_an_override(tmp_path):
    assert _message(tmp_path, params=('Model.nosie_std=0.2',)) == (
        "--gin_param=Model.nosie_std=0.2: toy.Model has no parameter 'nosie_std'; did you mean "
        'noise_std?'
    )


def test_an_experiment_lacks_a_value(tmp_path):
    path = tmp_path / 'x.gin'
    path.write_text(toy.GIN.replace('toy.Toy.model = @toy.Model\n', ''))
    with pytest.raises(ValueError, match='x.gin:6: toy.Toy needs a value for model, as in "toy'):
        config.load(config.read(str(path)))


def test_what_flags_say_is_not_bound(tmp_path):
    assert _message(tmp_path, 'toy.Toy.seed = 3\n') == 'toy.gin:8: seed is set by the flag --seed.'
    assert _message(tmp_path, params=("Toy.run_dir='x'",)) == (
        "--gin_param=Toy.run_dir='x': run_dir is set by the flag --model_dir."
    )


def test_a_file_without_an_experiment(tmp_path):
    path = tmp_path / 'x.gin'
    path.write_text(toy.GIN.replace('runner.Run.experiment = @toy.Toy', ''))
    with pytest.raises(ValueError, match='x.gin wires no experiment: it needs a line such as'):
        config.read(str(path))
    path.write_text(toy.GIN.replace('@toy.Toy', '@toy.Toy()'))
    with pytest.raises(ValueError, match=r'x.gin:6: .*experiment is a class, .* not @toy.Toy\(\)'):
        config.read(str(path))


def test_one_configuration_after_another(tmp_path):
    _load(tmp_path, 'toy.Model.units = 2\n')
    assert gin.get_configurable(toy.Model)().units == 2
    _load(tmp_path, 'toy.Model.noise_std = 0.0\n')
    assert gin.get_configurable(toy.Model)().units == 4
    assert 'units = 4' in config.operative_text()


def test_the_saved_text_gives_the_same_configuration(tmp_path):
    text = """
depth = 2
toy.Model.layers = {'a': (1, -2.5e-3, None), 'b': [@small/toy.Model, 'x y']}
toy.Model.units = %depth
small/toy.Model.inner = @toy.Forwarding()
"""
    asked = config.read(toy.write_gin(tmp_path, text), ('Toy.bias=0.5', 'depth=3'))
    saved = tmp_path / 'config.gin'
    saved.write_text(asked.text())
    again = config.read(str(saved))
    assert again.bindings() == asked.bindings()
    config.load(again)
    assert again.deciding() == asked.deciding()
    model = gin.get_configurable(toy.Model)()
    assert model.units == 3 and model.layers['a'] == (1, -0.0025, None)
    assert asked.text().splitlines()[:5] == [
        '# A toy, to be run in no time.',
        '# Second line.',
        f'# --gin_file={tmp_path}/toy.gin',
        '# --gin_param=Toy.bias=0.5',
        '# --gin_param=depth=3',
    ]


def test_identity_is_the_same_under_other_names_and_for_other_seeds_only(tmp_path):
    first = config.read(toy.write_gin(tmp_path, 'toy.Model.layers = (@toy.Kept,)\n'))
    renamed = (
        (toy.GIN + '# A comment.\ntoy.Model.layers = [@toy.Kept]\n')
        .replace('import toy', 'import toy as t')
        .replace('toy.Toy', 't.Toy')
        .replace('toy.Model', 't.Model')
        .replace('toy.Kept', 't.Kept')
    )
    path = tmp_path / 'renamed.gin'
    path.write_text(renamed)
    second = config.read(str(path), ('Run.num_seeds=5',))
    config.load(second)
    assert (
        first.deciding()
        == second.deciding()
        == {
            'official.core.runner.Run.experiment': '@tests.official.core.toy.Toy',
            'tests.official.core.toy.Toy.model': '@tests.official.core.toy.Model',
            'tests.official.core.toy.Model.layers': '(@tests.official.core.toy.Kept)',
        }
    )
    assert second.bindings() == {**second.deciding(), 'official.core.runner.Run.num_seeds': '5'}
    assert config.read(str(path), ('Toy.bias=2',)).deciding() != first.deciding()


def test_what_may_change_and_what_only_that_leads_to_decide_nothing(tmp_path):
    """`Toy.notes` may change; so may the model that nothing but the notes has."""
    text = """
toy.Toy.notes = @only/toy.Forwarding
only/toy.Forwarding.width = 3
toy.Forwarding.units = %units
toy.Model.units = 5
toy.Model.inner = @inner/toy.Kept
inner/toy.Kept.model = @toy.Forwarding
units = 7
"""
    asked = config.read(toy.write_gin(tmp_path, text))
    config.load(asked)
    prefix = 'tests.official.core.toy.'
    assert asked.deciding() == {
        'official.core.runner.Run.experiment': f'@{prefix}Toy',
        f'{prefix}Toy.model': f'@{prefix}Model',
        f'{prefix}Forwarding.units': '%units',
        f'{prefix}Model.units': '5',
        f'{prefix}Model.inner': f'@inner/{prefix}Kept',
        f'inner/{prefix}Kept.model': f'@{prefix}Forwarding',
        'units': '7',
    }
    # Without the model inside, nothing that decides leads to the other class.
    less = config.read(
        toy.write_gin(
            tmp_path,
            """
toy.Toy.notes = @only/toy.Forwarding
only/toy.Forwarding.width = 3
toy.Forwarding.units = %units
units = 7
""",
        )
    )
    config.load(less)
    assert set(less.deciding()) == {'official.core.runner.Run.experiment', f'{prefix}Toy.model'}


def test_the_name_of_a_configuration(tmp_path):
    folder = tmp_path / 'ladder'
    folder.mkdir()
    assert config.read(toy.write_gin(folder, name='digits_100.gin')).name == 'ladder/digits_100'


def test_a_value_of_another_type_than_the_parameter(tmp_path):
    assert _message(tmp_path, "runner.Run.deterministic = 'no'\n") == (
        "toy.gin:8: runner.Run.deterministic = 'no' must be True or False."
    )
    assert _message(tmp_path, "count = 'three'\nrunner.Run.num_seeds = %count\n") == (
        'toy.gin:9: runner.Run.num_seeds = %count must be a whole number.'
    )
    assert _message(tmp_path, params=('Run.num_seeds=2.0',)) == (
        '--gin_param=Run.num_seeds=2.0: runner.Run.num_seeds = 2.0 must be a whole number.'
    )
