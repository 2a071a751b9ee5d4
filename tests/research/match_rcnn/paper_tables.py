"""The cells of Tables 2 to 5 of Ge et al. 2019 in the order in which they are printed.

Columns: small, moderate, large scale; slight, medium, heavy occlusion; no, medium, large zoom-in;
no wear, frontal, side or back; overall. Table 3 has two numbers a cell: visible landmarks, and
visible and occluded ones. Table 5 has a row each for ground truth and for detected boxes, and
top-1, top-10 and top-20 for overall. RELEASE is Table 8 of the data set's README: top-1, 5, 10, 15
and 20.
"""

TABLE_2 = """
AP: .604 .700 .660 .712 .654 .372 .695 .629 .466 .624 .681 .641 .667
AP50: .780 .851 .768 .844 .810 .531 .848 .755 .563 .713 .832 .796 .814
AP75: .717 .809 .744 .812 .768 .433 .806 .718 .525 .688 .791 .744 .773
"""

TABLE_3 = """
AP: .587 .497 .687 .607 .599 .555 .669 .643 .631 .530 .398 .248 .688 .616 .559 .489 .375 .319 .527
.510 .677 .596 .536 .456 .641 .563
AP50: .780 .764 .854 .839 .782 .774 .851 .847 .813 .799 .534 .479 .855 .848 .757 .744 .571 .549 .724
.716 .846 .832 .748 .727 .820 .805
AP75: .671 .551 .779 .703 .678 .625 .760 .739 .718 .600 .440 .236 .786 .714 .633 .537 .390 .307 .571
.550 .771 .684 .610 .506 .728 .641
"""

TABLE_4 = """
AP: .634 .700 .669 .720 .674 .389 .703 .627 .526 .695 .697 .617 .680
AP50: .831 .900 .844 .900 .878 .559 .899 .815 .663 .829 .886 .843 .873
AP75: .765 .838 .786 .850 .813 .463 .842 .740 .613 .792 .834 .732 .812
"""

TABLE_5 = """
class, truth: .513 .619 .547 .580 .556 .503 .608 .557 .441 .555 .580 .533 .122 .363 .464
class, detected: .445 .558 .515 .542 .514 .361 .557 .514 .409 .508 .529 .519 .104 .321 .417
pose, truth: .695 .775 .729 .752 .729 .698 .769 .742 .618 .725 .755 .705 .255 .555 .647
pose, detected: .619 .695 .688 .704 .668 .559 .700 .693 .572 .682 .690 .654 .234 .495 .589
mask, truth: .641 .705 .663 .688 .656 .645 .708 .670 .556 .650 .690 .653 .187 .471 .573
mask, detected: .584 .656 .632 .657 .619 .512 .663 .630 .541 .628 .645 .602 .175 .421 .529
pose+class, truth: .752 .786 .733 .754 .750 .728 .789 .750 .620 .726 .771 .719 .268 .574 .665
pose+class, detected: .691 .730 .705 .725 .706 .605 .746 .709 .582 .699 .723 .684 .244 .522 .617
mask+class, truth: .679 .738 .685 .711 .695 .651 .742 .699 .569 .677 .719 .678 .214 .510 .607
mask+class, detected: .623 .696 .661 .685 .659 .568 .708 .667 .566 .659 .676 .657 .200 .463 .564
"""

RELEASE = """
class: .079 .198 .273 .329 .366
pose: .182 .326 .416 .469 .510
mask: .135 .271 .350 .407 .447
pose+class: .192 .345 .435 .488 .524
mask+class: .152 .295 .379 .435 .477
"""


def rows(table: str) -> dict[str, list[float]]:
    """The numbers of each row of one of the tables, by the row's name."""
    found: dict[str, list[float]] = {}
    for line in table.strip().splitlines():
        name, colon, numbers = line.rpartition(': ')
        if colon:
            last = found.setdefault(name, [])
        last += map(float, numbers.split())
    return found
