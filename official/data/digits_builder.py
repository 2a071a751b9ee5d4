"""scikit-learn's digits as a TFDS data set, which TFDS' catalogue lacks.

Importing this module makes `tfds.load('sklearn_digits', data_dir=...)` work, after
`python -m official.data.prepare sklearn_digits --data_dir=...`. No network is needed.
"""

from __future__ import annotations

import tensorflow_datasets as tfds

from official.data import digits


class SklearnDigits(tfds.core.GeneratorBasedBuilder):
    """The arrays of `digits.load`, in its order; pixel values are 0 to 16, not 0 to 255."""

    VERSION = tfds.core.Version('1.0.0')
    RELEASE_NOTES = {'1.0.0': "scikit-learn's 1 797 digits, 1 297 for training and 500 for test."}

    def _info(self) -> tfds.core.DatasetInfo:
        return self.dataset_info_from_configs(
            description=digits.__doc__,
            homepage='https://archive.ics.uci.edu/dataset/80',
            features=tfds.features.FeaturesDict(
                {
                    'image': tfds.features.Image(shape=(8, 8, 1), encoding_format='png'),
                    'label': tfds.features.ClassLabel(names=digits.CLASS_NAMES),
                }
            ),
            supervised_keys=('image', 'label'),
            metadata=tfds.core.MetadataDict(max_value=digits.MAX_VALUE),
            disable_shuffling=True,
        )

    def _split_generators(self, dl_manager):
        del dl_manager  # Nothing is downloaded.
        arrays = digits.load()
        return {
            'train': self._generate_examples(arrays.train_images, arrays.train_labels),
            'test': self._generate_examples(arrays.test_images, arrays.test_labels),
        }

    def _generate_examples(self, images, labels):
        for key, (image, label) in enumerate(zip(images, labels, strict=True)):
            yield key, {'image': image, 'label': int(label)}
