"""The flags of `python -m train.main`."""

from absl import app
from absl import flags

__all__ = ['FLAGS', 'check']

FLAGS = flags.FLAGS
# Literals, for --help imports no TensorFlow; a test compares them with PRESETS.
_PRESETS = (
  'demo smoke overfit gan_paper gan_stable paper cglow paper_small cglow_small '
  'cglow_mixture fashion faces bair'
).split()
# Of flags that some modes alone heed: given with another they would do nothing.
_MODES_OF = {}


def _flag(define, name, default, *arguments, modes=(), **options):
  """Defines a flag of some modes, of all if none are named."""
  *middle, text = arguments
  if modes:
    _MODES_OF[name] = modes
    text = f'--mode={", ".join(modes)}: {text}'
  return define(name, default, *middle, text, **options)


_BEGINS = ('train', 'prepare', 'ablate')
_LOADS = ('evaluate', 'sample', 'export', 'report', 'pack')
_flag(
  flags.DEFINE_enum,
  'mode',
  'train',
  ['train', 'prepare', 'ablate', *_LOADS],
  'What to do.',
)
_flag(
  flags.DEFINE_enum, 'preset', 'demo', _PRESETS, 'Where the config starts from.'
)
_flag(
  flags.DEFINE_multi_string,
  'set',
  [],
  'key=value, any key of the config, as run.steps=500; repeatable.',
  modes=_BEGINS,
)
_flag(
  flags.DEFINE_string,
  'dataset',
  None,
  "'natvid'; 'shapes', 'shapes:motion', 'shapes:appearance', "
  "'shapes:occluder', 'shapes:blink'; 'folder' (a tree "
  "<data_dir>/<label>/<video>), 'moments_in_time'; of images 'image_folder', "
  "'celeba', 'fashion_mnist', 'orl_faces'; 'tfds:NAME'; 'tfrecord' (what "
  '--mode=prepare wrote).',
  modes=_BEGINS,
)
_flag(
  flags.DEFINE_string,
  'data_dir',
  None,
  "the data set's folder, local or of a remote file system.",
  modes=(*_BEGINS, 'evaluate'),
)
_flag(
  flags.DEFINE_string,
  'workdir',
  None,
  "The run's folder; runs/<preset> if not given. --mode=report: several, "
  'with commas between them, are compared.',
)
_flag(flags.DEFINE_integer, 'seed', None, 'Of weights, noise and data order.')
_flag(
  flags.DEFINE_string,
  'init_from',
  None,
  "start from another run's weights: WORKDIR[:head|:tail]; or from several, "
  'with commas between them.',
  modes=('train',),
)
_flag(
  flags.DEFINE_enum,
  'strategy',
  'default',
  ['default', 'mirrored', 'multi_worker'],
  'one device, all GPUs of this machine, or the workers of TF_CONFIG.',
  modes=('train',),
)
_flag(
  flags.DEFINE_enum,
  'checkpoint',
  'newest',
  ['newest', 'best'],
  'which; the best is that of the lowest held-out bits/dim among those kept.',
  modes=_LOADS,
)
_flag(
  flags.DEFINE_string,
  'output_dir',
  None,
  'a folder to be made: of the records (prepared/<dataset> if not given), or '
  'of the copy without training state.',
  modes=('prepare', 'pack'),
)
_flag(
  flags.DEFINE_string,
  'runner',
  None,
  "an Apache Beam runner, for example 'DirectRunner'.",
  modes=('prepare',),
)
_flag(
  flags.DEFINE_integer,
  'importance_samples',
  None,
  'draws of noise for a tighter bound on the code length.',
  modes=('evaluate',),
  lower_bound=1,
)
_flag(
  flags.DEFINE_integer,
  'seeds',
  3,
  'runs of each row.',
  modes=('ablate',),
  lower_bound=1,
)
_flag(
  flags.DEFINE_list,
  'rows',
  [],
  'names of rows; all if not given.',
  modes=('ablate',),
)
_flag(
  flags.DEFINE_integer,
  'jobs',
  1,
  'runs at a time.',
  modes=('ablate',),
  lower_bound=1,
)
_flag(
  flags.DEFINE_list,
  'labels',
  [],
  'names or ids, one video each; all if not given.',
  modes=('sample',),
)
_flag(
  flags.DEFINE_integer,
  'num_frames',
  None,
  'frames of a video.',
  modes=('sample',),
  lower_bound=1,
)
_flag(
  flags.DEFINE_list,
  'temperature',
  [],
  'of the latent noise; several: a video each, same noise.',
  modes=('sample',),
)
_flag(
  flags.DEFINE_integer,
  'interpolate',
  None,
  'so many videos of a label, from one drawn to another.',
  modes=('sample',),
  lower_bound=2,
)


def check():
  """Raises `UsageError` for flags that the mode does not heed."""
  for name, modes in _MODES_OF.items():
    flag = FLAGS[name]
    if flag.value != flag.default and FLAGS.mode not in modes:
      raise app.UsageError(
        f'--{name} is for --mode={modes[0]}, but the mode is {FLAGS.mode}'
        + (': a run keeps its config.' if modes == _BEGINS else '.')
      )
