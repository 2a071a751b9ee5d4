"""Code that several papers use, and the launcher."""

from official.compat import legacy_keras

legacy_keras.choose()  # Before anything touches tf.keras.
