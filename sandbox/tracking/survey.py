"""Reading all that MLflow shows, for ``reconcile``, and writing back what was signed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from sandbox.tracking.client import translated
from sandbox.tracking.reconcile import Actual, Difference, Shown, SignedRun, compare
from sandbox.tracking.view import Tracking

_PAGE = 500


def read_all(tracking: Tracking) -> Actual:
    """Everything in MLflow, deleted runs too. Raises Unreachable."""
    client = tracking.client
    from mlflow.entities import ViewType

    with translated():
        experiments = [one.experiment_id for one in client.search_experiments(view_type=ViewType.ALL)]
        runs = [
            Shown(
                run.data.tags.get("gov.run", ""),
                run.info.run_id,
                dict(run.data.tags),
                dict(run.data.params),
                run.info.lifecycle_stage == "deleted",
                run.info.status,
            )
            for run in _pages(
                lambda token: client.search_runs(
                    experiments, run_view_type=ViewType.ALL, max_results=_PAGE, page_token=token
                )
            )
        ]
        logged = [
            Shown(model.tags.get("gov.model", ""), model.model_id, dict(model.tags))
            for model in _pages(
                lambda token: client.search_logged_models(experiments, max_results=_PAGE, page_token=token)
            )
        ]
        versions = [
            Shown(
                one.tags.get("gov.model", ""),
                f"{one.name}/{one.version}",
                dict(one.tags),
                description=one.description or "",
            )
            for one in _pages(
                lambda token: client.search_model_versions("", max_results=_PAGE, page_token=token)
            )
        ]
        aliases = [
            (model.name, alias, str(version))
            for model in _pages(
                lambda token: client.search_registered_models(max_results=100, page_token=token)
            )
            for alias, version in model.aliases.items()
        ]
    return Actual(tuple(runs), tuple(logged), tuple(versions), tuple(aliases))


def repair(tracking: Tracking, expected: Iterable[SignedRun]) -> tuple[Difference, ...]:
    """Write what was signed over what MLflow says; the differences that are left (unknown things stay for a person).

    Raises Unreachable.
    """
    signed = {one.grant.run: one for one in expected}
    client = tracking.client
    actual = read_all(tracking)
    with translated():
        for run in actual.runs:
            if run.deleted and run.id in signed:
                client.restore_run(run.place)
        for name, alias, _ in actual.aliases:
            client.delete_registered_model_alias(name, alias)
    for one in signed.values():
        place = tracking.open_run(one.grant, one.grant_digest)
        with translated():
            known = client.get_run(place).data.tags
            for key, value in _changed(one.tags(), known):
                client.set_tag(place, key, value)
        if one.model is not None:
            tracking.register_model(place, one.grant, one.grant_digest, one.model, one.taint)
        if one.outcome is not None:
            tracking.settle_run(place, one.outcome, one.settled)
    _repair_models(tracking, signed)
    return compare(signed.values(), read_all(tracking))


def _repair_models(tracking: Tracking, signed: dict[str, SignedRun]) -> None:
    client = tracking.client
    models = {one.model.id: one for one in signed.values() if one.model is not None}
    wanted = {name: one.model_facts() for name, one in models.items()}
    actual = read_all(tracking)
    with translated():
        for version in actual.versions:
            name, _, number = version.place.rpartition("/")
            for key, value in _changed(wanted.get(version.id, {}), version.tags):
                client.set_model_version_tag(name, number, key, value)
            if version.id in models and version.description != (said := models[version.id].card()):
                client.update_model_version(name, number, said)
        for logged in actual.logged:
            if facts := dict(_changed(wanted.get(logged.id, {}), logged.tags)):
                client.set_logged_model_tags(logged.place, facts)


def _changed(wanted: Mapping[str, str], known: Mapping[str, str]) -> list[tuple[str, str]]:
    return [(key, value) for key, value in wanted.items() if known.get(key) != value]


def _pages(ask: Callable[[str | None], Any]) -> Iterator[Any]:
    token: str | None = None
    while True:
        page = ask(token)
        yield from page
        token = page.token
        if not token:
            return
