"""A bound on a kernel's spectral norm."""

import tensorflow as tf
import tf_keras as tfk

__all__ = ['SpectralNorm']


class SpectralNorm(tfk.constraints.Constraint):
  """Divides a kernel by its spectral norm after each update, if that is over 1.

  The norm is of the kernel as a matrix `[everything else, last axis]` (Miyato
  et al., Spectral Normalization for GANs, 2018, section 2.1), here exact, from
  the eigenvalues of its Gram matrix. `tf_keras.layers.SpectralNormalization`
  assigns the kernel at every call: a layer that reads each frame of a video
  would have changed it T times before its gradient is taken.
  """

  def __call__(self, w):
    matrix = tf.reshape(w, [-1, w.shape[-1]])
    gram = tf.matmul(matrix, matrix, transpose_a=True)
    norm = tf.sqrt(tf.reduce_max(tf.linalg.eigvalsh(gram)))
    return w / tf.maximum(norm, 1.0)
