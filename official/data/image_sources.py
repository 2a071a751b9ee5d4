"""Sets of labelled images of one size, by index: arrays in memory, folders of files, TFDS.

All give the same: uint8 images [batch, image_size, image_size, channels] of given indices. Arrays
are for sets that fit into memory; the other two decode as they go, and may crop at random.
"""

from __future__ import annotations

import abc
import functools
import os
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from official.core import checks
from official.data import encoded_images, image_folder, pipeline, resizing, tfds_stream
from official.vision import image_reader

SPLITS = ('train', 'test')
_RESIZED_AT_ONCE = 1000


class ImageSource(abc.ABC):
    """Training and test images of a set.

    Attributes:
      name: what messages call it.
      class_names: one name a class.
      image_size: height and width of an image, in pixels.
      channels: 1 or 3.
      in_memory: whether batches are gathered from memory, which one thread does best.
    """

    name: str
    class_names: tuple[str, ...]
    image_size: int
    channels: int
    in_memory: bool

    @abc.abstractmethod
    def labels(self, split: str) -> np.ndarray:
        """The class of every image of 'train' or 'test', int32 [n]."""

    @abc.abstractmethod
    def images(
        self,
        examples: tf.data.Dataset,
        split: str,
        used: np.ndarray | None = None,
        seed: int | None = None,
    ) -> tf.data.Dataset:
        """Reads images.

        Args:
          examples: dataset of (positions, numbers), both int64 [b]: the places of a batch's
            examples in the stream, from which random crops follow, and which of the used images
            they are.
          split: 'train' or 'test'.
          used: indices of the images that are used, int64; None: all in order.
          seed: of random crops, where the source makes them; None: central ones.

        Returns:
          Dataset of (images, numbers): uint8 [b, image_size, image_size, channels], int64 [b].
          Where an image could not be read the next one of those used stands in its place, with
          its own number.
        """


class ArraySource(ImageSource):
    """Images in memory.

    Args:
      data_dir: given to `load`.
      load: called as load(data_dir), gives `official.data.images.ImageArrays`: `mnist.load`,
        `digits.load`, `tfds_images.cifar10`, ...
      image_size: height and width; None: the arrays' own.
      resize: images of another size are resized bilinearly; else black borders are added.

    Raises:
      ValueError: if images are not square, or larger than `image_size` and not to be resized.
    """

    in_memory = True

    def __init__(
        self,
        data_dir: str | None,
        load: Callable,
        image_size: int | None = None,
        resize: bool = False,
    ):
        arrays = load(data_dir)
        height, width, self.channels = arrays.image_shape
        self.name, self.class_names = arrays.name, arrays.class_names
        self.image_size = image_size or height
        checks.positive('ArraySource', image_size=self.image_size)
        if height != width:
            raise ValueError(f'{arrays.name}: images of {height} x {width} pixels are not square.')
        if height > self.image_size and not resize:
            raise ValueError(
                f'{arrays.name}: images of {height} pixels are larger than '
                f'ArraySource.image_size = {self.image_size}; resize = True makes '
                'them smaller.'
            )
        self._labels = {'train': arrays.train_labels, 'test': arrays.test_labels}
        self._images = {}
        for split in SPLITS:
            pixels = getattr(arrays, f'{split}_images')
            if arrays.max_value != 255:
                # Before resizing, which rounds.
                scaled = pixels.astype(np.float32) * (255 / arrays.max_value)
                pixels = np.round(scaled).astype(np.uint8)
            if height != self.image_size:
                pixels = (_resized if resize else _padded)(pixels, self.image_size)
            self._images[split] = pixels

    def labels(self, split: str) -> np.ndarray:
        return self._labels[split]

    def images(
        self,
        examples: tf.data.Dataset,
        split: str,
        used: tf.Tensor | None = None,
        seed: int | None = None,
    ) -> tf.data.Dataset:
        del seed
        pixels = pipeline.on_host(self._images[split])
        which = None if used is None else pipeline.on_host(used)

        def gather(positions, numbers):
            del positions
            indices = numbers if which is None else tf.gather(which, numbers)
            return tf.gather(pixels, indices), numbers

        return examples.map(gather)


class _EncodedSource(ImageSource):
    """Images that are decoded as they are read, by `official.vision.image_reader`."""

    in_memory = False
    channels = 3

    def __init__(self, image_size: int, random_crop: bool, resampling: Callable):
        checks.positive(type(self).__name__, image_size=image_size)
        self.image_size = image_size
        self.random_crop = random_crop
        self.resampling = resampling
        self.skipped: dict[str, encoded_images.Skipped] = {
            split: encoded_images.Skipped(functools.partial(self._describe, split))
            for split in SPLITS
        }

    @abc.abstractmethod
    def _describe(self, split: str, index: int) -> str:
        """Names an image, for messages."""

    @abc.abstractmethod
    def _reader(self, split: str) -> Callable[[tf.Tensor], tf.Tensor]:
        """A function of indices, int64 [n], that gives the encoded images, strings [n]."""

    def images(self, examples, split, used=None, seed=None):
        used = np.arange(len(self.labels(split))) if used is None else used
        which, read = pipeline.on_host(used.astype(np.int64)), self._reader(split)

        def decode(encoded, position):
            image = image_reader.decode(encoded)
            if self.random_crop and seed is not None:
                return encoded_images.distorted_square(
                    image, self.image_size, encoded_images.crop_key(seed, position), self.resampling
                )
            return tfds_stream.square(image, self.image_size, self.resampling)

        encoded_images.check_readable(read, decode, used, self.name, self.skipped[split])
        return encoded_images.decoded(
            examples,
            lambda numbers: read(tf.gather(which, numbers)),
            decode,
            len(used),
            self.skipped[split],
            lambda number: int(used[number]),
        )


class FolderSource(_EncodedSource):
    """Image files, one folder per class: <data_dir>/<train>/<class>/<image>.

    Photographs are turned upright as their EXIF data say, and transparent pixels lie on white; see
    `official.vision.image_reader`. Files that it cannot read are skipped, named and counted; hidden
    folders and files are left out and counted.

    Args:
      data_dir: folder of the set.
      image_size: height and width that images are cut and resized to, in pixels.
      train: folder of the training images below `data_dir`; '.' for the folder itself.
      test: folder of the test images.
      random_crop: take a random square of 50 to 100 % of the area of a training image, else the
        largest central one.
      resampling: from `official.data.resizing`; `tf1_bilinear` is what the authors of Lucic et al.
        2019 have for ImageNet.

    Raises:
      FileNotFoundError: a folder is missing.
      ValueError: a class has no image, or the two parts have different classes.
    """

    def __init__(
        self,
        data_dir: str | None,
        image_size: int,
        train: str = 'train',
        test: str = 'val',
        random_crop: bool = True,
        resampling: Callable = resizing.antialiased,
    ):
        super().__init__(image_size, random_crop, resampling)
        if data_dir is None:
            raise FileNotFoundError(
                f'--data_dir is needed: the folder that holds {train}/<class>/'
                f'<image>.JPEG and {test}/<class>/<image>.JPEG.'
            )
        self.name = data_dir
        self._folders = {
            split: image_folder.ImageFolder(os.path.normpath(os.path.join(data_dir, folder)))
            for split, folder in (('train', train), ('test', test))
        }
        self.class_names, others = (self._folders[split].class_names for split in SPLITS)
        if self.class_names != others:
            odd = sorted(set(self.class_names) ^ set(others))[0]
            raise ValueError(f'{data_dir}: class {odd} is in only one of {train} and {test}.')
        self._paths: dict[str, tf.Tensor] = {}

    def labels(self, split: str) -> np.ndarray:
        return self._folders[split].labels

    def _describe(self, split, index):
        return self._folders[split].paths[index]

    def _reader(self, split):
        if split not in self._paths:
            self._paths[split] = pipeline.on_host(
                [os.fsencode(path) for path in self._folders[split].paths]
            )
        paths = self._paths[split]
        return lambda indices: tf.map_fn(tf.io.read_file, tf.gather(paths, indices))


class TfdsSource(_EncodedSource):
    """Images that TFDS has prepared as array_record files, such as imagenet2012.

    Args:
      data_dir: folder of TFDS data; None: TFDS' own.
      name: TFDS name.
      image_size: height and width that images are cut and resized to, in pixels.
      train: TFDS split.
      test: TFDS split.
      random_crop: see `FolderSource`.
      resampling: see `FolderSource`.

    Raises:
      FileNotFoundError: the data are not prepared in this format; the message says how to.
      ValueError: TFDS knows no such name or split, or the set has no labels.
    """

    def __init__(
        self,
        data_dir: str | None,
        name: str,
        image_size: int,
        train: str = 'train',
        test: str = 'validation',
        random_crop: bool = True,
        resampling: Callable = resizing.antialiased,
    ):
        super().__init__(image_size, random_crop, resampling)
        self.name = name
        self._splits = {
            split: tfds_stream.Source(name, data_dir, given)
            for split, given in (('train', train), ('test', test))
        }
        self.class_names = self._splits['train'].class_names
        if not self.class_names:
            raise ValueError(f'{name}: this data set has no labels.')
        self._labels: dict[str, np.ndarray] = {}

    def labels(self, split: str) -> np.ndarray:
        if split not in self._labels:
            self._labels[split] = self._splits[split].labels()
        return self._labels[split]

    def _describe(self, split, index):
        return f'{self.name}, {split} image {index}'

    def _reader(self, split):
        return lambda indices: self._splits[split].read(indices)[0]


def _padded(pixels: np.ndarray, size: int) -> np.ndarray:
    before = (size - pixels.shape[1]) // 2
    border = (before, size - pixels.shape[1] - before)
    return np.pad(pixels, ((0, 0), border, border, (0, 0)))


def _resized(pixels: np.ndarray, size: int) -> np.ndarray:
    resized = np.empty((len(pixels), size, size, pixels.shape[3]), np.uint8)
    with tf.device('CPU:0'):
        # In parts: the floats of a whole set are several times as large as its bytes.
        for start in range(0, len(pixels), _RESIZED_AT_ONCE):
            part = slice(start, start + _RESIZED_AT_ONCE)
            floats = tf.image.resize(pixels[part], [size, size], antialias=True)
            resized[part] = tf.saturate_cast(tf.round(floats), tf.uint8)
    return resized


def check_fits(source: ImageSource, image_size: int, channels: int) -> None:
    """Raises ValueError unless images of a source are what a network of these sizes takes."""
    have = (source.image_size, source.channels)
    if have != (image_size, channels):
        theirs, ours = (
            {1: 'grey', 3: 'RGB'}.get(number, f'{number} channels')
            for number in (have[1], channels)
        )
        raise ValueError(
            f'{source.name}: images of {have[0]} pixels, {theirs}; the networks are for '
            f'image_size = {image_size}, {ours}.'
        )


def in_order(
    source: ImageSource,
    split: str,
    batch_size: int,
    input_context: tf.distribute.InputContext | None = None,
    used: np.ndarray | None = None,
) -> tf.data.Dataset:
    """Every image once, in order; the last batch is padded with weight 0.

    Args:
      source: of the images.
      split: 'train' or 'test'.
      batch_size: images of the global batch.
      input_context: whom the pipeline serves; None: one replica that takes all.
      used: indices of the images, int64; None: all.

    Returns:
      Dataset of (images, labels, weights): uint8 [b, size, size, channels], int32 [b], float32 [b].
    """
    labels = source.labels(split) if used is None else source.labels(split)[used]
    batches = pipeline.eval_batches(len(labels), batch_size, input_context)
    images = source.images(batches.map(lambda number, weight: (number, number)), split, used)
    on_host = pipeline.on_host(labels)
    together = tf.data.Dataset.zip((images, batches)).map(
        lambda image, batch: (image[0], tf.gather(on_host, image[1]), batch[1])
    )
    number = batches.cardinality()
    return pipeline.finish(
        together.apply(tf.data.experimental.assert_cardinality(number)), one_thread=source.in_memory
    )
