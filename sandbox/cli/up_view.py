"""How `up` shows its steps: a line a step, ticked when done; on a terminal the running one counts seconds."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from sandbox.cli.context import Context
from sandbox.cli.show import duration, marks

if TYPE_CHECKING:
    from rich.status import Status

_TITLES = {
    "vault": "Vault starts and unseals itself",
    "bootstrap": "keys, policies, identities",
    "image": "runner image (a few minutes the first time)",
    "services": "launcher, custodian, gate, MLflow",
}


class UpView:
    """Prints every step once, when it ends; ``seen`` may be called with the same board any number of times."""

    def __init__(self, here: Context) -> None:
        self._here = here
        self._mark = marks(here.console.file)
        self._shown: set[str] = set()
        self._spinner: Status | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, at: TracebackType | None
    ) -> None:
        self._rest()

    def say(self, line: str) -> None:
        if self._here.as_json:
            self._here.emit({"note": line})
        else:
            self._rest()
            self._here.console.print(f"  {line}", soft_wrap=True)

    def seen(self, board: dict[str, Any]) -> None:
        for step in board.get("steps", []):
            name = str(step["name"])
            if step["state"] == "running":
                self._wait(name, str(step["detail"]))
            elif name not in self._shown:
                self._shown.add(name)
                self._end(name, step)

    def _end(self, name: str, step: dict[str, Any]) -> None:
        if self._here.as_json:
            self._here.emit({"step": name, "state": step["state"], "detail": step["detail"]})
            return
        self._rest()
        good = step["state"] == "done"
        sign = f"[green]{self._mark.good}[/green]" if good else f"[red]{self._mark.bad}[/red]"
        took = f"   {duration(step['seconds'])}" if step["seconds"] >= 1 else ""
        self._here.console.print(
            f"{sign} {name:<10} {step['detail'] or _TITLES.get(name, '')}{took}", soft_wrap=True
        )

    def _wait(self, name: str, detail: str) -> None:
        """On a terminal a spinner; in a pipe one line for each thing that a long step begins with."""
        if self._here.as_json:
            return
        if not self._here.console.is_terminal:
            if detail and f"{name} {detail}" not in self._shown:
                self._shown.add(f"{name} {detail}")
                self._here.console.print(f"  {name:<10} {detail}", soft_wrap=True, markup=False)
            return
        text = f"{_TITLES.get(name, name)} {detail}"
        if self._spinner is None:
            self._spinner = self._here.console.status(text)
            self._spinner.start()
        else:
            self._spinner.update(text)

    def _rest(self) -> None:
        if self._spinner is not None:
            self._spinner.stop()
            self._spinner = None
