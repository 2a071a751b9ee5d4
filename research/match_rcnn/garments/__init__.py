"""Drawn garments in the format of DeepFashion2, for work without the gated photographs.

`dataset.generate` makes a folder of images and annotations; `python -m
research.match_rcnn.garments` is its command. From the item to the picture:

- `cuts`, `prints`, `identities`: what an item is: its cut, its print, its styles;
- `body`, `upper`, `lower`: its shape on a posed figure, with landmarks;
- `camera`, `canvas`, `cloth`: from the figure's coordinates to pixels;
- `backgrounds`, `people`, `outfits`, `scenes`, `effects`: shop and consumer pictures;
- `annotation`: boxes, landmarks, polygons and levels of what is visible.
"""

from research.match_rcnn.garments.dataset import generate

__all__ = ['generate']
