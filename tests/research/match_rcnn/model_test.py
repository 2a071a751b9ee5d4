"""Match R-CNN: the paper's network by its numbers, and what a user can get wrong."""

import functools

import numpy as np
import pytest
import tensorflow as tf

from official.modeling import optimizers, random
from official.vision import resnet
from research.match_rcnn import MatchRCNN, detection, roi_sampling
from tests.research.match_rcnn import tiny


@functools.cache
def _batch():
    return next(iter(tiny.make_data().train()))


def test_parameters_of_each_stage():
    """From shapes: ResNet-50, FPN, RPN with 3 anchors, the streams and the matching network."""
    network = MatchRCNN(match_features=('pose', 'class'))
    # He et al. 2016a, Table 1: 7 x 7 x 3 x 64 and bottlenecks; a frozen batch norm is a
    # scale and a shift.
    convs = 49 * 3 * 64
    norms = 64
    inputs = 64
    for width, blocks in ((64, 3), (128, 4), (256, 6), (512, 3)):
        for block in range(blocks):
            convs += inputs * width + 9 * width * width + width * 4 * width
            norms += width + width + 4 * width
            if block == 0:
                convs += inputs * 4 * width
                norms += 4 * width
            inputs = 4 * width
    assert network.backbone.count_params() == convs + 2 * norms
    assert convs == 23_454_912
    fpn = sum(depth * 256 + 256 for depth in (256, 512, 1024, 2048)) + 4 * (9 * 256 * 256 + 256)
    assert network.pyramid.count_params() == fpn
    assert network.rpn.count_params() == 9 * 256 * 256 + 256 + 256 * 3 + 3 + 256 * 12 + 12
    streams = (
        network.box_stream,
        network.landmark_stream,
        network.mask_stream,
        network.matching_network,
    )
    # Their formulas are tests of theirs; these are the numbers in the model card.
    assert [stream.count_params() for stream in streams] == [
        13_963_330,
        24_302_374,
        2_626_061,
        5_574_146,
    ]
    total = sum(stream.count_params() for stream in streams) + convs + 2 * norms + fpn
    total += network.rpn.count_params()
    variables = [v for v in network.variables if v.dtype == tf.float32]
    assert sum(int(np.prod(v.shape)) for v in variables) == total


class _Proposed(Exception):
    """With how many proposals."""


def test_proposals_are_as_many_as_asked_for(monkeypatch):
    """In training and outside it: for the losses of an evaluation and for detections."""

    def counted(self, boxes, *_):
        raise _Proposed(boxes.shape[1])

    for part in (roi_sampling.RoiSampler, detection.Selection):
        monkeypatch.setattr(part, '__call__', counted)
    network = tiny.make_model()
    for expected, function, arguments in (
        (tiny.TRAIN_PROPOSALS, network.loss_terms, (_batch(), random.make_key(0), True)),
        (tiny.PROPOSALS, network.loss_terms, (_batch(), random.make_key(0), False)),
        (tiny.PROPOSALS, network.detect, (_batch()['images'], _batch()['sizes'])),
    ):
        with pytest.raises(_Proposed) as found:
            function(*arguments)
        assert found.value.args == (expected,)


def test_occluded_landmarks_are_learnt_when_asked():
    """With every landmark of some items occluded the loss is of the others alone, or of all."""
    batch = dict(_batch())
    landmarks = batch['landmarks'].numpy().copy()
    landmarks[:, :, 1::2, 2] = np.minimum(landmarks[:, :, 1::2, 2], 1)
    batch['landmarks'] = tf.constant(landmarks)
    values = [
        float(
            tiny.make_model(occluded_landmarks=occluded).loss_terms(batch, random.make_key(0))[
                'pose_loss'
            ]
        )
        for occluded in (False, True)
    ]
    hidden = batch | {
        'landmarks': tf.constant(np.where(landmarks[..., 2:] == 1, 0, landmarks).astype(np.float32))
    }
    same = [
        float(
            tiny.make_model(occluded_landmarks=occluded).loss_terms(hidden, random.make_key(0))[
                'pose_loss'
            ]
        )
        for occluded in (False, True)
    ]
    assert values[0] != values[1]
    np.testing.assert_allclose(same, values[0], rtol=1e-5)


def test_the_order_of_features_is_the_papers():
    assert tiny.make_model(match_features=('class', 'pose')).match_features == ('pose', 'class')


def test_terms_of_parts_that_are_left_out_are_missing():
    network = tiny.make_model(landmark_stream=None, matching_network=None)
    terms = network.loss_terms(_batch(), random.make_key(0))
    assert set(terms) == {
        'loss',
        'cls_loss',
        'box_loss',
        'mask_loss',
        'rpn_cls_loss',
        'rpn_box_loss',
    }
    found = network(_batch())
    assert set(found) == {'boxes', 'classes', 'scores', 'masks'}


def test_fit_evaluate_and_predict_in_a_notebook():
    """With a number of images that is not known when the graph is made."""
    network = tiny.make_model()
    network.compile(optimizers.MomentumSGD(0.01))
    whole = _batch()
    half = {name: values[:2] for name, values in whole.items()}
    examples = tf.data.Dataset.from_tensor_slices(whole)
    for number, batch in ((4, whole), (2, half)):
        batches = examples.batch(number).take(1)
        assert batches.element_spec['images'].shape[0] is None
        losses_seen = [
            network.evaluate(given, return_dict=True, verbose=0)['pair_loss']
            for given in (batches, tf.data.Dataset.from_tensors(batch))
        ]
        np.testing.assert_allclose(*losses_seen, rtol=1e-4)
    assert np.isfinite(network.fit(examples.batch(2), verbose=0).history['loss'][0])
    found = network.predict(whole['images'].numpy(), verbose=0)
    assert found['boxes'].shape == (4, 5, 4)
    np.testing.assert_allclose(found['boxes'], network(whole['images'])['boxes'], atol=1e-3)
    with pytest.raises(ValueError, match='A batch of 3 images does not consist of pairs'):
        network.loss_terms({name: values[:3] for name, values in whole.items()}, random.make_key(0))


def test_products_in_bfloat16_give_the_losses_of_float32():
    key, terms, found = random.make_key(0), {}, {}
    for policy in ('float32', 'mixed_bfloat16'):
        tf.keras.mixed_precision.set_global_policy(policy)
        try:
            network = tiny.make_model()
        finally:
            tf.keras.mixed_precision.set_global_policy('float32')
        assert {weight.dtype for weight in network.trainable_variables} == {tf.float32}
        with tf.GradientTape() as tape:
            terms[policy] = network.loss_terms(_batch(), key)
        gradients = tape.gradient(terms[policy]['loss'], network.trainable_variables)
        assert all(np.all(np.isfinite(tf.convert_to_tensor(each))) for each in gradients)
        found[policy] = network.detect(_batch()['images'], _batch()['sizes'])
    for name, value in terms['float32'].items():
        if name.endswith('_loss'):
            # Its 8 bits of a number are 0.4 %; proposals, and so RoIs, differ by them too.
            np.testing.assert_allclose(
                terms['mixed_bfloat16'][name], value, rtol=0.02, err_msg=name
            )
    assert terms['mixed_bfloat16']['loss'] != terms['float32']['loss']  # It was computed so.
    for name, values in found['float32'].items():
        assert found['mixed_bfloat16'][name].dtype == values.dtype


@pytest.mark.parametrize(
    'arguments, message',
    [
        (
            {'landmark_stream': None},
            r"match_features = \('pose', 'class'\): 'pose' is a stream that is "
            'left out',
        ),
        ({'match_features': ('colour',)}, "'colour' is none of pose, mask, class"),
        ({'match_features': 'colour'}, "'colour' is none of pose, mask, class"),
        ({'match_features': ()}, 'match_features is empty'),
        ({'landmark_counts': (3, 4)}, 'landmark_counts has 2 numbers for num_classes = 13'),
        ({'backbone_weights': 'nowhere.h5'}, 'nowhere.h5'),
        (
            {'backbone': functools.partial(resnet.ResNet, blocks=(1, 1), width=4, frozen=False)},
            r'MatchRCNN.backbone has strides \(4, 8\)',
        ),
        ({'loss_weights': (1.0, 1.0)}, r'loss_weights = \(1.0, 1.0\): there are 6, cls, box, pose'),
        ({'loss_weights': (1, 1, -1, 1, 1, 1)}, 'loss_weights.pose = -1 is outside'),
        ({'box_beta': 0}, 'box_beta = 0 is outside'),
    ],
)
def test_arguments_that_cannot_be_right(arguments, message):
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        tiny.make_model(**arguments)


def test_no_similarity_without_a_matching_network():
    network = tiny.make_model(matching_network=None)
    with pytest.raises(ValueError, match='MatchRCNN.matching_network was left out'):
        network.similarity(tf.zeros([8]), tf.zeros([8]))


def test_data_that_do_not_fit_are_refused():
    network = tiny.make_model(num_classes=2, landmark_counts=(3, 4))
    with pytest.raises(ValueError, match='has 13 classes, and MatchRCNN.num_classes = 2'):
        network.use_data(tiny.make_data())
    with pytest.raises(ValueError, match='not read in pairs'):
        tiny.make_model().use_data(tiny.make_data(pairs=False))
