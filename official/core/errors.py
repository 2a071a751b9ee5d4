"""Messages for users: near matches, and which exceptions are bad input rather than bugs.

The house's convention: a bad path, name or value is a `raise` of a built-in exception in this
project's own code, its message one sentence that names the file, field and value. The launcher
prints that sentence alone. What a library raises, and any other exception, is a bug until shown
otherwise and keeps its traceback.
"""

from __future__ import annotations

import difflib
import dis
from collections.abc import Iterable

_OURS = ('official', 'research', 'tests')
_KINDS = (ValueError, OSError, RuntimeError, FloatingPointError, ImportError)
# AutoGraph puts the first line, and frames, before what a graph raises; Keras the other behind it.
_AROUND = ('in user code:', 'Call arguments received by layer')
# gin puts this line, and what follows it, after the message of whatever passes through it.
_GIN_SUFFIX = ('\n  No values supplied by Gin', '\n  In call to configurable')
# Packages that an install may lack, and how to get them.
_MISSING = {
    'tf_agents': 'DQN needs tf-agents, which no install brings on Python 3.12 and later, as it '
    'asks for packages that are not to be had there: pip install --no-deps tf-agents==0.19.0.',
}


def did_you_mean(word: str, choices: Iterable[str]) -> str:
    """Returns the end of a sentence: '; did you mean a or b?', or what there is if little is.

    Args:
      word: what was written.
      choices: what could have been meant; a match ignores case and looks at the parts of dotted
        names too, so that `LaderNetwork` finds `model.LadderNetwork`.
    """
    choices = sorted(set(choices))
    by_part: dict[str, list[str]] = {}
    for choice in choices:
        for key in (choice.lower(), choice.lower().rsplit('.', 1)[-1]):
            by_part.setdefault(key, []).append(choice)
    keys = difflib.get_close_matches(word.lower(), by_part, n=3, cutoff=0.7)
    near = list(dict.fromkeys(choice for key in keys for choice in by_part[key]))[:3]
    if near:
        return f'; did you mean {" or ".join(near)}?'
    if 0 < len(choices) <= 8:
        return f'; there is {", ".join(choices)}.'
    return '.'


def sentence(error: BaseException) -> str | None:
    """Returns the sentence that tells a user of bad input, or None if `error` is a bug."""
    if isinstance(error, ModuleNotFoundError) and error.name in _MISSING:
        return _MISSING[error.name]
    if not isinstance(error, _KINDS) or not _raised_here(error):
        return None
    text = str(error)
    for suffix in _GIN_SUFFIX:
        text = text.split(suffix)[0]
    if any(line in text for line in _AROUND):
        # The message is the last line between the two.
        last = text.split(_AROUND[1])[0].strip().splitlines()[-1]
        text = last.strip().removeprefix(f'{type(error).__name__}: ')
    return ' '.join(text.split())


def _raised_here(error: BaseException) -> bool:
    """Returns True if a `raise` of this project, not a call that failed, made `error`."""
    trace = error.__traceback__
    if trace is None:
        return False
    while trace.tb_next is not None:
        trace = trace.tb_next
    module = trace.tb_frame.f_globals.get('__name__', '')
    instruction = trace.tb_frame.f_code.co_code[trace.tb_lasti]
    ours = module == '__main__' or module.split('.')[0] in _OURS
    return ours and dis.opname[instruction] == 'RAISE_VARARGS'
