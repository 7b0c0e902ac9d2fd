"""The command line: `python -m train.main`. Without flags it runs the demo."""

import logging as std_logging
import os
import pathlib
import subprocess
import sys

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')

from absl import app  # noqa: E402
from absl import flags  # noqa: E402
from absl import logging  # noqa: E402

from train import errors  # noqa: E402
from train.config import configs  # noqa: E402
from train.config import presets  # noqa: E402

_MODE = flags.DEFINE_enum(
  'mode',
  'train',
  [
    'train',
    'evaluate',
    'sample',
    'export',
    'prepare',
    'ablate',
    'report',
    'pack',
  ],
  'What to do.',
)
_PRESET = flags.DEFINE_enum(
  'preset', 'demo', list(presets.PRESETS), 'Where the config starts from.'
)
_DATASET = flags.DEFINE_string(
  'dataset',
  None,
  "'natvid'; 'shapes', 'shapes:motion', 'shapes:appearance', "
  "'shapes:occluder', 'shapes:blink'; 'folder' (a tree "
  "<data_dir>/<label>/<video>), 'moments_in_time'; 'image_folder', 'celeba', "
  "'fashion_mnist', 'orl_faces' (for --model=head); 'tfds:NAME'; 'tfrecord' "
  '(what --mode=prepare wrote).',
)
_DATA_DIR = flags.DEFINE_string(
  'data_dir',
  None,
  "The data set's folder, local or of a remote file system; where 'shapes' is "
  'rendered.',
)
_SPLIT = flags.DEFINE_enum(
  'split',
  None,
  list(configs.CHOICES['split']),
  "Of natvid: later seconds of the same films, or a film left out ('--set "
  "left_out=parrot').",
)
_DECODER = flags.DEFINE_enum(
  'decoder', None, list(configs.CHOICES['decoder']), 'Of video files.'
)
_DECODE_DEVICE = flags.DEFINE_enum(
  'decode_device',
  None,
  list(configs.CHOICES['decode_device']),
  'Where PyAV decodes: cuda is NVDEC.',
)
_FPS = flags.DEFINE_float(
  'fps', None, 'Frames a second, taken by their times; all if not given.'
)
_MAX_SKIPPED = flags.DEFINE_float(
  'max_skipped', None, 'The part of the files that may fail, 0.05 by default.'
)
_DATA_SERVICE = flags.DEFINE_string(
  'data_service',
  None,
  "grpc://HOST:PORT of a tf.data service dispatcher, for 'tfrecord'.",
)
_PREPARED_DIR = flags.DEFINE_string(
  'prepared_dir', None, '--mode=prepare: where to; prepared/<dataset>.'
)
_RUNNER = flags.DEFINE_string(
  'runner',
  None,
  "--mode=prepare: an Apache Beam runner, for example 'DirectRunner'.",
)
_MODEL = flags.DEFINE_enum(
  'model',
  None,
  list(configs.CHOICES['model']),
  'The whole flow, or one part alone (head: images); or the GAN.',
)
_LOSS = flags.DEFINE_string(
  'loss', None, "Of --model=gan: 'least_squares' or 'hinge'."
)
_WORKDIR = flags.DEFINE_string(
  'workdir',
  None,
  "The run's folder; runs/<preset> if not given. --mode=report: several, "
  'with commas between them, are compared.',
)
_SEED = flags.DEFINE_integer('seed', None, 'Of weights, noise and data order.')
_SET = flags.DEFINE_multi_string(
  'set', [], 'key=value, any config field; repeatable.'
)
_INIT_FROM = flags.DEFINE_string(
  'init_from',
  None,
  "Start from another run's weights: WORKDIR[:head|:tail]; or from several, "
  'with commas between them.',
)
_STRATEGY = flags.DEFINE_enum(
  'strategy',
  'default',
  ['default', 'mirrored', 'multi_worker'],
  '--mode=train: one device, all GPUs of this machine, or the workers of '
  'TF_CONFIG. batch_size is that of all replicas.',
)
_PROFILE_STEPS = flags.DEFINE_list(
  'profile_steps', [], '--mode=train: FIRST,LAST: profile them for TensorBoard.'
)
_CHECKPOINT = flags.DEFINE_enum(
  'checkpoint',
  'newest',
  ['newest', 'best'],
  '--mode=evaluate, sample, export, report, pack: which; the best is that of '
  'the lowest held-out bits/dim among those kept.',
)
_PACK_DIR = flags.DEFINE_string(
  'pack_dir', None, '--mode=pack: where a copy without training state goes.'
)
_IMPORTANCE_SAMPLES = flags.DEFINE_integer(
  'importance_samples',
  None,
  '--mode=evaluate: draws of noise for a tighter bound on the code length.',
  lower_bound=1,
)
_SEEDS = flags.DEFINE_integer(
  'seeds', 3, '--mode=ablate: runs of each row.', lower_bound=1
)
_ROWS = flags.DEFINE_list(
  'rows', [], '--mode=ablate: names of rows; all if not given.'
)
_JOBS = flags.DEFINE_integer(
  'jobs', 1, '--mode=ablate: runs at a time.', lower_bound=1
)
_LABELS = flags.DEFINE_list(
  'labels', [], '--mode=sample: names or ids, one video each; all if not given.'
)
_NUM_FRAMES = flags.DEFINE_integer(
  'num_frames', None, '--mode=sample: frames of a video.'
)
_TEMPERATURE = flags.DEFINE_list(
  'temperature',
  [],
  '--mode=sample: of the latent noise; several: a video each, same noise.',
)
_INTERPOLATE = flags.DEFINE_integer(
  'interpolate',
  None,
  '--mode=sample: so many videos of a label, from one drawn to another.',
  lower_bound=2,
)


# Flags that some modes alone heed: given with another, they would say nothing.
_OF_CONFIG = {
  name: ['train', 'prepare', 'ablate']
  for name in (
    'data_service',
    'dataset',
    'decode_device',
    'decoder',
    'fps',
    'loss',
    'max_skipped',
    'model',
    'set',
    'split',
  )
}
_OF_MODES = {
  **_OF_CONFIG,
  'data_dir': ['train', 'prepare', 'ablate', 'evaluate'],
  'init_from': ['train'],
  'strategy': ['train'],
  'profile_steps': ['train'],
  'checkpoint': ['evaluate', 'sample', 'export', 'report', 'pack'],
  'pack_dir': ['pack'],
  'importance_samples': ['evaluate'],
  'seeds': ['ablate'],
  'rows': ['ablate'],
  'jobs': ['ablate'],
  'labels': ['sample'],
  'num_frames': ['sample'],
  'temperature': ['sample'],
  'interpolate': ['sample'],
  'prepared_dir': ['prepare'],
  'runner': ['prepare'],
}


def _check_flags():
  for name, modes in _OF_MODES.items():
    flag = flags.FLAGS[name]
    if flag.value != flag.default and _MODE.value not in modes:
      raise app.UsageError(
        f'--{name} is for --mode={modes[0]}, but the mode is {_MODE.value}'
        + (': a run keeps its config.' if name in _OF_CONFIG else '.')
      )


def _assignments():
  given = {
    'dataset': _DATASET.value,
    'data_dir': _DATA_DIR.value,
    'split': _SPLIT.value,
    'model': _MODEL.value,
    'gan.loss': _LOSS.value,
    'seed': _SEED.value,
    'decoder': _DECODER.value,
    'decode_device': _DECODE_DEVICE.value,
    'fps': _FPS.value,
    'max_skipped': _MAX_SKIPPED.value,
    'data_service': _DATA_SERVICE.value,
  }
  assignments = [f'{k}={v}' for k, v in given.items() if v is not None]
  return assignments + _SET.value


def _config():
  config = presets.PRESETS[_PRESET.value]
  config = configs.check(configs.override(config, _assignments()))
  if _LOSS.value is not None and config.model != 'gan':
    raise configs.ConfigError(
      f"--loss is for --model=gan, but `model` is '{config.model}'."
    )
  return config


def _workdir():
  return _WORKDIR.value or os.path.join('runs', _PRESET.value)


def _train():
  from train.loop import profiling
  from train.loop import session
  from train.serving import export as export_lib
  from train.systems import choice

  options = session.Options(
    _INIT_FROM.value,
    _STRATEGY.value,
    profiling.parse_steps(_PROFILE_STEPS.value),
  )
  config = _config()
  metrics, folder = session.train(config, _workdir(), options)
  if metrics is None:  # The chief says it.
    return
  print(f'\n{choice.of(config).format_table(metrics)}\n')
  version = export_lib.newest_version(folder.exports)
  export = folder.exports / str(version)
  for name, path in (
    ('Samples', folder.samples),
    ('TensorBoard', folder.tensorboard),
    ('SavedModel', export),
  ):
    if path.exists():
      print(f'{name + ":":13}{path}')
  sys.stdout.flush()
  if version is not None and config.model != 'tail':
    subprocess.run(
      [
        sys.executable,
        '-m',
        'train.serving.sample_export',
        str(export),
        f'--output={folder.samples / "from_saved_model"}',
        f'--frames={1 if config.model == "head" else 8}',
      ],
      check=True,
    )


def _evaluate():
  from train.runs import loading
  from train.systems import choice

  metrics, config = loading.evaluate_run(
    _workdir(),
    _IMPORTANCE_SAMPLES.value,
    _CHECKPOINT.value,
    _DATA_DIR.value,
  )
  print(choice.of(config).format_table(metrics))


def _sample():
  from train.runs import loading

  paths = loading.sample_run(
    _workdir(),
    _LABELS.value,
    _NUM_FRAMES.value,
    _temperatures(),
    _SEED.value,
    _CHECKPOINT.value,
    _INTERPOLATE.value,
  )
  print('\n'.join(paths))


def _temperatures():
  try:
    return [float(text) for text in _TEMPERATURE.value]
  except ValueError as e:
    raise configs.ConfigError(
      f'--temperature expects numbers, but got {_TEMPERATURE.value}.'
    ) from e


def _export():
  from train.runs import loading

  print(loading.export_run(_workdir(), _CHECKPOINT.value))


def _prepare():
  from train.data import inputs

  config = _config()
  folder = _PREPARED_DIR.value or os.path.join(
    'prepared', config.dataset.replace(':', '_')
  )
  print(inputs.prepare(config, folder, _RUNNER.value))


def _ablate():
  from train.ablation import grid

  preset = presets.PRESETS[_PRESET.value]
  if configs.override(preset, _assignments()).model == 'gan':
    raise configs.ConfigError('--mode=ablate is for flows, but this is a GAN.')
  paths = grid.run(
    _PRESET.value,
    _assignments(),
    _workdir(),
    _SEEDS.value,
    _ROWS.value,
    _JOBS.value,
  )
  print('\n'.join(str(path) for path in paths))


def _report():
  from train.report import page

  # A folder may have a comma in its name.
  is_one = pathlib.Path(_workdir()).is_dir()
  workdirs = [_workdir()] if is_one else _workdir().split(',')
  print(page.write(workdirs, _CHECKPOINT.value))


def _pack():
  from train.runs import pack

  if not _PACK_DIR.value:
    raise app.UsageError('--mode=pack needs --pack_dir, a folder to be made.')
  print(pack.pack_run(_workdir(), _PACK_DIR.value, _CHECKPOINT.value))


def _set_up_logging():
  """Shows the program's own news, and of TensorFlow's only what is wrong."""
  if not flags.FLAGS['verbosity'].present:
    logging.set_verbosity(logging.INFO)
    logging.get_absl_handler().addFilter(_is_own_or_error)


def _is_own_or_error(record):
  root = pathlib.Path(__file__).parents[1]
  folders = pathlib.Path(record.pathname).parents
  is_own = root / 'train' in folders or root / 'tfp_cglow' in folders
  return is_own or record.levelno >= std_logging.ERROR


def main(argv):
  if len(argv) > 1:
    raise app.UsageError(f'Unexpected arguments: {" ".join(argv[1:])}.')
  _check_flags()
  _set_up_logging()
  modes = {
    'train': _train,
    'evaluate': _evaluate,
    'sample': _sample,
    'export': _export,
    'prepare': _prepare,
    'ablate': _ablate,
    'report': _report,
    'pack': _pack,
  }
  # What the user can put right is a line, not a traceback.
  from train.loop import interrupts
  from train.loop import workers

  try:
    modes[_MODE.value]()
  except (interrupts.Interrupted, workers.WorkerLost) as e:
    print(e, file=sys.stderr)
    sys.stderr.flush()
    return interrupts.EXIT_CODE
  except errors.UserError as e:
    print(f'error: {e}', file=sys.stderr)
    return 2
  return 0


if __name__ == '__main__':
  app.run(main)
