"""Loads trained runs; measures, samples and exports them again."""

import dataclasses

import tf_keras as tfk

from train import errors
from train.config import configs
from train.config import fields
from train.config import memory
from train.data import inputs as inputs_lib
from train.data import sources
from train.samples import numbered
from train.samples import sample_files
from train.samples import sweeps
from train.storage import checkpoints as checkpoints_lib
from train.storage import files
from train.storage import run_folder
from train.systems import systems

__all__ = ['Run', 'evaluate_run', 'export_run', 'load', 'sample_run']


@dataclasses.dataclass(frozen=True)
class Run:
  """A run, restored from a checkpoint.

  Attributes:
    folder: `RunFolder`.
    config: `Config`.
    label_names: Tuple of `str`.
    model: A compiled `VideoGlow` or `VideoGan`, restored.
    step: Python `int`, number of training steps of the model.
  """

  folder: run_folder.RunFolder
  config: configs.Config
  label_names: tuple
  model: tfk.Model
  step: int

  @property
  def system(self):
    """The `System` that trained the run."""
    return systems.of(self.config)

  @property
  def sampler(self):
    """The object that draws videos: a `VideoFlow` or a `VideoGan`."""
    return self.system.sampler(self.model)

  def inputs(self):
    """The run's `Inputs`."""
    return inputs_lib.make_inputs(self.config, self.folder.skipped_log)


def load(workdir, which='newest'):
  """Restores a run's checkpoint, with averaged weights if it keeps them.

  Args:
    workdir: Path.
    which: 'newest' or 'best', the kept checkpoint with the lowest held-out
      bits/dim.

  Returns:
    A `Run`.

  Raises:
    ConfigError: if `which` is 'best' and the run is a GAN's.
    RunFolderError: if there is no run, or it has no checkpoint.
  """
  folder = run_folder.RunFolder(workdir)
  config = configs.check(folder.read_config())
  memory.check(memory.of_weights(config))
  system = systems.of(config)
  if which == 'best' and not system.has_likelihood:
    raise fields.ConfigError(
      '--checkpoint=best ranks by held-out bits/dim, but this run trains '
      f'{system.name}.'
    )
  label_names = folder.read_labels()
  model = system.build_model(len(label_names))
  checkpoints = checkpoints_lib.Checkpoints(
    checkpoints_lib.weights_of(model), folder.checkpoints, is_chief=False
  )
  step = checkpoints.restore(which)
  if step is None:
    raise files.RunFolderError(f'{workdir} has no checkpoint.')
  if model.weight_average is not None:
    model.weight_average.assign()
  return Run(folder, config, label_names, model, step)


def evaluate_run(
  workdir, num_importance_samples=None, which='newest', data_dir=None
):
  """Measures a run's checkpoint again; writes metrics.json.

  Args:
    workdir: Path.
    num_importance_samples: See `measuring.measure`.
    which: See `load`.
    data_dir: Path of the data, if it has changed since training; else None.

  Returns:
    metrics: `dict`, as written.
    config: The run's `Config`.
  """
  run = load(workdir, which)
  if data_dir is not None:
    data = dataclasses.replace(run.config.data, data_dir=data_dir)
    moved = dataclasses.replace(run.config, data=data)
    run = dataclasses.replace(run, config=moved)
  inputs = run.inputs()
  with inputs.raising():
    metrics = run.system.measure(
      run.model, run.step, inputs, run.folder, num_importance_samples
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
  min_p=None,
  output=None,
):
  """Samples videos from a run's checkpoint into files with a new number.

  Args:
    workdir: Path.
    labels: List of `str`, names or ids; empty: every label.
    num_frames: Python `int`, or None: the config's.
    temperatures: List of floats; each gives a video from the same noise. Empty:
      the config's.
    seed: Python `int`, or None: a random one.
    which: See `load`.
    num_interpolated: Python `int`, number of videos that interpolate between
      two drawn videos of each label; None: one drawn video of each label.
    min_p: Float, see `Glow.tempered`, for a flow; None: the config's.
    output: Path of the folder to write to, or None: the run's samples/.

  Returns:
    Paths of the files written: sampled_0001.gif, .png and .mp4, or of the next
    number.
  """
  run = load(workdir, which)
  system, settings = run.system, run.config.run
  if not system.has_head:
    raise fields.ConfigError(
      f'--mode=sample draws first frames, but {run.folder.path} trained no '
      f'head. {run.folder.samples} has continuations of held-out clips.'
    )
  temperatures = temperatures or [settings.temperature]
  others = {k: v for k, v in run.config.sampling.items() if k != 'temperature'}
  if min_p is not None and 'min_p' not in others:
    raise fields.ConfigError(
      f'--min_p is for flows, but this run trains {system.name}.'
    )
  if min_p is not None:
    others['min_p'] = min_p
  num_frames = num_frames or (settings.sample_frames if system.has_tail else 1)
  try:
    ids = sources.resolve_labels(labels, run.label_names)
    ids = ids or list(range(len(run.label_names)))
    num_videos = len(ids) * len(temperatures) * (num_interpolated or 1)
    memory.check(memory.of_videos(run.config, num_videos, num_frames))
    if num_interpolated is not None:
      _check_interpolation(system, temperatures)
    with numbered.new_stem(output or run.folder.samples, 'sampled') as stem:
      if num_interpolated is None:
        videos = sweeps.temperature_sweep(
          run.sampler, ids, num_frames, temperatures, seed, **others
        )
      else:
        videos = sweeps.between_two(
          run.sampler, ids, num_frames, temperatures[0], seed, num_interpolated
        )
      return sample_files.save_videos(stem, videos.numpy())
  except errors.UserError:
    raise
  except ValueError as e:
    raise fields.ConfigError(str(e)) from e


def _check_interpolation(system, temperatures):
  if not system.has_likelihood:
    raise fields.ConfigError(
      f'--interpolate is for flows, but this run trains {system.name}.'
    )
  if len(temperatures) > 1:
    raise fields.ConfigError(
      '--interpolate expects one temperature, but got '
      f'{", ".join(map(str, temperatures))}.'
    )


def export_run(workdir, which='newest'):
  """Exports a run's checkpoint again.

  Args:
    workdir: Path.
    which: See `load`.

  Returns:
    The SavedModel's path.

  Raises:
    ConfigError: if the run is a GAN's.
  """
  system = systems.of(run_folder.RunFolder(workdir).read_config())
  if not system.has_likelihood:
    raise fields.ConfigError(
      f'--mode=export is for flows, but {workdir} holds {system.name}.'
    )
  run = load(workdir, which)
  return system.export(run.model, run.folder)
