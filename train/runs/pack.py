"""Packs a run to be shared: its weights, config, numbers and model card."""

import dataclasses
import pathlib

from train.config import configs
from train.config import fields
from train.config import overrides
from train.runs import loading
from train.serving import model_card
from train.storage import checkpoints
from train.storage import files
from train.storage import origin
from train.storage import run_folder

__all__ = ['pack_run']

_USAGE = """\
```sh
python -m train.main --mode=sample --workdir=FOLDER
```

FOLDER is the folder of this file. `--mode=evaluate` and `--mode=export` take
it, too, and `--init_from` starts another run from its weights. It does not have
the optimiser's state, so training cannot be resumed.
"""


def pack_run(workdir, destination, which='newest'):
  """Writes a run folder with a checkpoint's weights, without optimiser state.

  The folder holds config.json, labels.txt, metrics.json, model_card.md, the
  run's init_from.json if it has one, and one checkpoint, a third of the size of
  one with Adam's state. Of a run with `optimiser.ema` it holds the averaged
  weights alone, and that key is none in the new config. Places on this machine
  are left out: those of the config (`configs.PLACES`), and the folders of the
  runs in init_from.json. The folder appears only when all of it is written.

  Args:
    workdir: Path of the run.
    destination: Path of a folder that does not exist.
    which: See `train.runs.loading.load`.

  Returns:
    The destination, `pathlib.Path`.

  Raises:
    ConfigError: if the run is a GAN's.
    RunFolderError: if there is no run, the destination exists, or it cannot be
      written.
  """
  destination = pathlib.Path(destination)
  files.check_is_local(destination)
  if destination.exists():
    raise files.RunFolderError(
      f'Expected a folder that does not exist, but {destination} exists.'
    )
  run = loading.load(workdir, which)
  if not run.system.has_likelihood:
    raise fields.ConfigError(
      f'--mode=pack is for flows, but {workdir} holds {run.system.name}.'
    )
  with files.reporting(destination):
    with files.replacing(destination) as temporary:
      _write(run, run_folder.RunFolder(temporary))
    files.sync(destination.parent)
  return destination


def _write(run, folder):
  config = configs.without_places(run.config)
  config = dataclasses.replace(
    config, optimiser=dataclasses.replace(config.optimiser, ema=None)
  )
  folder.create()
  folder.samples.rmdir()
  folder.claim(config)
  folder.write_labels(run.label_names)
  origin.copy(run.folder.path, folder.path)
  metrics = run.folder.read_metrics_file()
  # metrics.json is of the run's end; another checkpoint has other numbers.
  metrics = metrics if metrics.get('step') == run.step else {}
  folder.write_metrics({'step': run.step, **metrics})
  checkpoints.Checkpoints(
    checkpoints.weights_of(run.model, with_average=False), folder.checkpoints
  ).save(run.step)
  text = model_card.model_card(
    run.model.flow,
    label_names=run.label_names if run.model.flow.takes_labels else None,
    data=model_card.data_facts(
      config,
      metrics.get('num_train_clips'),
      metrics.get('num_valid_clips'),
      origin.words(run.folder.path),
    ),
    config=overrides.to_values(config),
    metrics=metrics,
    usage=_USAGE,
  )
  files.write_atomically(folder.path / 'model_card.md', text)
