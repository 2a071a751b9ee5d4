"""The import of TensorFlow without its notes on standard error."""

from __future__ import annotations

import faulthandler
import importlib
import os
import shutil
import sys
import tempfile

# The level at which TensorFlow's own code writes errors only.
QUIET = '3'


def import_tensorflow() -> None:
    """Imports TensorFlow; what it writes to standard error meanwhile is shown if that fails.

    From 2.18 on its libraries write notes on oneDNN and CUDA with absl's logging, before that is
    set up: no variable keeps them back, only another file in the place of file descriptor 2. They
    are notes for developers, and each run would begin with them.

    Nothing is kept back unless `TF_CPP_MIN_LOG_LEVEL` is 3: another level asks to see them.
    """
    if 'tensorflow' in sys.modules or os.environ.get('TF_CPP_MIN_LOG_LEVEL') != QUIET:
        importlib.import_module('tensorflow')
        return
    sys.stderr.flush()
    try:
        standard_error = os.dup(2)
    except OSError:  # It is closed: there is nothing to keep back.
        importlib.import_module('tensorflow')
        return
    with os.fdopen(standard_error, 'wb') as shown, tempfile.TemporaryFile() as notes:
        # A crash in the libraries shows where it was, not in a file that nobody sees.
        traced = faulthandler.is_enabled()
        faulthandler.enable(shown)
        os.dup2(notes.fileno(), 2)
        try:
            importlib.import_module('tensorflow')
        except BaseException:
            sys.stderr.flush()
            notes.seek(0)
            shutil.copyfileobj(notes, shown)
            raise
        finally:
            sys.stderr.flush()
            os.dup2(shown.fileno(), 2)
            faulthandler.disable()
            if traced:
                faulthandler.enable()
