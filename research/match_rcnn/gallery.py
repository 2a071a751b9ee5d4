"""Indexes a folder of shop images and searches it with a photo (Ge et al. 2019, Sec. 2.2)."""

from __future__ import annotations

import io
import json
import os
import sys

import numpy as np
import tensorflow as tf
import tqdm

from official.core import checks, experiment, figures, page, report, run_folder
from official.data import image_files
from official.vision import image_reader
from research.match_rcnn import pictures

_INDEX = 'index.npz'
_COLUMNS = ('images', 'boxes', 'classes', 'scores', 'embeddings')
_AT_ONCE = 20000  # Similarities in one call.


class GallerySearch(experiment.Experiment):
    """Training makes the index of a gallery, evaluation searches it with one photo.

    `train` looks at the images below the folder `data_dir` with an exported model and keeps every
    detection's box, class and embedding in `<run_dir>/index.npz`; images that are in it already are
    not looked at again. `evaluate` searches it for the most certain item of the query, or that of a
    class; the picture of what it finds is `matches.png` and in the report.

    Args:
      run_dir: see `Experiment`.
      seed: see `Experiment`; nothing here is random.
      data_dir: folder of the gallery's images, and of folders of such.
      strategy: see `Experiment`; not used.
      saved_model: folder of an exported `MatchRCNN` with a matching network.
      query: path of a photo.
      query_class: name of the class of the item that is searched; None: the most certain item.
      query_matches: how many to show, the best item of an image each.
      query_least_score: detections in the gallery that are less certain are not shown.

    Raises:
      FileNotFoundError: the model, the folder, the query or an indexed image is missing.
      ValueError: nothing can be found in the query; the model has no embeddings.
    """

    # One index answers many queries.
    changeable = ('query', 'query_class', 'query_matches', 'query_least_score')

    def __init__(
        self,
        run_dir: str,
        seed: int = 0,
        data_dir: str | None = None,
        strategy: tf.distribute.Strategy | None = None,
        *,
        saved_model: str = 'runs/match_rcnn/garments/saved_model',
        query: str | None = None,
        query_class: str | None = None,
        query_matches: int = 5,
        query_least_score: float = 0.3,
    ):
        super().__init__(run_dir, seed, data_dir, strategy)
        checks.positive('GallerySearch', query_matches=query_matches)
        checks.within('GallerySearch', 0, 1, query_least_score=query_least_score)
        if data_dir is None:
            raise FileNotFoundError('--data_dir is needed: the folder of the shop images.')
        if not os.path.isdir(data_dir):
            raise FileNotFoundError(f'--data_dir={data_dir} is not a folder.')
        if not os.path.exists(os.path.join(saved_model, 'saved_model.pb')):
            raise FileNotFoundError(
                f'GallerySearch.saved_model = {saved_model}: there is no '
                'exported model; train one first.'
            )
        if query is not None and not os.path.isfile(query):
            raise FileNotFoundError(f'GallerySearch.query = {query}: there is no such file.')
        self.saved_model, self.query, self.query_class = saved_model, query, query_class
        self.query_matches, self.query_least_score = query_matches, query_least_score
        self._model = None

    def _signature(self, name):
        if self._model is None:
            self._model = tf.saved_model.load(self.saved_model)
        if 'similarity' not in self._model.signatures:
            raise ValueError(
                f'GallerySearch.saved_model = {self.saved_model} has no embeddings: '
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

    def train(self) -> None:
        stamp = os.stat(os.path.join(self.saved_model, 'saved_model.pb'))
        stamp = f'{stamp.st_mtime_ns} {stamp.st_size}'
        old = self._read_index()
        known = {}
        if old and old['model'] == stamp:
            known = dict(zip(old['files'], _rows_of_images(old), strict=True))
        (files, others), new, damaged = _image_files(self.data_dir), [], []
        if others:
            suffixes = ', '.join(image_files.SUFFIXES)
            _tell(
                f'{self.data_dir}: left out, as hidden or none of {suffixes}: '
                f'{len(others)} x, {", ".join(others[:3])}{", ..." * (len(others) > 3)}'
            )
        there = set(files)
        if old and not there & set(old['files']):
            _tell(
                f'{self.run_dir}: the index is of other images, or of changed ones, and is made '
                'anew.'
            )
        missing = [file for file in files if file not in known]
        # Where its output goes to a file, one line a while is enough.
        for file in tqdm.tqdm(missing, 'index', unit='image', disable=not sys.stderr.isatty()):
            try:
                new.append((file, self._detect(os.path.join(self.data_dir, _name(file)))))
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
            raise ValueError(f'--data_dir={self.data_dir} has no image that can be read.')
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
        os.makedirs(self.run_dir, exist_ok=True)
        path = os.path.join(self.run_dir, _INDEX)
        with open(path + '.partial', 'wb') as file:
            file.write(data.getvalue())
        os.replace(path + '.partial', path)

    def _read_index(self) -> dict | None:
        path = os.path.join(self.run_dir, _INDEX)
        if not os.path.exists(path):
            return None
        with np.load(path, allow_pickle=False) as file:
            index = dict(file)
        return index | {'files': index['files'].tolist(), 'model': str(index['model'])}

    # The search.

    def evaluate(self) -> dict:
        index = self._read_index()
        if index is None:
            raise FileNotFoundError(f'{self.run_dir} has no index: train first.')
        result = {
            'images': len(index['files']),
            'items': len(index['scores']),
            'damaged': index['damaged'].tolist(),
        }
        if self.query is not None:
            result |= self._search(index)
        run_folder.write_text(
            os.path.join(self.run_dir, run_folder.RESULT), json.dumps(result, indent=2) + '\n'
        )
        return result

    def _search(self, index):
        item = self._item()
        wanted = np.flatnonzero(index['scores'] >= self.query_least_score)
        if not len(wanted):
            raise ValueError(
                f'{self.data_dir}: no item is as certain as '
                f'GallerySearch.query_least_score = {self.query_least_score}.'
            )
        vectors = index['embeddings'][wanted]
        similar = np.concatenate(
            [
                self._similarity(item['embedding'], vectors[start : start + _AT_ONCE])
                for start in range(0, len(vectors), _AT_ONCE)
            ]
        )
        # Of an image only the best item: the others are seen beside it.
        matches, images = [], set()
        for row in wanted[np.argsort(-similar, kind='stable')]:
            image = int(index['images'][row])
            if image not in images:
                images.add(image)
                matches.append((row, float(similar[np.searchsorted(wanted, row)])))
            if len(matches) == self.query_matches:
                break
        rows = [
            {
                'file': _name(index['files'][index['images'][row]]),
                'box': [float(value) for value in index['boxes'][row]],
                'score': float(index['scores'][row]),
                'similarity': probability,
            }
            for row, probability in matches
        ]
        query = _read(self.query)
        picture = pictures.retrieved(
            query, item['box'], [(self._image(row['file']), row['box'], None) for row in rows]
        )
        path = os.path.join(self.run_dir, 'matches.png')
        figures.write_png(path, picture / 255)
        print(f'{self.query}, {item["name"]}; probability of a match:')
        for row in rows:
            print(f'  {row["similarity"]:.3f}  {row["file"]}')
        print(path, flush=True)
        return {
            'query': self.query,
            'query_class': item['name'],
            'query_box': item['box'],
            'matches': rows,
        }

    def _image(self, name):
        path = os.path.join(self.data_dir, name)
        if not os.path.exists(path):
            raise FileNotFoundError(f'{path} is in the index and no longer there: train again.')
        return _read(path)

    def _item(self):
        """What is searched in the query."""
        try:
            found = self._detect(self.query)
        except tf.errors.InvalidArgumentError:
            raise ValueError(
                f'GallerySearch.query = {self.query} cannot be read as an image.'
            ) from None
        names = [name.decode() for name in found['names']]
        for row, name in enumerate(names):  # The most certain first.
            if self.query_class in (None, name):
                return {
                    'name': name,
                    'box': [float(value) for value in found['boxes'][row]],
                    'embedding': found['embeddings'][row],
                }
        what = 'item' if self.query_class is None else self.query_class
        raise ValueError(
            f'GallerySearch.query = {self.query}: no {what} is found in it'
            + (f'; there is {", ".join(dict.fromkeys(names))}.' if names else '.')
        )

    def _similarity(self, vector, vectors):
        repeated = np.broadcast_to(vector, vectors.shape)
        answer = self._signature('similarity')(v1=tf.constant(repeated), v2=tf.constant(vectors))
        return answer['probability'].numpy()

    def export(self) -> str:
        """There is no other model than the one that was given: its path."""
        return self.saved_model

    def report(self) -> str:
        result = report.read_result(os.path.join(self.run_dir, run_folder.RESULT))
        sections = []
        if 'matches' in result:
            rows = [(match['file'], match['similarity']) for match in result['matches']]
            picture = np.asarray(_read(os.path.join(self.run_dir, 'matches.png')))
            sections.append(
                page.Section(
                    'What was found',
                    figures.image_grid([[picture / 255]], [''], [''], large=True)
                    + page.table(rows, ('file', 'probability of a match')),
                )
            )
        summary = page.paragraph(
            f'{page.number(result["items"])} items in {page.number(result["images"])} images.'
        )
        return page.write_report(
            os.path.join(self.run_dir, 'report.html'), 'Search in a gallery', summary, sections
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
