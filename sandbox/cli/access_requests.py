"""`sandbox access request|requests|approve|deny|break-glass|confirm`: people ask, Party A's approver decides."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from sandbox.cli.context import current
from sandbox.cli.show import grid, local_time, marks

PURPOSES = ("train", "optimise", "test", "evaluate", "serve_custom_tts")
_purpose = click.option(
    "--purpose",
    "purposes",
    type=click.Choice(PURPOSES),
    multiple=True,
    required=True,
    help="May be given again.",
)
_reason = click.option("--reason", required=True, help="Stands in the signed register.")


@click.command()
@click.option("--dataset", required=True)
@_purpose
@click.option(
    "--until", required=True, help="2026-12-31T23:59:59+08:00; a bare date is its first second, UTC."
)
@_reason
def request(dataset: str, purposes: tuple[str, ...], until: str, reason: str) -> None:
    """\b
    sandbox access request --dataset digits --purpose train --until 2026-12-31T23:59:59+08:00 --reason "release 2"

    Asks Party A's approver for access. A request that nobody decided is void after seven days.
    """
    body = {"dataset": dataset, "purposes": list(purposes), "until": until, "reason": reason}
    _post("/v1/access-requests", body, "asked", lambda a: f"{a['id']} until {local_time(str(a['until']))}")


@click.command()
@click.option("--all", "every", is_flag=True, help="Also those that were decided, or are void.")
def requests(every: bool) -> None:
    """\b
    sandbox access requests

    Open requests: who asks for what, and why. Engineers see their own.
    """
    from rich.markup import escape

    here = current()
    with here.custodian() as custodian:
        found = list(custodian.pages("/v1/access-requests", {} if every else {"status": "pending"}))
    if here.as_json:
        for entry in found:
            here.emit(entry)
        return
    rows = [
        (
            str(entry["id"]),
            "break-glass" if entry["kind"] == "break_glass" else "access",
            str(entry["person"]),
            str(entry["dataset"]),
            " ".join(entry["purposes"]),
            _lasts(entry),
            str(entry["status"]),
            escape(f"{entry['reason']} ({entry['asked_by']})"),
        )
        for entry in found
    ]
    grid(
        here.console, ("request", "kind", "person", "dataset", "purposes", "until", "status", "reason"), rows
    )


@click.command()
@click.argument("request_id", metavar="REQUEST")
@click.option("--until", help="An earlier end than was asked for.")
def approve(request_id: str, until: str | None) -> None:
    """\b
    sandbox access approve rq-7f3k9w
    sandbox access approve rq-7f3k9w --until 2026-12-24T00:00:00Z

    As Party A's approver: grants what was asked for, or a shorter time. Nobody decides a request of their own.
    """
    body = {"until": until} if until else {}
    _post(f"/v1/access-requests/{request_id}/approve", body, "granted", _granted)


@click.command()
@click.argument("request_id", metavar="REQUEST")
@_reason
def deny(request_id: str, reason: str) -> None:
    """\b
    sandbox access deny rq-7f3k9w --reason "the release was called off"

    As Party A's approver: refuses a request of either kind.
    """
    _post(f"/v1/access-requests/{request_id}/deny", {"reason": reason}, "denied", lambda a: str(a["id"]))


@click.command("break-glass")
@click.option("--person", required=True, help="Who gets it; neither you nor whoever confirms.")
@click.option("--dataset", required=True)
@_purpose
@click.option(
    "--for", "lasts", required=True, help="How long, from when it is confirmed: PT2H; PT4H at most."
)
@_reason
def break_glass(person: str, dataset: str, purposes: tuple[str, ...], lasts: str, reason: str) -> None:
    """\b
    sandbox access break-glass --person eng.wu --dataset digits --purpose evaluate --for PT2H --reason "incident i-3kd9"

    In an emergency: asks for hours of access for somebody else. Party A's approver confirms it within the hour, or it
    is void. It lifts no rule on logging, purpose, consent or expiry, and it raises an alert.
    """
    body = {"person": person, "dataset": dataset, "purposes": list(purposes), "for": lasts, "reason": reason}
    _post(
        "/v1/break-glass",
        body,
        "asked",
        lambda a: f"{a['id']}; another person: sandbox access confirm {a['id']}",
    )


@click.command()
@click.argument("request_id", metavar="REQUEST")
def confirm(request_id: str) -> None:
    """\b
    sandbox access confirm rq-7f3k9w

    As Party A's approver, and neither who asked nor who gets it: opens break-glass access. Its clock starts now.
    """
    _post(f"/v1/access-requests/{request_id}/confirm", {}, "opened", _granted)


def _granted(answer: Mapping[str, Any]) -> str:
    until = local_time(str(answer["until"]))
    return f"{answer['access']} {answer['person']} {answer['dataset']} {' '.join(answer['purposes'])} until {until}"


def _lasts(entry: Mapping[str, Any]) -> str:
    seconds = entry.get("lasts_s")
    return f"{seconds // 60} min, once confirmed" if seconds else local_time(str(entry["until"]))


def _post(path: str, body: Mapping[str, Any], done: str, said: Any) -> None:
    here = current()
    with here.custodian() as custodian:
        answer = custodian.post(path, body)
    if here.as_json:
        here.emit(answer)
    else:
        click.echo(f"{marks(here.console.file).good} {done:<10} {said(answer)}")
