"""``hudd retrain``."""

from __future__ import annotations

from hudd.cli import options as o


def retrain(
    study: o.StudyDir,
    train: o.TrainData = None,
    epochs: o.Epochs = None,
    lr: o.LearningRate = None,
    optimizer: o.Optimizer = None,
    runs: o.Runs = None,
    modes: o.Modes = None,
    seed: o.Seed = None,
    break_lock: o.BreakLock = False,
    json: o.Json = False,
) -> None:
    """Retrain the DNN on the training set and the labelled unsafe set, and test it again.

    The new weights are put in STUDY/models. A killed retraining goes on with the epoch in which it stopped.

    [bold]Examples[/]

      hudd retrain signs --epochs 20

      hudd retrain signs --runs 10 --modes hudd,bl1,bl2
    """
    from hudd.cli.printing import print_json, print_table, take

    opened = o.open_study(
        study, break_lock=break_lock, train=train, epochs=epochs, lr=lr, optimizer=optimizer, runs=runs,
        modes=modes, seed=seed,
    )  # fmt: skip
    if json:
        print_json(opened.retrain().table("retraining").to_dict("records"))
        return
    take(opened, "retrain")
    print_table("Retraining", opened.table("retraining"))
