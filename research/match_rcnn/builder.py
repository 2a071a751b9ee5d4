"""DeepFashion2 as a TFDS data set: folders as they are handed out, prepared for reading by index.

Importing this module takes seconds, as TFDS does, and makes `tfds.builder('deepfashion2')` work.
`research.match_rcnn.prepare` is the command, `research.match_rcnn.prepared` the way back.
"""

from __future__ import annotations

import concurrent.futures
import os
from collections.abc import Iterator

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from official.data import detection_items, image_files
from official.data import problems as problems_lib
from official.vision import image_reader
from research.match_rcnn import annotation_files, categories, deepfashion2

NAME = 'deepfashion2'
_CODES = ('style', *annotation_files.LEVELS)
_AT_ONCE = 64  # Images that are decoded ahead.


class Deepfashion2(tfds.core.GeneratorBasedBuilder):
    """DeepFashion2 (Ge et al. 2019): clothes with boxes, landmarks, masks and pairs of images.

    An example holds: `image`, the file as it is, which may be grey or turned by its EXIF
    orientation; `image_id`, the number that is its name, and `name`, its path in the folder;
    `size` (height, width) upright; `source`, -1 where it is not known, and `pair_id`; and `items`:
    `category` (its id less 1), `bounding_box` (x1, y1, x2, y2) in pixels of the upright image,
    `landmarks` [39, 3] (x, y, v), zeros after those of the category, `segmentation`, polygons of
    points (x, y), and the codes `style`, `scale`, `occlusion`, `zoom_in`, `viewpoint` of the files.
    `annotation` has the same once more, without rounding to float32, as `annotation_files.to_json`
    writes it; it is empty where there is none.

    Images that no decoder reads are skipped, counted and named in the metadata, under `problems`,
    as is all else that was handled.
    """

    VERSION = tfds.core.Version('1.0.0')
    RELEASE_NOTES = {'1.0.0': 'First.'}
    MANUAL_DOWNLOAD_INSTRUCTIONS = """\
        The data set is handed out for research that is not commercial, by its authors: see
        https://github.com/switchablenorms/DeepFashion2. The folder has train/ and validation/, each
        with image/ and annos/, and may have test/ with image/."""

    def _info(self) -> tfds.core.DatasetInfo:
        features = tfds.features
        code = np.int32
        return tfds.core.DatasetInfo(
            builder=self,
            description=type(self).__doc__,
            disable_shuffling=True,
            homepage='https://github.com/switchablenorms/DeepFashion2',
            metadata=tfds.core.MetadataDict(),
            features=features.FeaturesDict(
                {
                    'image': features.Image(),
                    'image_id': np.int64,
                    'name': features.Text(),
                    'size': features.Tensor(shape=(2,), dtype=np.int32),
                    'source': features.ClassLabel(names=tuple(annotation_files.SOURCES)),
                    'pair_id': code,
                    'annotation': features.Text(),
                    'items': features.Sequence(
                        {
                            'category': features.ClassLabel(names=categories.NAMES),
                            'bounding_box': features.Tensor(shape=(4,), dtype=np.float32),
                            'landmarks': features.Tensor(
                                shape=(categories.MAX_LANDMARKS, 3), dtype=np.float32
                            ),
                            'segmentation': features.Sequence(
                                features.Sequence(features.Tensor(shape=(2,), dtype=np.float32))
                            ),
                            **dict.fromkeys(_CODES, code),
                        }
                    ),
                }
            ),
        )

    def _split_generators(self, dl_manager):
        folder = os.fspath(dl_manager.manual_dir)
        splits = deepfashion2.splits_of(folder)
        found = {}
        for split in splits:
            problems = problems_lib.Problems(f'{NAME}, {split}')
            entries = deepfashion2.find(
                os.path.join(folder, split), problems, annotated=split != 'test'
            )
            _check(entries, problems.name)  # Before hours are spent on images.
            found[split] = entries, problems
        return {split: self._generate_examples(folder, split, *found[split]) for split in splits}

    def _generate_examples(self, folder, split, entries, problems):
        for key, (entry, encoded, size, annotation) in enumerate(_readable(entries, problems)):
            yield (
                key,
                {
                    'image': encoded,
                    'image_id': entry.image_id,
                    'name': os.path.relpath(entry.image, folder),
                    'size': np.array(size, np.int32),
                    'source': annotation.source - 1,
                    'pair_id': annotation.pair_id,
                    'annotation': annotation_files.to_json(annotation) if entry.annotation else '',
                    'items': [_example_of(item) for item in annotation.items],
                },
            )
        problems.print_summary()
        metadata = self.info.metadata
        metadata['problems'] = {**metadata.get('problems', {}), split: problems.as_dict()}


def _check(entries, name):
    """Raises ValueError with all annotations that cannot be right, for their images' sizes too."""
    ignored = problems_lib.Problems(name)
    faults = problems_lib.Faults(ignored)
    for entry, header, annotation in deepfashion2.look(entries):
        if isinstance(annotation, problems_lib.Malformed):
            faults.add(annotation)
        elif header is not None:
            for number, item in enumerate(annotation.items, 1):
                faults.call(
                    detection_items.checked,
                    item,
                    header.upright,
                    categories.LANDMARK_COUNTS,
                    f'{entry.annotation}: item {number}',
                    entry.annotation,
                    ignored,
                )
    faults.check()


def _readable(entries, problems) -> Iterator:
    """(entry, encoded image, (height, width), annotation) of images that decode, in order."""

    decode = tf.function(image_reader.decode, input_signature=[tf.TensorSpec([], tf.string)])

    def examine(found):
        entry, header, annotation = found
        if header is None:
            return found, None
        with open(entry.image, 'rb') as file:
            encoded = file.read()
        try:
            with tf.device('CPU:0'):
                decode(encoded)
        except tf.errors.OpError:
            return (entry, None, annotation), None
        return found, encoded

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as threads:
        for block in _blocks(deepfashion2.look(entries), _AT_ONCE):
            for (entry, header, annotation), encoded in threads.map(examine, block):
                if isinstance(annotation, problems_lib.Malformed):
                    raise annotation
                if image_files.note(header, entry.image, entry.image, problems):
                    yield entry, encoded, header.upright, annotation


def _blocks(values, size):
    block = []
    for value in values:
        block.append(value)
        if len(block) == size:
            yield block
            block = []
    yield block


def _example_of(item):
    landmarks = np.zeros([categories.MAX_LANDMARKS, 3], np.float32)
    landmarks[: len(item.landmarks)] = item.landmarks
    return {
        'category': item.category - 1,
        'bounding_box': item.box.astype(np.float32),
        'landmarks': landmarks,
        'segmentation': [polygon.astype(np.float32) for polygon in item.segmentation],
        **{name: getattr(item, name) for name in _CODES},
    }
