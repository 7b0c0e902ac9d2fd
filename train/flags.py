"""The flags of `python -m train.main`."""

from absl import app
from absl import flags

__all__ = ['FLAGS', 'check']

FLAGS = flags.FLAGS
# Literals, because --help must not import TensorFlow; a test compares them with
# `presets.PRESETS`.
_PRESETS = (
  'demo shapes balls movement moving_mnist smoke overfit fashion faces bair '
  'gan_paper gan_stable paper cglow paper_small'
).split()
_OLDER_PRESETS = ('cglow_small', 'cglow_mixture')
# The modes that use a flag; `check` refuses the flag with any other mode.
_MODES_OF = {}


def _flag(define, name, default, *arguments, modes=(), **options):
  """Defines a flag that `modes` use; all modes use it if there are none."""
  *middle, text = arguments
  if modes:
    _MODES_OF[name] = modes
    text = f'--mode={", ".join(modes)}: {text}'
  return define(name, default, *middle, text, **options)


class PresetParser(flags.EnumParser):
  """Parses a preset's name; errors and help do not list the older ones."""

  def parse(self, argument):
    return argument if argument in _OLDER_PRESETS else super().parse(argument)


_BEGINS = ('train', 'inspect', 'prepare', 'ablate')
_LOADS = ('evaluate', 'sample', 'export', 'report', 'pack')
_flag(
  flags.DEFINE_enum,
  'mode',
  'train',
  [*_BEGINS, *_LOADS, 'play'],
  'What to do.',
)
flags.DEFINE(
  PresetParser(_PRESETS),
  'preset',
  'demo',
  f'The config to start from: {", ".join(_PRESETS)}.',
  serializer=flags.ArgumentSerializer(),
)
_flag(
  flags.DEFINE_multi_string,
  'set',
  [],
  'sets any key of the config: key=value, such as run.steps=500; repeatable.',
  modes=_BEGINS,
)
_flag(
  flags.DEFINE_string,
  'dataset',
  None,
  "the data set. Videos: 'natvid'; 'shapes', 'shapes:motion', "
  "'shapes:appearance', 'shapes:occluder', 'shapes:blink'; 'movement', "
  "'balls', 'moving_mnist'; 'folder' (files <data_dir>/<label>/<video>); "
  "'moments_in_time'. Images: 'image_folder', "
  "'celeba', 'fashion_mnist', 'orl_faces'. Both: 'tfds:NAME'; 'tfrecord' "
  '(records that --mode=prepare wrote).',
  modes=_BEGINS,
)
_flag(
  flags.DEFINE_string,
  'data_dir',
  None,
  "the data set's folder, on this machine or on a remote file system.",
  modes=(*_BEGINS, 'evaluate'),
)
_flag(
  flags.DEFINE_string,
  'workdir',
  None,
  "The run's folder; runs/<preset> if not given. --mode=report compares "
  'several, separated by commas; one that exists may have commas in its name.',
)
_flag(
  flags.DEFINE_integer,
  'seed',
  None,
  'Seed of weights, noise and data order.',
  lower_bound=-(2**31),
  upper_bound=2**31 - 1,
)
_flag(
  flags.DEFINE_string,
  'init_from',
  None,
  "start from another run's weights: WORKDIR[:head|:tail]; several are "
  'separated by commas. A folder that exists may have commas and colons in its '
  'own name.',
  modes=('train',),
)
_flag(
  flags.DEFINE_enum,
  'strategy',
  'default',
  ['default', 'mirrored', 'multi_worker'],
  'train on one device, on all GPUs of this machine (mirrored), or on the '
  'workers of TF_CONFIG (multi_worker).',
  modes=('train',),
)
_flag(
  flags.DEFINE_enum,
  'checkpoint',
  'newest',
  ['newest', 'best'],
  'which checkpoint to load. best: the one with the lowest held-out bits/dim '
  'among those kept.',
  modes=_LOADS,
)
_flag(
  flags.DEFINE_string,
  'output_dir',
  None,
  'folder to create. prepare: the records (prepared/<dataset> if not given); '
  'pack: the copy of the run without its training state.',
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
  'number of noise draws for a tighter bound on the code length.',
  modes=('evaluate',),
  lower_bound=1,
  upper_bound=10**6,
)
_flag(
  flags.DEFINE_integer,
  'seeds',
  3,
  'number of runs (seeds) of each row.',
  modes=('ablate',),
  lower_bound=1,
  upper_bound=1000,
)
_flag(
  flags.DEFINE_list,
  'rows',
  [],
  'names of the rows to run; all if not given.',
  modes=('ablate',),
)
_flag(
  flags.DEFINE_integer,
  'jobs',
  1,
  'number of runs at a time.',
  modes=('ablate',),
  lower_bound=1,
  upper_bound=1000,
)
_flag(
  flags.DEFINE_list,
  'labels',
  [],
  'names or ids of labels, one video each; all if not given. A name with a '
  'comma is quoted: --labels=\'"a, b",c\'.',
  modes=('sample',),
)
_flag(
  flags.DEFINE_integer,
  'num_frames',
  None,
  'number of frames of a video.',
  modes=('sample',),
  lower_bound=1,
  upper_bound=10_000,
)
_flag(
  flags.DEFINE_list,
  'temperature',
  [],
  'temperature; several give one video each, from the same noise.',
  modes=('sample',),
)
_flag(
  flags.DEFINE_float,
  'min_p',
  None,
  'levels less probable than this times the likeliest are not drawn.',
  modes=('sample',),
)
_flag(
  flags.DEFINE_integer,
  'interpolate',
  None,
  'number of videos of a label that interpolate between two drawn ones.',
  modes=('sample',),
  lower_bound=2,
  upper_bound=1000,
)


_flag(
  flags.DEFINE_string,
  'output',
  None,
  "folder for the files. sample: the run's samples/ if not given; files get "
  'the next free number. inspect: this folder if not given.',
  modes=('sample', 'inspect'),
)
_flag(
  flags.DEFINE_float,
  'step_seconds',
  60.0,
  'most seconds for building the model, and again for its first training '
  'steps, which are measured; 0: none is.',
  modes=('inspect',),
  lower_bound=0.0,
  upper_bound=86400.0,
)
_flag(
  flags.DEFINE_integer,
  'port',
  7860,
  "port of the page's address, http://localhost:PORT.",
  modes=('play',),
  lower_bound=1,
  upper_bound=65535,
)
_flag(
  flags.DEFINE_string,
  'host',
  '127.0.0.1',
  'the address to listen on. The default is for this machine only; with '
  '0.0.0.0 whoever reaches this machine can use the page.',
  modes=('play',),
)


def check():
  """Raises `UsageError` for flags that the mode does not use."""
  for name, modes in _MODES_OF.items():
    flag = FLAGS[name]
    if flag.value != flag.default and FLAGS.mode not in modes:
      raise app.UsageError(
        f'--{name} is for --mode={", ".join(modes)}, but the mode is '
        f'{FLAGS.mode}'
        + (': a run keeps its config.' if modes == _BEGINS else '.')
      )
