"""The verbs of a sealed dataset, each in one call, for tests."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from sandbox.sealing.compactor import compact
from sandbox.sealing.corrector import Corrector
from sandbox.sealing.reader import read_pinned
from sandbox.sealing.rewrap import rewrap
from sandbox.sealing.sweeper import sweep
from sandbox.sealing.version import Terms
from tests.fakes.corpus import DATASET, RECORDS, TERMS

NOW = datetime(2026, 11, 24, tzinfo=UTC)
DAY = timedelta(days=1)


def kept(before):
    return Terms.kept(before, TERMS.consent_digest, TERMS.created_at)


OTHER = replace(RECORDS[1], text="another transcript")


def finish(steps):
    """What a generator returns, once it has told all its steps."""
    told = []
    while True:
        try:
            told.append(next(steps))
        except StopIteration as end:
            assert [step.done for step in told] == sorted(step.done for step in told)
            assert all(step.done <= step.of for step in told)
            return end.value


def turn(world, subject=None):
    return finish(rewrap(world.folder, DATASET, kept, world.hands, subject))


def correct(world, new=OTHER):
    return Corrector(DATASET, new.record, world.folder, world.hands).replace(new, TERMS)


def squeeze(world, above=20):
    return finish(compact(world.folder, DATASET, kept, world.hands, above))


def wraps(world):
    return read_pinned(world.folder, world.manifest())[0]


def swept(world, after=2 * DAY, grace=DAY):
    return sweep(world.folder, DATASET, world.hands, NOW + after, grace)
