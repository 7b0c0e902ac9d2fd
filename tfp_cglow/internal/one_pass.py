"""A value and its log-determinant from one pass of a bijector; no cache.

TFP asks a bijector twice: `log_prob` calls `inverse`, then a log-determinant.
TFP's cache answers the second call, by the tensor's identity, for as long as
the tensors live. So it also returns values from before an assignment to a
variable, a sample's own latents, of which no gradient reaches the sample, and
it keeps bijectors alive for the life of the process.

Here a pass that a distribution asks for leaves a note on its input and its
output, and only calls by a distribution read notes. A distribution takes its
data to a bijector first, and that call always computes. Notes are attributes of
tensors: they die with them.

A distribution is known by its frame on the stack. AutoGraph, which converts a
`tf.function` with all that it calls, would put frames of its own between, so it
does not convert what asks for a pair. (It never converts TFP.)
"""

import collections
import sys
import weakref

import tensorflow as tf

__all__ = ['Direct', 'OnePass', 'forward_and_ldj', 'inverse_and_ldj']

_NOTES = '_tfp_cglow_notes'
_TFP = 'tensorflow_probability.'
_OURS = (_TFP, 'tfp_cglow.')

# `source` is the tensor that `inverse` mapped to this one, or None.
_Note = collections.namedtuple('_Note', 'bijector conditions ildj source')


@tf.autograph.experimental.do_not_convert
def inverse_and_ldj(bijector, y, event_ndims, conditions):
  """`inverse` and `inverse_log_det_jacobian` of any bijector, in one pass."""
  x = bijector.inverse(y, **conditions)
  return x, bijector.inverse_log_det_jacobian(y, event_ndims, **conditions)


@tf.autograph.experimental.do_not_convert
def forward_and_ldj(bijector, x, event_ndims, conditions):
  """`forward` and `forward_log_det_jacobian` of any bijector, in one pass."""
  y = bijector.forward(x, **conditions)
  return y, bijector.forward_log_det_jacobian(x, event_ndims, **conditions)


class Direct:
  """Replaces the attribute `_cache` of a `tfb.Bijector`: always computes."""

  def __init__(self, bijector=None):
    self._bijector = bijector

  def __get__(self, bijector, owner=None):
    return type(self)(bijector)

  def forward(self, x, **conditions):
    return self._bijector._forward(x, **conditions)

  def inverse(self, y, **conditions):
    return self._bijector._inverse(y, **conditions)

  def forward_attributes(self, x, **conditions):
    return {}

  def inverse_attributes(self, y, **conditions):
    return {}


class OnePass(Direct):
  """`Direct`, but a distribution's second call reads the first one's notes.

  The bijector has methods `_augmented_forward` and `_augmented_inverse`, which
  return the value and the log-det of the inverse.
  """

  def forward(self, x, **conditions):
    is_shared = _is_shared()
    note = self._note(x, conditions) if is_shared else None
    if note is not None and note.source is not None:
      return note.source  # `tfb.Chain` asks for it, for a log-det.
    y, ildj = self._bijector._augmented_forward(x, **conditions)
    if is_shared:
      self._leave(x, conditions, ildj)
      self._leave(y, conditions, ildj)
    return y

  def inverse(self, y, **conditions):
    x, ildj = self._bijector._augmented_inverse(y, **conditions)
    if _is_shared():
      self._leave(y, conditions, ildj)
      self._leave(x, conditions, ildj, source=y)
    return x

  def forward_attributes(self, x, **conditions):
    return self._log_det(x, conditions)

  def inverse_attributes(self, y, **conditions):
    return self._log_det(y, conditions)

  def _log_det(self, tensor, conditions):
    note = self._note(tensor, conditions) if _is_shared() else None
    return {} if note is None else {'ildj': note.ildj}

  def _leave(self, tensor, conditions, ildj, source=None):
    notes = vars(tensor).setdefault(_NOTES, {})
    notes[id(self._bijector)] = _Note(
      weakref.ref(self._bijector), conditions, ildj, source
    )

  def _note(self, tensor, conditions):
    """The note of this bijector under these conditions, or None."""
    note = vars(tensor).get(_NOTES, {}).get(id(self._bijector))
    if note is None or note.bijector() is not self._bijector:
      return None
    is_same = note.conditions.keys() == conditions.keys() and all(
      note.conditions[k] is v for k, v in conditions.items()
    )
    return note if is_same else None


_PAIRS = tuple(
  f.__wrapped__.__code__ for f in (inverse_and_ldj, forward_and_ldj)
)


def _is_shared():
  """Whether a distribution, or a function of this module, asks for both."""
  frame = sys._getframe(2)
  while frame is not None:
    module = frame.f_globals.get('__name__', '')
    if frame.f_code in _PAIRS:
      return True
    if module.startswith(_TFP) and '.distributions.' in module:
      return True
    if not module.startswith(_OURS):
      return False
    frame = frame.f_back
  return False
