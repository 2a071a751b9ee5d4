"""Images in a folder with one folder per class."""

from __future__ import annotations

import os

import numpy as np

from official.data import image_files
from official.data import problems as problems_lib


class ImageFolder:
    """The image files below <folder>/<class>/, classes and files in the order of their names.

    Hidden folders and files (`.ipynb_checkpoints`, `._1.jpg`), and files whose names are not those
    of images, are left out, and counted on standard error. No image is opened.

    Args:
      folder: path.

    Attributes:
      paths: one path per image.
      labels: int32 [n], the class of each.
      class_names: names of the classes' folders.
      problems: what was left out.

    Raises:
      FileNotFoundError: there is no such folder.
      ValueError: it has no folders, or one of them has no image.
    """

    def __init__(self, folder: str):
        if not os.path.isdir(folder):
            raise FileNotFoundError(f'{folder}: no such folder of images.')
        self.folder = folder
        self.problems = problems_lib.Problems(folder)
        self.class_names = tuple(
            name for name in self._visible(folder) if os.path.isdir(os.path.join(folder, name))
        )
        if not self.class_names:
            raise ValueError(
                f'{folder} has no folders; images are expected in one folder per class.'
            )
        self.paths, labels = [], []
        for label, name in enumerate(self.class_names):
            files = self._files(os.path.join(folder, name))
            self.paths += files
            labels += [label] * len(files)
        self.labels = np.array(labels, np.int32)
        self.problems.print_summary()

    def _visible(self, folder: str) -> list[str]:
        """The names in a folder, in order, without the hidden ones, which are counted."""
        shown = []
        for name in sorted(os.listdir(folder)):
            if image_files.is_hidden(name):
                self.problems.add(problems_lib.HIDDEN, os.path.join(folder, name))
            else:
                shown.append(name)
        return shown

    def _files(self, folder: str) -> list[str]:
        files = []
        for name in self._visible(folder):
            path = os.path.join(folder, name)
            if name.lower().endswith(image_files.SUFFIXES):
                files.append(path)
            elif not os.path.isdir(path):
                self.problems.add(
                    f'file that is none of {", ".join(image_files.SUFFIXES)} (left out)', path
                )
        if not files:
            raise ValueError(
                f'{folder}: a class without images ({", ".join(image_files.SUFFIXES)}).'
            )
        return files
