"""Images in a folder with one folder a class."""

from __future__ import annotations

import os

import numpy as np

_SUFFIXES = ('.jpg', '.jpeg', '.png')


class ImageFolder:
    """The image files below <folder>/<class>/, classes and files in the order of their names.

    Files of other names are not looked at. No image is opened.

    Args:
      folder: path.

    Attributes:
      paths: one path an image.
      labels: int32 [n], the class of each.
      class_names: names of the classes' folders.

    Raises:
      FileNotFoundError: there is no such folder.
      ValueError: it has no folders, or one of them has no image.
    """

    def __init__(self, folder: str):
        if not os.path.isdir(folder):
            raise FileNotFoundError(f'{folder}: no such folder of images.')
        self.folder = folder
        self.class_names = tuple(sorted(
            entry.name for entry in os.scandir(folder) if entry.is_dir()))
        if not self.class_names:
            raise ValueError(f'{folder} has no folders; images are expected in one folder a class.')
        self.paths, labels = [], []
        for label, name in enumerate(self.class_names):
            files = sorted(entry.path for entry in os.scandir(os.path.join(folder, name))
                           if entry.name.lower().endswith(_SUFFIXES))
            if not files:
                raise ValueError(f'{os.path.join(folder, name)}: a class without images '
                                 f'({", ".join(_SUFFIXES)}).')
            self.paths += files
            labels += [label] * len(files)
        self.labels = np.array(labels, np.int32)
