"""A causal transformer over the pixels of a small map."""

import numpy as np
import tensorflow as tf

from tfp_cglow.networks import convolutional

__all__ = ['PixelTransformer', 'build_pixel_transformer']

_INIT_STD = 0.02
_EPSILON = 1e-5
_NUM_NEIGHBOURS = 4


class PixelTransformer(tf.Module):
  """A causal transformer over pixels, row by row, then a head for each channel.

  ```none
  token_i = levels of the neighbours of i + place_i + dense(condition_i)
  block:  h += dense(attention(norm(h)));  h += dense(gelu(dense(norm(h))))
  logits_c, gates_c = dense(gelu(dense(norm(h) + levels of channels before c)))
  logits_c[level of neighbour k] += gates_c[k], for every k
  ```

  The neighbours are pixel i - 1 and the three above, as far as they are in the
  frame. Most pixels continue a neighbour, and the gates say which: a copy need
  not be learned level by level, cf. [2].

  Token i sees the tokens before it and itself. With a prefix, every token also
  sees the conditions of all pixels, as N tokens before the first. Levels and
  places are learned vectors; rows and columns have their own, and a place is
  their sum. The layers' order is that of [1].

  `features` computes all pixels in one pass. `begin` and `step` compute one
  pixel after another, and keep the keys and values of those before.

  #### References

  [1]: Alec Radford, Jeffrey Wu, Rewon Child, David Luan, Dario Amodei and Ilya
       Sutskever. Language Models are Unsupervised Multitask Learners. 2019.
  [2]: Jiatao Gu, Zhengdong Lu, Hang Li and Victor O.K. Li. Incorporating
       Copying Mechanism in Sequence-to-Sequence Learning. _Annual Meeting of
       the Association for Computational Linguistics_, 2016.
  """

  def __init__(
    self,
    params,
    num_heads,
    network_dtype=None,
    padding='zeros',
    name='pixel_transformer',
  ):
    """Creates the network.

    Args:
      params: `dict`. 'neighbours': `[4, C, L, D]`, vectors of the neighbours'
        levels. 'known': list of `[L, D]`, vectors of the levels of each channel
        but the last. 'rows': `[h, 1, D]`. 'columns': `[1, w, D]`. 'condition'
        and 'prefix', only with conditions and with a prefix: layers. 'blocks':
        list of `dict`s of layers ('qkv', 'out', 'up', 'down') and norms
        ('norm_1', 'norm_2'). 'norm': a norm. 'heads': a pair of layers for each
        channel; the second has `L + 4` outputs. A layer is a `dict` of 'kernel'
        and 'bias', a norm one of 'scale' and 'bias'.
      num_heads: Python `int`, number of heads of the attention.
      network_dtype: `tf.DType` of the computation; None: the input's dtype.
      padding: 'wrap': the frame is periodic, and the first and the last column
        are neighbours; 'zeros': they are not.
      name: Python `str`.
    """
    super().__init__(name=name)
    self.params = params
    self._num_heads = num_heads
    self._network_dtype = network_dtype
    self._places_of_neighbours = _neighbours(*self.size, padding)

  @property
  def size(self):
    """Height and width of the maps, Python `int`s."""
    return self.params['rows'].shape[0], self.params['columns'].shape[1]

  @property
  def num_levels(self):
    """Python `int` L."""
    return self.params['neighbours'].shape[2]

  @property
  def num_channels(self):
    """Python `int` C."""
    return self.params['neighbours'].shape[1]

  def neighbours(self, levels, index=None):
    """The levels of pixels' neighbours.

    Args:
      levels: `[B, N, C]`, levels of all pixels.
      index: int scalar, a pixel; None: all.

    Returns:
      `[B, N, 4, C]`, or of one pixel `[B, 4, C]`; -1 beyond the frame.
    """
    places = tf.constant(self._places_of_neighbours)
    if index is not None:
      places = places[index]
    known = tf.gather(levels, tf.maximum(places, 0), axis=1)
    beyond = tf.constant(-1.0, levels.dtype)
    return tf.where(places[..., tf.newaxis] >= 0, known, beyond)

  def features(self, neighbours, condition=None):
    """The features of all pixels.

    Args:
      neighbours: `[B, N, 4, C]`, see `neighbours`.
      condition: `[B, N, K]`, or None.

    Returns:
      `[B, N, D]`; those of pixel i depend on the levels before it.
    """
    num = neighbours.shape[1]
    tokens = self._embed_neighbours(neighbours)
    tokens += self._places(condition, 'condition')
    prefix = self._prefix(condition)
    if prefix is not None:
      tokens = tf.concat([prefix, tokens], axis=1)
    mask = self._mask()
    for block in self.params['blocks']:
      queries, keys, values = self._attention_inputs(block, tokens)
      attended = _attend(queries, keys, values, mask)
      tokens = self._finish(block, tokens, attended)
    return self._norm(self.params['norm'], tokens[:, -num:])

  def begin(self, like, condition=None):
    """What `step` needs before the first pixel.

    Args:
      like: `[B, N, C]`, whose batch size and dtype the result has.
      condition: `[B, N, K]`, or None.

    Returns:
      places: `[B, N, D]`, to be given to `step`.
      caches: List of keys and values of each block, `[B, heads, P + N, d]`.
    """
    places = self._places(condition, 'condition')
    batch = tf.shape(like)[0]
    places = tf.broadcast_to(places, [batch, *places.shape[1:]])
    caches, tokens = [], self._prefix(condition)
    for block in self.params['blocks']:
      width = block['out']['kernel'].shape[0]
      num = places.shape[1]
      empty = tf.zeros(
        [batch, self._num_heads, num, width // self._num_heads], places.dtype
      )
      pair = [empty, empty]
      if tokens is not None:
        queries, *known = self._attention_inputs(block, tokens)
        pair = [tf.concat(p, axis=2) for p in zip(known, pair)]
        attended = _attend(queries, *known, tf.ones([num, num], tf.bool))
        tokens = self._finish(block, tokens, attended)
      caches.append(pair)
    return places, caches

  def step(self, index, neighbours, places, caches):
    """The features of one pixel.

    Args:
      index: int scalar i.
      neighbours: `[B, 4, C]`, see `neighbours`.
      places: From `begin`.
      caches: From `begin`, or the step before.

    Returns:
      features: `[B, D]`.
      caches: The caches with pixel i.
    """
    token = self._embed_neighbours(neighbours[:, tf.newaxis])
    token += tf.gather(places, [index], axis=1)
    num = places.shape[1]
    changed = []
    for block, pair in zip(self.params['blocks'], caches):
      queries, *new = self._attention_inputs(block, token)
      num_prefix = pair[0].shape[2] - num
      here = tf.one_hot(index + num_prefix, num_prefix + num, dtype=token.dtype)
      pair = [p + here[:, tf.newaxis] * n for p, n in zip(pair, new)]
      mask = tf.range(num_prefix + num) <= index + num_prefix
      attended = _attend(queries, *pair, mask[tf.newaxis])
      token = self._finish(block, token, attended)
      changed.append(pair)
    return self._norm(self.params['norm'], token[:, 0]), changed

  def logits(self, channel, features, neighbours, known):
    """Logits of the levels of one channel.

    Args:
      channel: Python `int` c.
      features: `[..., D]`.
      neighbours: `[..., 4, C]`, see `neighbours`.
      known: List of the levels `[...]` of the channels before c.

    Returns:
      `[..., L]`, of the dtype of the network.
    """
    for table, level in zip(self.params['known'], known):
      table = tf.cast(table, features.dtype)
      features += _product(self._one_hot(level, table.dtype), table)
    first, second = self.params['heads'][channel]
    outputs = self._dense(second, tf.nn.gelu(self._dense(first, features)))
    logits, gates = tf.split(outputs, [self.num_levels, _NUM_NEIGHBOURS], -1)
    copies = self._one_hot(neighbours[..., channel], gates.dtype)
    return logits + tf.reduce_sum(gates[..., tf.newaxis] * copies, axis=-2)

  def _get(self, name):
    value = self.params[name]
    return tf.cast(value, self._network_dtype or value.dtype)

  def _one_hot(self, level, dtype):
    """`[..., L]`; zeros where the level is -1."""
    return tf.one_hot(tf.cast(level, tf.int32), self.num_levels, dtype=dtype)

  def _embed_neighbours(self, neighbours):
    """The sum of the vectors of `[B, n, 4, C]` levels, `[B, n, D]`."""
    # A product instead of a gather, whose gradient would be sparse.
    table = self._get('neighbours')
    table = tf.reshape(table, [-1, table.shape[-1]])
    one_hot = self._one_hot(neighbours, table.dtype)
    rows = tf.reshape(one_hot, [-1, *neighbours.shape[1:2], table.shape[0]])
    return _product(rows, table)

  def _places(self, condition, layer):
    """`[1 or B, N, D]`: place and condition of each pixel."""
    places = self._get('rows') + self._get('columns')
    places = tf.reshape(places, [1, -1, places.shape[-1]])
    if condition is None:
      return places
    condition = tf.cast(condition, places.dtype)
    return places + self._dense(self.params[layer], condition)

  def _prefix(self, condition):
    if 'prefix' not in self.params:
      return None
    return self._places(condition, 'prefix')

  def _mask(self):
    """Whether token i (row) sees token j, `[P + N, P + N]`."""
    num = int(np.prod(self.size))
    num_prefix = num if 'prefix' in self.params else 0
    index = np.arange(num_prefix + num)
    return (index <= index[:, np.newaxis]) | (index < num_prefix)

  def _attention_inputs(self, block, tokens):
    """Queries, keys and values, each `[B, heads, n, d]`."""
    qkv = self._dense(block['qkv'], self._norm(block['norm_1'], tokens))
    num_parts = 3 * self._num_heads
    shape = [*qkv.shape[1:2], num_parts, qkv.shape[2] // num_parts]
    qkv = tf.reshape(qkv, [tf.shape(qkv)[0], *shape])
    qkv = tf.transpose(qkv, [0, 2, 1, 3])
    return tf.split(qkv, 3, axis=1)

  def _finish(self, block, tokens, attended):
    attended = tf.transpose(attended, [0, 2, 1, 3])
    tokens += self._dense(block['out'], tf.reshape(attended, tf.shape(tokens)))
    hidden = self._dense(block['up'], self._norm(block['norm_2'], tokens))
    return tokens + self._dense(block['down'], tf.nn.gelu(hidden))

  def _dense(self, layer, x):
    kernel, bias = (tf.cast(layer[k], x.dtype) for k in ('kernel', 'bias'))
    return tf.nn.bias_add(_product(x, kernel), bias)

  def _norm(self, norm, x):
    mean, variance = tf.nn.moments(x, axes=[-1], keepdims=True)
    scale, bias = (tf.cast(norm[k], x.dtype) for k in ('scale', 'bias'))
    return (x - mean) * tf.math.rsqrt(variance + _EPSILON) * scale + bias


def _neighbours(height, width, padding):
  """Indices of each pixel's neighbours, int array `[h w, 4]`; -1: none."""
  rows, columns = np.divmod(np.arange(height * width), width)
  before = np.arange(height * width) - 1
  indices = [before]
  for right in (-1, 0, 1):
    column = columns + right
    if padding == 'wrap':
      column = column % width
    inside = (rows > 0) & (column >= 0) & (column < width)
    indices.append(np.where(inside, (rows - 1) * width + column, -1))
  return np.stack(indices, axis=-1)


def _product(x, kernel):
  """`x` `[..., m]` times a matrix `[m, n]`."""
  # One product for the whole batch. `tf.linalg.matmul` would take one for each
  # example, and the gradient would hold a matrix for each example.
  return tf.tensordot(x, kernel, axes=1)


def _attend(queries, keys, values, mask):
  """Attention `[B, heads, n, d]`; `mask` `[n, m]`: which keys a query sees."""
  queries *= queries.shape[-1] ** -0.5
  scores = tf.linalg.matmul(queries, keys, transpose_b=True)
  # A sum with a small tensor costs less than a choice between large ones.
  zero, never = (tf.constant(x, scores.dtype) for x in (0.0, -1e9))
  scores += tf.where(mask, zero, never)
  return tf.linalg.matmul(tf.nn.softmax(scores), values)


def build_pixel_transformer(
  size,
  channels,
  num_levels,
  hidden_channels,
  num_blocks,
  condition_channels=0,
  has_prefix=False,
  head_channels=16,
  seed=None,
  network_dtype=None,
  padding='zeros',
  dtype=tf.float32,
):
  """Creates a `PixelTransformer` whose logits start at zero.

  Args:
    size: Height and width of the map, Python `int`s.
    channels: Python `int` C.
    num_levels: Python `int` L.
    hidden_channels: Python `int` D, a multiple of `head_channels`.
    num_blocks: Python `int`.
    condition_channels: Python `int` K; 0: no condition.
    has_prefix: Python `bool`, whether every pixel sees all conditions.
    head_channels: Python `int` d, channels of a head of the attention.
    seed: Python `int`; None: from the operating system.
    network_dtype: `tf.DType` of the computation; None: `dtype`.
    padding: 'zeros' or 'wrap', see `PixelTransformer`.
    dtype: `tf.DType` of the variables.

  Returns:
    A `PixelTransformer`.
  """
  new = _Variables(np.random.default_rng(seed), hidden_channels, dtype)
  width = hidden_channels
  params = {
    'neighbours': new.normal(_NUM_NEIGHBOURS, channels, num_levels, std=0.1),
    'rows': new.normal(size[0], 1),
    'columns': new.normal(1, size[1]),
    'known': [new.normal(num_levels, std=0.1) for _ in range(channels - 1)],
    'blocks': [new.block() for _ in range(num_blocks)],
    'norm': new.norm(),
    'heads': [
      [
        new.layer(width, width),
        new.layer(width, num_levels + _NUM_NEIGHBOURS, std=0.0),
      ]
      for _ in range(channels)
    ],
  }
  if condition_channels:
    params['condition'] = new.layer(condition_channels, width)
  if has_prefix:
    params['prefix'] = new.layer(condition_channels, width)
  return PixelTransformer(
    params, width // head_channels, network_dtype, padding
  )


class _Variables:
  """Makes a transformer's variables."""

  def __init__(self, rng, width, dtype):
    self._rng = rng
    self._width = width
    self._dtype = dtype

  def normal(self, *shape, std=_INIT_STD):
    """Random vectors, a variable `[*shape, D]`."""
    values = std * self._rng.standard_normal([*shape, self._width])
    return tf.Variable(values, dtype=self._dtype, name='vectors')

  def layer(self, num_in, num_out, std=None):
    std = num_in**-0.5 if std is None else std
    kernel = std * self._rng.standard_normal([num_in, num_out])
    return self._dict(kernel=kernel, bias=np.zeros([num_out]))

  def norm(self):
    return self._dict(
      scale=np.ones([self._width]), bias=np.zeros([self._width])
    )

  def block(self):
    # Residual branches start small, so that depth does not matter at first.
    width = self._width
    return {
      'norm_1': self.norm(),
      'qkv': self.layer(width, 3 * width),
      'out': self.layer(width, width, _INIT_STD),
      'norm_2': self.norm(),
      'up': self.layer(width, 4 * width),
      'down': self.layer(4 * width, width, _INIT_STD),
    }

  def _dict(self, **values):
    return convolutional.to_variables(values, self._dtype)
