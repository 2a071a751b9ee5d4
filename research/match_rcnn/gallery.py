"""Indexes a folder of shop images and searches it with a photo (Ge et al. 2019, Sec. 2.2).

    ./garden python -m research.match_rcnn.gallery --images_dir=<folder of shop images> \
        --saved_model=runs/match_rcnn/garments/saved_model --query=photo.jpg

The answer is printed, and in matches.png and report.html in --index_dir. The index is kept there
for the next photo.
"""

from __future__ import annotations

import io
import os
import sys

import numpy as np
import tensorflow as tf
import tqdm
from absl import app, flags

from official.core import checks, figures, page
from official.data import image_files
from official.vision import image_reader
from research.match_rcnn import pictures

_INDEX = 'index.npz'
_COLUMNS = ('images', 'boxes', 'classes', 'scores', 'embeddings')
_AT_ONCE = 20000  # Similarities in one call.


class Gallery:
    """The items in a folder of shop images, found by a photo.

    `update` looks at the images below a folder with an exported model and keeps every detection's
    box, class and embedding in `<index_dir>/index.npz`. Images that are in it already are not
    looked at again. `search` finds the items that match one in a photo.

    Args:
      index_dir: folder of the index, of `matches.png` and of `report.html`.
      images_dir: folder of the gallery's images, and of folders of such.
      saved_model: folder of an exported `MatchRCNN` with a matching network.

    Raises:
      FileNotFoundError: the model or the folder is missing.
    """

    def __init__(self, index_dir: str, images_dir: str, saved_model: str):
        if not os.path.isdir(images_dir):
            raise FileNotFoundError(f'--images_dir={images_dir} is not a folder.')
        if not os.path.exists(os.path.join(saved_model, 'saved_model.pb')):
            raise FileNotFoundError(
                f'--saved_model={saved_model}: there is no exported model; train one first.'
            )
        self.index_dir, self.images_dir, self.saved_model = index_dir, images_dir, saved_model
        self._model = None

    def _signature(self, name):
        if self._model is None:
            self._model = tf.saved_model.load(self.saved_model)
        if 'similarity' not in self._model.signatures:
            raise ValueError(
                f'--saved_model={self.saved_model} has no embeddings: '
                'it was trained without a matching network.'
            )
        return self._model.signatures[name]

    def _detect(self, path) -> dict[str, np.ndarray]:
        """The real detections in an image file.

        Raises:
          tf.errors.InvalidArgumentError: no decoder reads it.
        """
        with open(path, 'rb') as file:
            found = self._signature('detect')(files=tf.constant([file.read()]))
        found = {name: values.numpy()[0] for name, values in found.items()}
        real = found['scores'] > 0
        return {
            name: found[name][real]
            for name in ('boxes', 'classes', 'names', 'scores', 'embeddings')
        }

    # The index.

    def update(self) -> None:
        """Looks at the images that the index does not have.

        Raises:
          ValueError: the model has no embeddings, or no image can be read.
        """
        stamp = os.stat(os.path.join(self.saved_model, 'saved_model.pb'))
        stamp = f'{stamp.st_mtime_ns} {stamp.st_size}'
        old = self._read_index()
        known = {}
        if old and old['model'] == stamp:
            known = dict(zip(old['files'], _rows_of_images(old), strict=True))
        (files, others), new, damaged = _image_files(self.images_dir), [], []
        if others:
            suffixes = ', '.join(image_files.SUFFIXES)
            _tell(
                f'{self.images_dir}: left out, as hidden or none of {suffixes}: '
                f'{len(others)} x, {", ".join(others[:3])}{", ..." * (len(others) > 3)}'
            )
        there = set(files)
        if old and not there & set(old['files']):
            _tell(
                f'{self.index_dir}: the index is of other images, or of changed ones, and is made '
                'anew.'
            )
        missing = [file for file in files if file not in known]
        # Where its output goes to a file, one line a while is enough.
        for file in tqdm.tqdm(missing, 'index', unit='image', disable=not sys.stderr.isatty()):
            try:
                new.append((file, self._detect(os.path.join(self.images_dir, _name(file)))))
            except tf.errors.InvalidArgumentError:
                damaged.append(_name(file))
                _tell(f'{damaged[-1]} cannot be read as an image and is skipped.')
        of_file = dict(new) | {
            file: {name: old[name][rows] for name in _COLUMNS[1:]}
            for file, rows in known.items()
            if file in there
        }
        files = [file for file in files if file in of_file]
        if not files:
            raise ValueError(f'--images_dir={self.images_dir} has no image that can be read.')
        columns = {
            name: np.concatenate([of_file[file][name] for file in files]) for name in _COLUMNS[1:]
        }
        counts = [len(of_file[file]['scores']) for file in files]
        self._write_index(
            files=files,
            model=stamp,
            images=np.repeat(np.arange(len(files)), counts),
            damaged=np.array(damaged, str),
            **columns,
        )

    def _write_index(self, **arrays):
        data = io.BytesIO()
        np.savez(data, **arrays)
        os.makedirs(self.index_dir, exist_ok=True)
        path = os.path.join(self.index_dir, _INDEX)
        with open(path + '.partial', 'wb') as file:
            file.write(data.getvalue())
        os.replace(path + '.partial', path)

    def _read_index(self) -> dict | None:
        path = os.path.join(self.index_dir, _INDEX)
        if not os.path.exists(path):
            return None
        with np.load(path, allow_pickle=False) as file:
            index = dict(file)
        return index | {'files': index['files'].tolist(), 'model': str(index['model'])}

    # The search.

    def search(
        self, query: str, query_class: str | None = None, matches: int = 5, least_score: float = 0.3
    ) -> dict:
        """Searches the index for an item of a photo; the picture is `matches.png`.

        Args:
          query: path of the photo.
          query_class: name of the class of the item; None: the most certain item.
          matches: number of images to find, the best item of each.
          least_score: score below which items of the gallery are not found.

        Returns:
          {'images', 'items', 'damaged': of the index, 'query', 'query_class', 'query_box',
          'matches': [{'file', 'box', 'score', 'similarity'}, ...], the best first}.

        Raises:
          FileNotFoundError: the index, the photo or an indexed image is missing.
          ValueError: nothing can be found in the photo, or in the gallery.
        """
        checks.positive('search', matches=matches)
        checks.within('search', 0, 1, least_score=least_score)
        if not os.path.isfile(query):
            raise FileNotFoundError(f'--query={query}: there is no such file.')
        index = self._read_index()
        if index is None:
            raise FileNotFoundError(f'{self.index_dir} has no index; update it first.')
        item = self._item(query, query_class)
        wanted = np.flatnonzero(index['scores'] >= least_score)
        if not len(wanted):
            raise ValueError(
                f'{self.images_dir}: no item is as certain as --least_score={least_score}.'
            )
        vectors = index['embeddings'][wanted]
        similar = np.concatenate(
            [
                self._similarity(item['embedding'], vectors[start : start + _AT_ONCE])
                for start in range(0, len(vectors), _AT_ONCE)
            ]
        )
        # Of an image only the best item: the others are seen beside it.
        found, images = [], set()
        for row in wanted[np.argsort(-similar, kind='stable')]:
            image = int(index['images'][row])
            if image not in images:
                images.add(image)
                found.append((row, float(similar[np.searchsorted(wanted, row)])))
            if len(found) == matches:
                break
        rows = [
            {
                'file': _name(index['files'][index['images'][row]]),
                'box': [float(value) for value in index['boxes'][row]],
                'score': float(index['scores'][row]),
                'similarity': probability,
            }
            for row, probability in found
        ]
        shown = [(self._image(row['file']), row['box'], None) for row in rows]
        picture = pictures.retrieved(_read(query), item['box'], shown)
        path = os.path.join(self.index_dir, 'matches.png')
        figures.write_png(path, picture / 255)
        print(f'{query}, {item["name"]}; probability of a match:')
        for row in rows:
            print(f'  {row["similarity"]:.3f}  {row["file"]}')
        print(path, flush=True)
        return {
            'images': len(index['files']),
            'items': len(index['scores']),
            'damaged': index['damaged'].tolist(),
            'query': query,
            'query_class': item['name'],
            'query_box': item['box'],
            'matches': rows,
        }

    def _image(self, name):
        path = os.path.join(self.images_dir, name)
        if not os.path.exists(path):
            raise FileNotFoundError(f'{path} is in the index and no longer there; update it.')
        return _read(path)

    def _item(self, query, query_class):
        """The item of the photo that is searched."""
        try:
            found = self._detect(query)
        except tf.errors.InvalidArgumentError:
            raise ValueError(f'--query={query} cannot be read as an image.') from None
        names = [name.decode() for name in found['names']]
        for row, name in enumerate(names):  # The most certain first.
            if query_class in (None, name):
                return {
                    'name': name,
                    'box': [float(value) for value in found['boxes'][row]],
                    'embedding': found['embeddings'][row],
                }
        what = 'item' if query_class is None else query_class
        raise ValueError(
            f'--query={query}: no {what} is found in it'
            + (f'; there is {", ".join(dict.fromkeys(names))}.' if names else '.')
        )

    def _similarity(self, vector, vectors):
        repeated = np.broadcast_to(vector, vectors.shape)
        answer = self._signature('similarity')(v1=tf.constant(repeated), v2=tf.constant(vectors))
        return answer['probability'].numpy()

    def report(self, found: dict) -> str:
        """Writes `report.html` of a search and returns its path.

        Args:
          found: the answer of `search`.
        """
        rows = [(match['file'], match['similarity']) for match in found['matches']]
        picture = np.asarray(_read(os.path.join(self.index_dir, 'matches.png')))
        section = page.Section(
            'What was found',
            figures.image_grid([[picture / 255]], [''], [''], large=True)
            + page.table(rows, ('file', 'probability of a match')),
        )
        summary = page.paragraph(
            f'{page.number(found["items"])} items in {page.number(found["images"])} images.'
        )
        return page.write_report(
            os.path.join(self.index_dir, 'report.html'), 'Search in a gallery', summary, [section]
        )


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _image_files(folder: str) -> tuple[list[str], list[str]]:
    """Image files below a folder with what tells that one has changed, and all others, in order.

    Hidden files are among the others; hidden folders are not looked into.
    """
    files, others = [], []
    for where, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not image_files.is_hidden(name)]
        for name in names:
            path = os.path.join(where, name)
            if image_files.is_hidden(name) or not name.lower().endswith(image_files.SUFFIXES):
                others.append(os.path.relpath(path, folder))
            else:
                stat = os.stat(path)
                files.append(f'{os.path.relpath(path, folder)}|{stat.st_size}|{stat.st_mtime_ns}')
    return sorted(files), sorted(others)


def _name(file: str) -> str:
    """The path below the folder, without what tells of changes."""
    return file.rsplit('|', 2)[0]


def _rows_of_images(index) -> list[np.ndarray]:
    return [np.flatnonzero(index['images'] == number) for number in range(len(index['files']))]


def _read(path: str) -> np.ndarray:
    with open(path, 'rb') as file:
        return image_reader.decode(file.read()).numpy()


def _define_flags() -> None:
    flags.DEFINE_string('images_dir', None, 'Folder of the shop images.', required=True)
    flags.DEFINE_string(
        'saved_model', 'runs/match_rcnn/garments/saved_model', 'Folder of an exported Match R-CNN.'
    )
    flags.DEFINE_string(
        'index_dir', 'runs/match_rcnn/gallery', 'Folder of the index and of what is found.'
    )
    flags.DEFINE_string('query', None, 'Photo to search with; without one the index is updated.')
    flags.DEFINE_string('query_class', None, 'Class of the item in the photo.')
    flags.DEFINE_integer('matches', 5, 'Number of images to find.')
    flags.DEFINE_float('least_score', 0.3, 'Score below which items are not found.')


def main(arguments: list[str]) -> None:
    """Updates the index and searches it, as the flags say."""
    del arguments
    values = flags.FLAGS
    try:
        gallery = Gallery(values.index_dir, values.images_dir, values.saved_model)
        gallery.update()
        if values.query is not None:
            found = gallery.search(
                values.query, values.query_class, values.matches, values.least_score
            )
            print(gallery.report(found))
    except (FileNotFoundError, ValueError) as error:
        raise SystemExit(f'error: {error}') from None


if __name__ == '__main__':
    _define_flags()
    app.run(main)
