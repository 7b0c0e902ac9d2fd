"""Compares the variables of a checkpoint with those of an object."""

import collections

import tensorflow as tf
from tensorflow.core.protobuf import trackable_object_graph_pb2

from tfp_cglow.internal import plain_paths

__all__ = ['check_matches']


def check_matches(path, root, name):
  """Raises unless a checkpoint fits `getattr(root, name)`; assigns nothing.

  TensorFlow restores what fits and leaves the rest as it is.

  Args:
    path: Python `str`, path of a checkpoint of `root`.
    root: The object that was saved.
    name: Python `str`, name of one of its attributes.

  Raises:
    ValueError: if a variable is missing on either side, or has another shape.
  """
  ours = _shapes_in_object(root, name)
  theirs = _shapes_in_checkpoint(path, name)
  wrong = sorted(
    k for k in ours.keys() | theirs.keys() if ours.get(k) != theirs.get(k)
  )
  if wrong:
    first = wrong[0]
    raise ValueError(
      f'Expected a checkpoint of the same architecture: {len(ours)} variables '
      f'in `{name}`, but {path} has {len(theirs)}, and {len(wrong)} differ or '
      f'are on one side only. The first is {first}: expected '
      f'{ours.get(first, "none")}, but got {theirs.get(first, "none")}.'
    )


def _shapes_in_object(root, name):
  view = tf.train.TrackableView(root)
  start = view.children(root).get(name)

  def shape(node):
    return node.shape.as_list() if isinstance(node, tf.Variable) else None

  return _shapes(start, view.children, shape, id)


def _shapes_in_checkpoint(path, name):
  reader = tf.train.load_checkpoint(plain_paths.plain(path))
  shapes = reader.get_variable_to_shape_map()
  graph = trackable_object_graph_pb2.TrackableObjectGraph()
  graph.ParseFromString(reader.get_tensor('_CHECKPOINTABLE_OBJECT_GRAPH'))

  def children(node):
    found = graph.nodes[node].children
    return {child.local_name: child.node_id for child in found}

  def shape(node):
    for attribute in graph.nodes[node].attributes:
      if attribute.name == 'VARIABLE_VALUE':
        return list(shapes[attribute.checkpoint_key])
    return None

  return _shapes(children(0).get(name), children, shape, int)


def _shapes(start, children, shape, identity):
  """Shapes of variables by their shortest paths from `start`."""
  found = {}
  if start is None:
    return found
  seen, queue = {identity(start)}, collections.deque([('', start)])
  while queue:
    path, node = queue.popleft()
    size = shape(node)
    if size is not None:
      found[path] = size
      continue
    for name, child in sorted(children(node).items()):
      if identity(child) not in seen:
        seen.add(identity(child))
        queue.append((f'{path}/{name}' if path else name, child))
  return found
