"""Whatever is done to a study in whatever order, it opens, shows itself, and ends as if nothing had happened.

HUDD_STUDIES sets how many histories are tried, 4 by default.
"""

import errno
import os
import shutil
from pathlib import Path

import h5py
import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from hudd.cli import call
from hudd.errors import HuddError
from hudd.study import STEPS, Study

pytestmark = pytest.mark.slow


class Killed(BaseException):
    """What ends a process in the middle of its work."""


def datasets(path):
    """Every dataset of study.h5 by name, read with h5py alone."""
    found = {}
    with h5py.File(path / "study.h5") as file:
        file.visititems(
            lambda name, item: found.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None
        )
        return {name: str(np.asarray(value).tolist()) for name, value in found.items()}


def machine(tiny, folder):
    """The state machine over studies beneath `folder`."""
    wanted = {}

    class Histories(RuleBasedStateMachine):
        number = 0

        def __init__(self):
            super().__init__()
            Histories.number += 1
            self.root = folder / str(Histories.number)
            self.root.mkdir()
            self.choices, self.data = tiny["material"](self.root), 1
            self.path = self.root / "study"
            Study.create(self.path, **self.choices)

        def study(self):
            return Study.open(self.path)

        @rule(step=st.sampled_from(STEPS))
        def take(self, step):
            getattr(self.study(), step)()

        @rule(
            step=st.sampled_from(STEPS),
            forced=st.sampled_from((None, *STEPS)),
            at=st.integers(1, 6),
            kind=st.booleans(),
        )
        def interrupt(self, step, forced, at, kind):
            """Fail at a write: the disk is full, or the process ends."""
            sync, count = os.fsync, 0

            def failing(handle):
                nonlocal count
                count += 1
                if count == at:
                    raise OSError(errno.ENOSPC, "No space left on device") if kind else Killed
                sync(handle)

            os.fsync = failing
            try:
                study = self.study()
                getattr(study if forced is None else study.force(forced), step)()
            except Killed:
                pass
            except HuddError as error:
                if "finished work is kept" not in str(error):
                    raise
            finally:
                os.fsync = sync

        @rule(step=st.sampled_from(STEPS))
        def force(self, step):
            self.study().force(step)

        @rule(pool=st.sampled_from((None, "channel")), factor=st.sampled_from((None, 1.0)))
        def configure(self, pool, factor):
            self.study().configure(pool=pool, factor=factor)

        @rule()
        def change_the_test_set(self):
            """Other images in the same file, as people do."""
            self.data = 3 - self.data
            tiny["write_split"](self.root / "test.npz", 40, self.data)

        @precondition(lambda self: (self.path / "shards").is_dir())
        @rule(which=st.integers(0, 9), how=st.sampled_from(("gone", "torn", "flipped")))
        def damage_a_shard(self, which, how):
            shards = sorted((self.path / "shards").rglob("0*.h5"))
            if shards:
                shard = shards[which % len(shards)]
                content = bytearray(shard.read_bytes())
                content[len(content) // 2] ^= 1
                shard.unlink() if how == "gone" else shard.write_bytes(
                    content[:-9] if how == "torn" else content
                )

        @invariant()
        def it_opens_and_shows_itself(self):
            self.study().summary()
            assert call(["show", str(self.path), "--json"]) == 0

        def teardown(self):
            """Finished, it holds what a study that was never interrupted holds."""
            study = self.study()
            study.heatmaps().distances()
            study.run()
            chosen = (self.data, study.settings.pool, study.settings.factor)
            if chosen not in wanted:
                fresh = self.root / "fresh"
                Study.create(fresh, **self.choices, pool=chosen[1], factor=chosen[2]).run()
                wanted[chosen] = datasets(fresh)
            found = datasets(self.path)
            assert found.keys() == wanted[chosen].keys()
            assert not [name for name in found if found[name] != wanted[chosen][name]]
            assert not [path for path in self.path.rglob("*") if ".aside" in path.name]
            shutil.rmtree(self.root)

    return Histories


@pytest.mark.slow
def test_any_history_ends_in_the_same_study(tiny, tmp_path, capsys):
    chosen = settings(
        max_examples=int(os.environ.get("HUDD_STUDIES", "4")),
        stateful_step_count=8,
        deadline=None,
        derandomize="HUDD_STUDIES" not in os.environ,
        database=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(machine(tiny, Path(tmp_path)), settings=chosen)
