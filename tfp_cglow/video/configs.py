"""Arguments of `build_video_flow` and `compile` as JSON, for saved models."""

import dataclasses
import json

import numpy as np

from tfp_cglow.bijectors import specs as glow_specs
from tfp_cglow.video import context_warp
from tfp_cglow.video import objective
from tfp_cglow.video import specs

__all__ = ['from_json', 'to_json']

_SPECS = {
  name: getattr(module, name)
  for module in (glow_specs, specs)
  for name in module.__all__
} | {
  kind.__name__: kind
  for kind in (objective.VideoLoss, context_warp.ContextWarp)
}


def to_json(arguments):
  """Encodes arguments that may be specs or a `VideoLoss`.

  Args:
    arguments: `dict` of arguments by name.

  Returns:
    Python `str`; None if an argument has no JSON, such as a network.
  """
  try:
    return json.dumps(arguments, default=_encode)
  except TypeError:
    return None


def from_json(text):
  """Decodes what `to_json` returned: `dict` of arguments by name."""
  return json.loads(text, object_hook=_decode)


def _encode(value):
  if isinstance(value, np.generic):
    return value.item()
  name = type(value).__name__
  if _SPECS.get(name) is not type(value):
    raise TypeError(f'{value!r} has no JSON.')
  fields = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
  return {'spec': name, **fields}


def _decode(values):
  if 'spec' not in values:
    return values
  return _SPECS[values.pop('spec')](**values)
