"""A bound on a kernel's spectral norm."""

import tensorflow as tf
import tf_keras as tfk

__all__ = ['SpectralNorm']


class SpectralNorm(tfk.constraints.Constraint):
  """Divides a kernel by its spectral norm after an update, if it exceeds 1.

  The kernel is seen as a matrix `[all other axes, last axis]` (Miyato et al.,
  Spectral Normalization for GANs, 2018, section 2.1). Its norm is exact,
  computed from the eigenvalues of the Gram matrix.
  `tf_keras.layers.SpectralNormalization` is not used because it assigns the
  kernel at every call: a layer that is called on each of T frames would change
  its kernel T times before the gradient is taken.
  """

  def __call__(self, w):
    matrix = tf.reshape(w, [-1, w.shape[-1]])
    gram = tf.matmul(matrix, matrix, transpose_a=True)
    norm = tf.sqrt(tf.reduce_max(tf.linalg.eigvalsh(gram)))
    return w / tf.maximum(norm, 1.0)
