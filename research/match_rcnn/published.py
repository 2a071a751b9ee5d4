"""The figures that Ge et al. 2019 print, and those published with the data set.

Columns are `subsets.COLUMNS`: three levels each of scale, occlusion, zoom-in and viewpoint, and
overall.
"""

from __future__ import annotations

from research.match_rcnn import subsets

METRICS = ('AP', 'AP50', 'AP75')
FEATURES = ('class', 'pose', 'mask', 'pose+class', 'mask+class')
TOP = ('top1', 'top10', 'top20')  # Table 5's overall columns.


def _table(*rows: tuple[float, ...]) -> dict[str, dict[str, float]]:
    return {metric: dict(zip(subsets.COLUMNS, row, strict=True))
            for metric, row in zip(METRICS, rows, strict=True)}


# Table 2, of Mask R-CNN.
BOX = _table(
    (.604, .700, .660, .712, .654, .372, .695, .629, .466, .624, .681, .641, .667),
    (.780, .851, .768, .844, .810, .531, .848, .755, .563, .713, .832, .796, .814),
    (.717, .809, .744, .812, .768, .433, .806, .718, .525, .688, .791, .744, .773))

# Table 3, of Mask R-CNN: on visible landmarks only, and on visible and occluded ones.
LANDMARKS_VISIBLE = _table(
    (.587, .687, .599, .669, .631, .398, .688, .559, .375, .527, .677, .536, .641),
    (.780, .854, .782, .851, .813, .534, .855, .757, .571, .724, .846, .748, .820),
    (.671, .779, .678, .760, .718, .440, .786, .633, .390, .571, .771, .610, .728))
LANDMARKS = _table(
    (.497, .607, .555, .643, .530, .248, .616, .489, .319, .510, .596, .456, .563),
    (.764, .839, .774, .847, .799, .479, .848, .744, .549, .716, .832, .727, .805),
    (.551, .703, .625, .739, .600, .236, .714, .537, .307, .550, .684, .506, .641))

# Table 4, of Mask R-CNN.
MASK = _table(
    (.634, .700, .669, .720, .674, .389, .703, .627, .526, .695, .697, .617, .680),
    (.831, .900, .844, .900, .878, .559, .899, .815, .663, .829, .886, .843, .873),
    (.765, .838, .786, .850, .813, .463, .842, .740, .613, .792, .834, .732, .812))


def _features(*rows: tuple[tuple[float, ...], tuple[float, ...]]) -> dict:
    columns = (*subsets.COLUMNS[:-1], *TOP)
    return {features: {boxes: dict(zip(columns, row, strict=True))
                       for boxes, row in zip(('truth', 'detected'), pair, strict=True)}
            for features, pair in zip(FEATURES, rows, strict=True)}


# Table 5: top-20 accuracy of queries with over 5 shop items, by level; and of all queries top-1,
# top-10 and top-20. With ground truth boxes, and with detected ones. The overall columns are all
# that is printed of Figure 6(d), a picture.
RETRIEVAL = _features(
    ((.513, .619, .547, .580, .556, .503, .608, .557, .441, .555, .580, .533, .122, .363, .464),
     (.445, .558, .515, .542, .514, .361, .557, .514, .409, .508, .529, .519, .104, .321, .417)),
    ((.695, .775, .729, .752, .729, .698, .769, .742, .618, .725, .755, .705, .255, .555, .647),
     (.619, .695, .688, .704, .668, .559, .700, .693, .572, .682, .690, .654, .234, .495, .589)),
    ((.641, .705, .663, .688, .656, .645, .708, .670, .556, .650, .690, .653, .187, .471, .573),
     (.584, .656, .632, .657, .619, .512, .663, .630, .541, .628, .645, .602, .175, .421, .529)),
    ((.752, .786, .733, .754, .750, .728, .789, .750, .620, .726, .771, .719, .268, .574, .665),
     (.691, .730, .705, .725, .706, .605, .746, .709, .582, .699, .723, .684, .244, .522, .617)),
    ((.679, .738, .685, .711, .695, .651, .742, .699, .569, .677, .719, .678, .214, .510, .607),
     (.623, .696, .661, .685, .659, .568, .708, .667, .566, .659, .676, .657, .200, .463, .564)))

# With the release of the data set, which is smaller than the paper's: overall (Tables 2, 4 and 6 of
# its README).
RELEASE = {
    'box': {'AP': .638, 'AP50': .789, 'AP75': .745},
    'landmarks_visible': {'AP': .605, 'AP50': .790, 'AP75': .684},
    'landmarks': {'AP': .529, 'AP50': .775, 'AP75': .596},
    'mask': {'AP': .640, 'AP50': .797, 'AP75': .754}}

# Table 8 of that README: top-k accuracy of all queries with detected boxes.
RELEASE_TOP = ('top1', 'top5', 'top10', 'top15', 'top20')
RELEASE_RETRIEVAL = {
    features: dict(zip(RELEASE_TOP, row, strict=True)) for features, row in zip(FEATURES, (
        (.079, .198, .273, .329, .366),
        (.182, .326, .416, .469, .510),
        (.135, .271, .350, .407, .447),
        (.192, .345, .435, .488, .524),
        (.152, .295, .379, .435, .477)), strict=True)}
