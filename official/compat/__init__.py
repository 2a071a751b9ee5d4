"""Differences between the two stacks, and every use of a private API of Keras or TensorFlow.

The stacks are TensorFlow 2.15 with Keras 2.15 (Python 3.11), and TensorFlow 2.16 or later with
tf-keras, which is Keras 2 under another name (Python 3.12 and 3.13). All other code sees one
`tf.keras`.

- `legacy_keras` chooses that `tf.keras`, before anything touches it.
- `start_up` keeps back what newer TensorFlow writes while it is imported.
- `keras_private` and `tensorflow_private` hold what has no public name; a test finds any other.
- `reverb_server` imports dm-reverb, which the second stack lacks.
"""
