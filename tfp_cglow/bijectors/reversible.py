"""The loops of `Scan`, and the gradient that recomputes activations.

The reversible gradient is that of Gomez et al., The Reversible Residual
Network: Backpropagation Without Storing Activations (NeurIPS, 2017).
"""

import weakref

import tensorflow as tf

# Internal, see `_leave_gradient_to_graph`.
from tensorflow.python.framework import ops

from tfp_cglow.internal import one_pass

__all__ = [
  'loop',
  'reversible_scan_inverse',
  'scan_inverse',
  'stack_reader',
  'zero_ildj',
]


def stack_reader(stacks):
  """A function from k to the k-th slices of a structure of stacks.

  It reads from a TensorArray, because the gradient of such a read writes one
  slice. The gradient of `stack[k]` would be as large as the whole stack.
  """
  arrays = tf.nest.map_structure(
    lambda p: tf.TensorArray(
      p.dtype,
      size=p.shape[0],
      element_shape=p.shape[1:],
      clear_after_read=False,
    ).unstack(p),
    stacks,
  )

  def read(k):
    return tf.nest.map_structure(lambda a: a.read(k), arrays)

  return read


def zero_ildj(x):
  """Zeros `[...]` for `x` `[..., H, W, C]`."""
  return tf.zeros_like(x[..., 0, 0, 0])


def loop(num_steps, body, *state):
  """Runs `body(i, *state) -> (i + 1, *state)` `num_steps` times."""
  _, *state = tf.while_loop(
    lambda i, *_: i < num_steps,
    body,
    (0, *state),
    parallel_iterations=1,
    maximum_iterations=num_steps,
  )
  return state


def _slice_reader(stacks):
  """`stack_reader` for loops that are not differentiated.

  It copies one slice in each step. `unstack` copies whole stacks. As they
  depend on variables only, TensorFlow would copy the stacks of all blocks at
  the start of a training step.
  """
  return lambda k: tf.nest.map_structure(lambda p: p[k], stacks)


def scan_inverse(make_step, stacks, y, conditions, reader=stack_reader):
  """Applies the inverses of all steps; returns `(x, ildj)`."""
  read = reader(stacks)

  def body(i, y, ildj):
    step = make_step(read(i))
    x, step_ildj = one_pass.inverse_and_ldj(step, y, 3, conditions)
    return i + 1, tf.ensure_shape(x, y.shape), ildj + step_ildj

  num_steps = tf.nest.flatten(stacks)[0].shape[0]
  return loop(num_steps, body, y, zero_ildj(y))


def reversible_scan_inverse(make_step, stacks, y, conditions, with_inverses):
  """`scan_inverse` with a gradient whose memory does not grow with K.

  Args:
    make_step: See `Scan`.
    stacks: Structure of tensors `[K, ...]`.
    y: Data `[..., H, W, C]`.
    conditions: `dict` of tensors.
    with_inverses: Function that adds inverse matrices to `stacks`, see `Scan`;
      the gradient uses its result to recompute the steps' inputs.

  Returns:
    x: Latent `[..., H, W, C]`.
    ildj: `[...]`, nats.
  """
  flat_stacks = tf.nest.flatten(stacks)
  names = [k for k, v in conditions.items() if v.dtype.is_floating]
  constants = {k: v for k, v in conditions.items() if k not in names}

  @tf.custom_gradient
  def run(y, *flat):
    stacks_, maps = _unflatten(flat, stacks, names)
    x, ildj = scan_inverse(
      make_step, stacks_, y, {**constants, **maps}, _slice_reader
    )

    def gradient(dx, dildj):
      dy, dstacks, dmaps = _backward(
        make_step,
        stacks_,
        with_inverses(stacks_),
        x,
        dx,
        dildj,
        maps,
        constants,
      )
      return [dy, *dstacks, *dmaps]

    return (x, ildj), gradient

  x, ildj = run(y, *flat_stacks, *(conditions[k] for k in names))
  if not tf.executing_eagerly():
    _leave_gradient_to_graph(x)
  return x, ildj


def _leave_gradient_to_graph(x):
  """Lets the gradient of a `tf.custom_gradient` in a graph die with the graph.

  TensorFlow registers it by name for the life of the process, and it holds the
  graph: 4 MiB for each small flow. The registry gets a weak reference.

  Args:
    x: A result of the function that has the gradient.
  """
  entries = ops.gradient_registry._registry
  name = x.op.get_attr('_gradient_op_type').decode()
  gradient = entries[name]['type']
  held = getattr(x.graph, '_tfp_cglow_gradients', ())
  x.graph._tfp_cglow_gradients = (*held, gradient)
  weak = weakref.ref(gradient)
  entries[name]['type'] = lambda op, *grads: weak()(op, *grads)
  weakref.finalize(x.graph, entries.pop, name, None)


def _unflatten(flat, stacks, names):
  num_stacks = len(tf.nest.flatten(stacks))
  return (
    tf.nest.pack_sequence_as(stacks, flat[:num_stacks]),
    dict(zip(names, flat[num_stacks:])),
  )


def _backward(make_step, stacks, prepared, x, dx, dildj, maps, constants):
  """Recomputes inputs and gradients of all steps, the last step first."""
  num_steps = tf.nest.flatten(stacks)[0].shape[0]
  read = _slice_reader(prepared)

  def body(i, x, dx, dmaps, dstacks):
    k = num_steps - 1 - i
    slices = read(k)
    step = make_step(slices)
    # The gradients are those of the slices, without inverses, and of the maps.
    sources = tf.nest.flatten(_like(stacks, slices)) + list(maps.values())
    vjp = getattr(step, 'inverse_vjp', None) or _generic_vjp(step)
    y, dy, dsources = vjp(x, dx, dildj, sources, **maps, **constants)
    dsources = [
      tf.zeros_like(s) if d is None else d for s, d in zip(sources, dsources)
    ]
    dstacks = [a.write(k, d) for a, d in zip(dstacks, dsources)]
    dmaps = [a + d for a, d in zip(dmaps, dsources[len(dstacks) :])]
    return (
      i + 1,
      tf.ensure_shape(y, x.shape),
      tf.ensure_shape(dy, dx.shape),
      dmaps,
      dstacks,
    )

  arrays = [
    tf.TensorArray(p.dtype, size=num_steps, element_shape=p.shape[1:])
    for p in tf.nest.flatten(stacks)
  ]
  zeros = [tf.zeros_like(m) for m in maps.values()]
  _, dy, dmaps, arrays = loop(num_steps, body, x, dx, zeros, arrays)
  return dy, [a.stack() for a in arrays], dmaps


def _like(structure, values):
  """Keeps the entries of the nested `dict` `values` that `structure` has."""
  if not isinstance(structure, dict):
    return values
  return {k: _like(v, values[k]) for k, v in structure.items()}


def _generic_vjp(step):
  """`FlowStep.inverse_vjp` for any bijector: `forward`, then a tape."""

  def vjp(x, dx, dildj, sources, **conditions):
    # A new object: otherwise TFP's cache would return `x` for `inverse`.
    y = tf.stop_gradient(step.forward(x, **conditions))
    with tf.GradientTape() as tape:
      tape.watch([y] + sources)
      value, ildj = one_pass.inverse_and_ldj(step, y, 3, conditions)
      inner = tf.reduce_sum(value * dx) + tf.reduce_sum(ildj * dildj)
    dy, *dsources = tape.gradient(inner, [y] + sources)
    return y, dy, dsources

  return vjp
