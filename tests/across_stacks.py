"""Writes and reads what has to be the same on every stack; runs in a process of each.

    python -m tests.across_stacks write FOLDER
    python -m tests.across_stacks read FOLDER COPY

`write` trains a tiny model of each paper in FOLDER/<paper>, exports it and keeps questions and the
SavedModel's answers to them. `read` asks that SavedModel the same questions; it then restores the
checkpoint from a copy of the run, exports it in turn and asks once more.
"""

import functools
import os
import shutil
import sys

import numpy as np
import tensorflow as tf

from tests.research.dqn import tiny as dqn
from tests.research.geometric import conformance_test as geometric
from tests.research.ladder import conformance_test as ladder
from tests.research.match_rcnn import tiny as match_rcnn
from tests.research.s3gan import tiny as s3gan


def _ladder_questions(experiment):
    return {'predict': {'x': experiment.data.inputs('test')[0][:20]}}


def _geometric_questions(experiment):
    graph = experiment.data.dataset.graphs[0]
    return {'predict': {'x': graph.x, 'edge_index': graph.edge_index}}


def _s3gan_questions(experiment):
    z, labels = s3gan.z_and_labels(5, experiment.model.generator.z_dim)
    images = np.random.default_rng(0).random((5, s3gan.SIZE, s3gan.SIZE, 1), np.float32)
    return {
        'generate': {'z': z, 'label': labels},
        'discriminate': {'images': images, 'label': labels},
    }


def _match_rcnn_questions(experiment):
    random = np.random.default_rng(0)
    size = experiment.model.matching_network.similarity.kernel.shape[0]
    vectors = random.normal(size=(2, 6, size)).astype(np.float32)
    return {
        'pixels': {'images': random.integers(0, 255, (1, 50, 70, 3)).astype(np.uint8)},
        'similarity': {'v1': vectors[0], 'v2': vectors[1]},
    }


def _dqn_questions(experiment):
    del experiment
    frames = np.random.default_rng(0).integers(0, 256, (6, 20, 20, 2), np.uint8)
    return {'predict': {'frames': frames}}


# Paper to a tiny experiment of a run folder, and what its SavedModel is asked.
PAPERS = {
    'ladder': (ladder.make, _ladder_questions),
    'geometric': (geometric.make, _geometric_questions),
    's3gan': (
        functools.partial(s3gan.make, evaluator=None, monitor_split=None),
        _s3gan_questions,
    ),
    'match_rcnn': (
        functools.partial(match_rcnn.make, evaluator=None, monitor_split=None),
        _match_rcnn_questions,
    ),
    'dqn': (
        functools.partial(dqn.make, train_agent_steps=200, evaluate_every_agent_steps=200),
        _dqn_questions,
    ),
}


def _answers(path, questions):
    """Signature to output to array."""
    model = tf.saved_model.load(path)
    return {
        name: {
            output: value.numpy()
            for output, value in model.signatures[name](
                **{key: tf.constant(array) for key, array in arguments.items()}
            ).items()
        }
        for name, arguments in questions.items()
    }


def load(folder, paper, name):
    """Returns the answers that `write` or `read` has kept."""
    return np.load(os.path.join(folder, f'{paper}_{name}.npy'), allow_pickle=True).item()


def _keep(folder, paper, name, value):
    np.save(os.path.join(folder, f'{paper}_{name}.npy'), value, allow_pickle=True)


def write(folder):
    for paper, (make, questions_of) in PAPERS.items():
        experiment = make(os.path.join(folder, paper))
        experiment.train()
        path = experiment.export()
        questions = questions_of(experiment)
        _keep(folder, paper, 'questions', questions)
        _keep(folder, paper, 'path', {'path': os.path.relpath(path, folder)})
        _keep(folder, paper, 'answers', _answers(path, questions))


def read(folder, copy):
    for paper, (make, _) in PAPERS.items():
        questions = load(folder, paper, 'questions')
        path = load(folder, paper, 'path')['path']
        _keep(copy, paper, 'saved_model', _answers(os.path.join(folder, path), questions))
        shutil.copytree(os.path.join(folder, paper), os.path.join(copy, paper))
        shutil.rmtree(os.path.join(copy, path))
        exported = make(os.path.join(copy, paper)).export()
        _keep(copy, paper, 'checkpoint', _answers(exported, questions))


if __name__ == '__main__':
    {'write': write, 'read': read}[sys.argv[1]](*sys.argv[2:])
