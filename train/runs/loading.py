"""Runs that were trained: loaded, measured again, sampled, exported."""

import dataclasses

import tf_keras as tfk

from train.config import configs
from train.data import inputs as inputs_lib
from train.data import sources
from train.samples import sample_files
from train.samples import sweeps
from train.storage import checkpoints as checkpoints_lib
from train.storage import run_folder
from train.systems import choice

__all__ = ['Run', 'evaluate_run', 'export_run', 'load', 'sample_run']


@dataclasses.dataclass(frozen=True)
class Run:
  """A run as a checkpoint has it.

  Attributes:
    folder: `RunFolder`.
    config: `Config`.
    label_names: Tuple of `str`.
    model: A compiled `VideoGlow` or `VideoGan`, restored.
    step: Python `int`, training steps that the model had.
  """

  folder: run_folder.RunFolder
  config: configs.Config
  label_names: tuple
  model: tfk.Model
  step: int

  @property
  def sampler(self):
    """What draws samples: `VideoFlow` or `VideoGan`."""
    return choice.of(self.config).sampler(self.model)

  def inputs(self):
    """The run's `Inputs`."""
    return inputs_lib.make_inputs(self.config, self.folder.skipped_log)


def load(workdir, which='newest'):
  """Restores a run's checkpoint; its averaged weights, if it keeps any.

  Args:
    workdir: Path.
    which: 'newest', or 'best' of those kept, by held-out bits/dim.

  Returns:
    A `Run`.

  Raises:
    ConfigError: for the best of a GAN.
    RunFolderError: if there is no run, or it has no checkpoint.
  """
  folder = run_folder.RunFolder(workdir)
  config = folder.read_config()
  if which == 'best' and not choice.of(config).HAS_SCORE:
    raise configs.ConfigError(
      '--checkpoint=best is by held-out bits/dim, but this is a GAN.'
    )
  label_names = folder.read_labels()
  model = choice.of(config).build_model(config, len(label_names))
  checkpoints = checkpoints_lib.Checkpoints(
    checkpoints_lib.weights_of(model), folder.checkpoints, is_chief=False
  )
  step = checkpoints.restore(which)
  if step is None:
    raise run_folder.RunFolderError(f'{workdir} has no checkpoint.')
  if model.weight_average is not None:
    model.weight_average.assign()
  return Run(folder, config, label_names, model, step)


def evaluate_run(
  workdir, num_importance_samples=None, which='newest', data_dir=None
):
  """Measures a run's checkpoint again; writes metrics.json.

  Args:
    workdir: Path.
    num_importance_samples: As of `measuring.measure`.
    which: As of `load`.
    data_dir: Where the data are now, or None: where they were.

  Returns:
    metrics: `dict`, as written.
    config: The run's `Config`.
  """
  run = load(workdir, which)
  if data_dir is not None:
    moved = dataclasses.replace(run.config, data_dir=data_dir)
    run = dataclasses.replace(run, config=moved)
  inputs = run.inputs()
  with inputs.raising():
    metrics = choice.of(run.config).measure(
      run.model,
      run.config,
      run.step,
      inputs,
      run.folder,
      num_importance_samples,
    )
  run.folder.write_metrics(metrics)
  return metrics, run.config


def sample_run(
  workdir,
  labels,
  num_frames,
  temperatures,
  seed,
  which='newest',
  num_interpolated=None,
):
  """Samples videos from a run's checkpoint.

  Args:
    workdir: Path.
    labels: List of `str`, names or ids; empty: every label.
    num_frames: Python `int`, or None: the config's.
    temperatures: List of floats, a video each with the same noise; empty: the
      config's.
    seed: Python `int`, or None: a random one.
    which: As of `load`.
    num_interpolated: Python `int`: so many videos between two drawn ones of a
      label, in the place of one; None: none.

  Returns:
    Paths of the files written.
  """
  run = load(workdir, which)
  model, config = run.sampler, run.config
  temperatures = temperatures or [config.temperature]
  num_frames = num_frames or (
    1 if config.model == 'head' else config.sample_frames
  )
  try:
    ids = sources.resolve_labels(labels, run.label_names)
    ids = ids or list(range(len(run.label_names)))
    if num_interpolated is None:
      videos = sweeps.temperature_sweep(
        model, ids, num_frames, temperatures, seed
      )
    elif config.model == 'gan':
      raise ValueError('--interpolate is for flows, but this is a GAN.')
    elif len(temperatures) > 1:
      raise ValueError('Expected one temperature to interpolate at.')
    else:
      videos = sweeps.between_two(
        model, ids, num_frames, temperatures[0], seed, num_interpolated
      )
  except ValueError as e:
    raise configs.ConfigError(str(e)) from e
  with run_folder.reporting(run.folder.samples):
    run.folder.samples.mkdir(exist_ok=True)  # A packed run has none.
  return sample_files.save_videos(
    run.folder.samples / 'sampled', videos.numpy()
  )


def export_run(workdir, which='newest'):
  """Exports a run's checkpoint again.

  Args:
    workdir: Path.
    which: As of `load`.

  Returns:
    The SavedModel's path.

  Raises:
    ConfigError: for a GAN.
  """
  config = run_folder.RunFolder(workdir).read_config()
  system = choice.of(config)
  if not system.EXPORTS:
    raise configs.ConfigError(
      f'--mode=export is for flows, but {workdir} is of model={config.model!r}.'
    )
  run = load(workdir, which)
  return system.export(run.model, run.config, run.folder)
