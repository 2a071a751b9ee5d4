"""One package per paper."""

from official.compat import legacy_keras

legacy_keras.choose()  # Before anything touches tf.keras.
