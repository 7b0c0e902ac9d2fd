"""The networks of `LevelMixture`, written plainly in PyTorch.

A yardstick for `mixture_step.py`: the same convolutions, attention, mixtures
and likelihood of levels, in the way that somebody who needs no bijector would
write them. It cannot sample.
"""

import math

import torch
from torch import nn
from torch.nn import functional as F

__all__ = ['Twin']

_FLOOR = 1e-5  # The least mass of a level.
_NUM_NEAREST = 4  # Known pixels on whose mean a mixture is centred.
_NUM_NEIGHBOURS = 4  # Of a pixel of the base.


class _Network(nn.Module):
  """`MixtureNetwork` without strip pooling."""

  def __init__(self, num_in, channels, spec, num_places):
    super().__init__()
    hidden = spec.hidden_channels
    self.first = nn.Conv2d(num_in, hidden, 3, padding=1)
    self.convs = nn.ModuleList(
      nn.Conv2d(hidden, hidden, 3, padding=1) for _ in range(spec.num_blocks)
    )
    self.gates = nn.ModuleList(
      nn.Conv2d(hidden, 2 * hidden, 1) for _ in range(spec.num_blocks)
    )
    self.heads = nn.ModuleList(
      nn.Sequential(
        nn.Conv2d(hidden + 2 * c, hidden, 1),
        nn.ReLU(),
        nn.Conv2d(hidden, 3 * spec.components, 1),
      )
      for c in range(channels)
    )
    self.places = nn.Conv2d(hidden, num_places, 1) if num_places > 1 else None

  def features(self, x):
    h = self.first(x)
    for conv, gate in zip(self.convs, self.gates):
      h = h + F.glu(gate(F.relu(conv(F.relu(h)))), dim=1)
    return F.relu(h)


class _Block(nn.Module):
  def __init__(self, width, num_heads):
    super().__init__()
    self.num_heads = num_heads
    self.norm_1, self.norm_2 = nn.LayerNorm(width), nn.LayerNorm(width)
    self.qkv = nn.Linear(width, 3 * width)
    self.out = nn.Linear(width, width)
    self.up = nn.Linear(width, 4 * width)
    self.down = nn.Linear(4 * width, width)

  def forward(self, x):
    heads = lambda t: t.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
    q, k, v = map(heads, self.qkv(self.norm_1(x)).chunk(3, dim=-1))
    attended = F.scaled_dot_product_attention(q, k, v, is_causal=True)
    x = x + self.out(attended.transpose(1, 2).flatten(2))
    return x + self.down(F.gelu(self.up(self.norm_2(x))))


class _Transformer(nn.Module):
  """`PixelTransformer` without a prefix, with padding 'zeros'."""

  def __init__(self, size, channels, num_levels, num_in, spec, head_size):
    super().__init__()
    width = spec.hidden_channels
    height, columns = size
    num_pixels = height * columns
    self.num_levels, self.columns = num_levels, columns
    # The last row of a table stands for what is beyond the frame.
    self.neighbours = nn.ModuleList(
      nn.Embedding(num_levels + 1, width, padding_idx=num_levels)
      for _ in range(_NUM_NEIGHBOURS * channels)
    )
    self.known = nn.ModuleList(
      nn.Embedding(num_levels, width) for _ in range(channels - 1)
    )
    self.places = nn.Parameter(torch.zeros(1, num_pixels, width))
    self.condition = nn.Linear(num_in, width)
    self.blocks = nn.ModuleList(
      _Block(width, width // head_size) for _ in range(spec.num_blocks)
    )
    self.norm = nn.LayerNorm(width)
    self.heads = nn.ModuleList(
      nn.Sequential(
        nn.Linear(width, width),
        nn.GELU(),
        nn.Linear(width, num_levels + _NUM_NEIGHBOURS),
      )
      for _ in range(channels)
    )

  def forward(self, levels, condition):
    """Nats `[B]` of levels `[B, C, h, w]`."""
    neighbours = self._neighbours(levels.long())
    levels = levels.long().flatten(2)
    each = neighbours.flatten(1, 2).unbind(1)
    x = sum(table(level) for table, level in zip(self.neighbours, each))
    x = x + self.places + self.condition(condition.flatten(2).transpose(1, 2))
    for block in self.blocks:
      x = block(x)
    x, nats = self.norm(x), 0.0
    for c, head in enumerate(self.heads):
      logits, gates = head(x).split([self.num_levels, _NUM_NEIGHBOURS], -1)
      copies = F.one_hot(neighbours[:, :, c], self.num_levels + 1)[..., :-1]
      logits = logits + torch.einsum('bpk,bkpl->bpl', gates, copies.float())
      nats = nats - F.cross_entropy(
        logits.transpose(1, 2), levels[:, c], reduction='none'
      ).sum(-1)
      if c < len(self.known):
        x = x + self.known[c](levels[:, c])
    return nats

  def _neighbours(self, levels):
    """The pixel before and the three above, `[B, 4, C, N]`; see `forward`."""
    beyond = {'value': self.num_levels}
    before = F.pad(levels.flatten(2), (1, -1), **beyond)
    wider = F.pad(levels, (1, 1, 1, -1), **beyond)
    above = [wider[..., k : k + self.columns].flatten(2) for k in range(3)]
    return torch.stack([before, *above], dim=1)


class Twin(nn.Module):
  """The density of a frame's levels, given a context and a vector."""

  def __init__(self, frame, spec, halvings, frames, vector, levels, head_size):
    """Creates the networks.

    Args:
      frame: `[C, H, W]`.
      spec: `tfp_cglow.LevelMixture`.
      halvings: Number of halvings.
      frames: Number of context frames.
      vector: Size of the vector; 0: none.
      levels: Number of levels.
      head_size: Channels of a head of the attention.
    """
    super().__init__()
    self.levels, self.halvings, self.frames = levels, halvings, frames
    self.radius, self.has_base = spec.motion_radius, spec.base is not None
    channels, height, width = frame
    of_pixel = channels * (frames + 2 * max(frames - 1, 0))
    told = lambda scale: 4 ** min(scale, 2) * of_pixel + vector
    known = 2 * channels
    places = 0 if frames else 2
    num_moved = (2 * self.radius + 1) ** 2

    def network(scale, n):
      num_known = n * known
      if n == 1 and self._is_divided(height >> scale, width >> scale):
        scale, num_known = scale + 1, 4 * known + 3 * (known + 1)
      return _Network(
        told(scale) + places + num_known,
        channels,
        spec,
        max(num_moved * (frames > 0) + _NUM_NEAREST * (n > 0), 1),
      )

    if self.has_base:
      self.coarsest = _Transformer(
        (height >> halvings, width >> halvings),
        channels,
        levels,
        told(halvings),
        spec.base,
        head_size,
      )
    else:
      self.coarsest = network(halvings, 0)
    self.finer = nn.ModuleList(
      network(scale, n) for scale in range(halvings, 0, -1) for n in (1, 2, 3)
    )
    start = lambda a, b: torch.linspace(a, b, spec.components)
    self.register_buffer('start_logits', start(2.0, -2.0))
    self.register_buffer(
      'start_widths', start(math.log(0.2), math.log(0.375 * levels))
    )

  def forward(self, target, context=None, vector=None):
    """Nats `[B]` of levels `[B, C, H, W]`; the context has levels, too."""
    told, centre = [], None
    if context is not None:
      newest, *older = context.split(target.shape[1], dim=1)
      scaled = 2.0 * ((context + 0.5) / self.levels - 0.5)
      told = [scaled, *(self._features(newest - o) for o in older)]
      edges = [self.radius] * 4
      padded = F.pad(newest, edges, mode='reflect') if self.radius else newest
      side = 2 * self.radius + 1
      height, width = newest.shape[-2:]
      centre = torch.stack(
        [
          padded[..., i : i + height, j : j + width]
          for i in range(side)
          for j in range(side)
        ],
        dim=1,
      )
    told = torch.cat(told, dim=1) if told else None
    return self._scale(target, told, vector, centre, 0)

  def _features(self, difference):
    share = difference * (32.0 / self.levels)
    return torch.cat([share / 4.0, torch.tanh(share)], dim=1)

  def _maps(self, like, told, vector):
    maps = [] if told is None else [told]
    if vector is not None:
      shape = (-1, -1, *like.shape[-2:])
      maps.append(2.0 * vector[..., None, None].expand(*shape))
    return maps

  def _scale(self, target, told, vector, centre, depth):
    if depth == self.halvings:
      if self.has_base:
        condition = torch.cat(self._maps(target, told, vector), dim=1)
        return self.coarsest(target, condition)
      return self._group(self.coarsest, target, told, vector, centre, [], None)
    told = _coarser(told, depth)
    targets = _groups(target)
    centres = [None] * 4 if centre is None else _groups(centre)
    nats = self._scale(targets[0], told, vector, centres[0], depth + 1)
    networks = self.finer[len(self.finer) - 3 * (depth + 1) :][:3]
    for i, network in enumerate(networks, 1):
      known = [self._known(t, c) for t, c in zip(targets[:i], centres)]
      group, told_here = self._group, told
      if i == 1 and self._is_divided(*targets[i].shape[-2:]):
        group, told_here = self._divided, _coarser(told, depth + 1)
      nats = nats + group(
        network,
        targets[i],
        told_here,
        vector,
        centres[i],
        known,
        _nearest(targets[:i]),
      )
    return nats

  def _is_divided(self, height, width):
    return self.has_base and height % 2 == width % 2 == 0

  def _divided(self, network, target, told, vector, centre, known, nearest):
    """Nats `[B]` of a group in four parts."""
    parts, nearest = _groups(target), _groups(nearest)
    centres = [None] * 4 if centre is None else _groups(centre)
    known = [part for features in known for part in _groups(features)]
    nats = 0.0
    for k, part in enumerate(parts):
      seen = [self._known(t, c) for t, c in zip(parts[:k], centres)]
      seen += [torch.zeros_like(known[0])] * (3 - k)
      flags = [torch.full_like(known[0][:, :1], float(j < k)) for j in range(3)]
      nats = nats + self._group(
        network,
        part,
        told,
        vector,
        centres[k],
        [*known, *seen, *flags],
        nearest[k],
      )
    return nats

  def _known(self, levels, centre):
    """Features of levels; `centre` `[B, n, C, h, w]` or None."""
    if centre is None:
      return self._features(levels - (self.levels - 1) / 2)
    return self._features(levels - centre[:, centre.shape[1] // 2])

  def _group(self, network, target, told, vector, centre, known, nearest):
    """Nats `[B]` of one group of pixels."""
    seen = self._maps(target, told, vector)
    if not self.frames:
      axes = [torch.linspace(-1, 1, n) for n in target.shape[-2:]]
      grid = torch.stack(torch.meshgrid(*axes, indexing='ij'))
      seen.append(grid.expand(len(target), -1, -1, -1))
    features = network.features(torch.cat([*seen, *known], dim=1))
    places = [p for p in (centre, nearest) if p is not None]
    if not places:
      around = torch.full_like(target, (self.levels - 1) / 2)
    elif network.places is None:
      around = centre[:, 0]
    else:
      logits, places = network.places(features), torch.cat(places, dim=1)
      if centre is not None:
        middle = torch.tensor(centre.shape[1] // 2)
        start = 8.0 * F.one_hot(middle, logits.shape[1])
        logits = logits + start.view(1, -1, 1, 1)
      around = (logits.softmax(1)[:, :, None] * places).sum(1)
    raw, seen = [], [features]
    for c, head in enumerate(network.heads):
      raw.append(head(torch.cat(seen, dim=1)))
      level = target[:, c : c + 1]
      seen.append(self._features(level - around[:, c : c + 1]))
    raw = torch.stack(raw, dim=1).unflatten(2, (3, -1))
    return self._log_mass(raw, around, target).sum((1, 2, 3))

  def _log_mass(self, raw, around, level):
    """Log mass of levels `[B, C, h, w]`; `raw` `[B, C, 3, K, h, w]`."""
    shape = (-1, 1, 1)
    weights = (raw[:, :, 0] + self.start_logits.view(shape)).softmax(2)
    at = level[:, :, None] - around[:, :, None]
    at = at - raw[:, :, 1] * (self.levels / 32.0)
    scales = 4.0 * torch.tanh(raw[:, :, 2] / 4.0)
    precision = torch.exp(-scales - self.start_widths.view(shape))
    upper = torch.sigmoid((at + 0.5) * precision)
    lower = torch.sigmoid((at - 0.5) * precision)
    last, first = level == self.levels - 1, level == 0
    upper = upper.masked_fill(last[:, :, None], 1.0)
    lower = lower.masked_fill(first[:, :, None], 0.0)
    mass = (weights * (upper - lower)).sum(2)
    return torch.log((1.0 - (self.levels + 2) * _FLOOR) * mass + _FLOOR)


def _nearest(groups):
  """The four nearest known pixels of the next group, `[B, 4, C, h, w]`."""

  def shifted(x, down, right):
    padded = F.pad(x, [1, 1, 1, 1], mode='replicate')
    height, width = x.shape[-2:]
    return padded[..., 1 + down :, 1 + right :][..., :height, :width]

  first, *others = groups
  if not others:
    at = [(first, i, j) for i in (0, 1) for j in (0, 1)]
  elif len(others) == 1:
    at = [(others[0], -1, 0), (first, 0, 0), (first, 0, 1), (others[0], 0, 0)]
  else:
    at = [(first, 0, 0), (others[0], 0, -1), (others[0], 0, 0), (first, 1, 0)]
  return torch.stack([shifted(*a) for a in at], dim=1)


def _coarser(told, depth):
  """What is told of every 2x2 pixels, after `depth` halvings."""
  if told is None:
    return None
  places = _groups(told)
  return torch.cat(places, 1) if depth < 2 else sum(places) / 4.0


def _groups(x):
  return [x[..., i::2, j::2] for i, j in ((0, 0), (1, 1), (0, 1), (1, 0))]
