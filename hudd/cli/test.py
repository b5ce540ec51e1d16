"""``hudd test``."""

from __future__ import annotations

from hudd.cli import options as o
from hudd.cli.opening import open_or_create


@o.takes("test", also=("preset",))
def run_test(
    study: o.StudyDir,
    given: o.Given,
    break_lock: o.BreakLock = False,
    json: o.Json = False,
) -> None:
    """Run the DNN over the images and find its errors. Makes the study if there is none.

    [bold]Examples[/]

      hudd test signs --model model.py:cnn --weights cnn.pth --test data/test

      hudd test signs --improvement field     [dim]# add a set[/]
    """
    from hudd.cli.printing import print_json, quietly, run_step

    opened = quietly(
        lambda: open_or_create(study, given=given, break_lock=break_lock), "Checking model and data"
    )
    if json:
        summary = opened.test().summary()
        print_json(
            {split: summary[split] for split in ("test", "judge", "train", "improvement") if split in summary}
        )
    else:
        run_step(opened, "test")
