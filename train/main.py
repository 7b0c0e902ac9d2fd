"""The command line, `python -m train.main`; without flags it runs the demo."""

import logging as std_logging
import os
import pathlib

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')

from absl import app  # noqa: E402
from absl import flags as absl_flags  # noqa: E402
from absl import logging  # noqa: E402

from train import flags  # noqa: E402
from train import quiet_start  # noqa: E402

FLAGS = flags.FLAGS
absl_flags.adopt_module_key_flags(flags)  # --help shows them.


def _assignments():
  """The flags' changes to the preset: list of `key=value`."""
  from train.config import configs

  given = {'data.data_dir': FLAGS.data_dir, 'seed': FLAGS.seed}
  return [
    *configs.dataset_assignments(FLAGS.dataset),
    *(f'{k}={v}' for k, v in given.items() if v is not None),
    *FLAGS.set,
  ]


def _set_up_logging():
  """Shows the program's own messages, and TensorFlow's errors only."""
  if not FLAGS['verbosity'].present:
    logging.set_verbosity(logging.INFO)
    logging.get_absl_handler().addFilter(_is_own_or_error)


def _is_own_or_error(record):
  root = pathlib.Path(__file__).parents[1]
  folders = pathlib.Path(record.pathname).parents
  is_own = root / 'train' in folders or root / 'tfp_cglow' in folders
  return is_own or record.levelno >= std_logging.ERROR


def _run(mode, stop):
  from train import commands

  workdir = FLAGS.workdir or os.path.join('runs', FLAGS.preset)
  which = FLAGS.checkpoint
  config = None
  if mode in ('train', 'prepare', 'inspect'):
    config = commands.make_config(FLAGS.preset, _assignments())
  modes = {
    'train': lambda: commands.train(
      config, workdir, FLAGS.init_from, FLAGS.strategy, stop
    ),
    'inspect': lambda: commands.inspect(
      config, FLAGS.output, FLAGS.step_seconds
    ),
    'prepare': lambda: commands.prepare(config, FLAGS.output_dir, FLAGS.runner),
    'ablate': lambda: commands.ablate(
      FLAGS.preset,
      _assignments(),
      workdir,
      FLAGS.seeds,
      FLAGS.rows,
      FLAGS.jobs,
    ),
    'evaluate': lambda: commands.evaluate(
      workdir, FLAGS.importance_samples, which, FLAGS.data_dir
    ),
    'sample': lambda: commands.sample(
      workdir,
      FLAGS.labels,
      FLAGS.num_frames,
      FLAGS.temperature,
      FLAGS.min_p,
      FLAGS.seed,
      which,
      FLAGS.interpolate,
      FLAGS.output,
    ),
    'export': lambda: commands.export(workdir, which),
    'report': lambda: commands.report(workdir, which),
    'pack': lambda: commands.pack(workdir, FLAGS.output_dir, which),
    'play': lambda: commands.play(workdir, FLAGS.host, FLAGS.port),
  }
  modes[mode]()


def main(argv):
  if len(argv) > 1:
    raise app.UsageError(f'Unexpected arguments: {" ".join(argv[1:])}.')
  flags.check()
  _set_up_logging()
  from train import failures

  # What is known is shown as a line, not as a traceback.
  return failures.exit_code(_run_or_stop)


def _run_or_stop():
  """Runs the mode; a signal ends it, also while it imports TensorFlow."""
  from train.loop import interrupts

  with interrupts.Interrupts(ends_process=True) as stop:
    quiet_start.import_tensorflow()
    _run(FLAGS.mode, stop)


if __name__ == '__main__':
  app.run(main)
