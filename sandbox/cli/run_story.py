"""What happened to a run so far, folded from its events; pure, so that terminal, pipe and JSON tell the same story."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sandbox.cli.run_line import Standing, words
from sandbox.cli.show import Marks, size, thousands
from sandbox.client import Event

FINAL = "settled"


@dataclass
class Story:
    """``update`` takes one event and returns the lines that are now worth saying: (mark, title, text)."""

    run: str
    marks: Marks
    state: str = "asked"
    outcome: str = ""
    failure: str = ""
    standing: Standing = field(default_factory=Standing)
    metrics: dict[str, float] = field(default_factory=dict)
    artifacts: list[Mapping[str, Any]] = field(default_factory=list)
    _said: set[str] = field(default_factory=set)
    _tenths: int = 0  # of all steps that were told where nothing can be shown live

    @property
    def over(self) -> bool:
        return self.state == FINAL

    def update(self, event: Event) -> list[tuple[str, str, str]]:
        data = event.data
        match event.kind:
            case "metric":
                name, step = str(data.get("name")), int(data.get("step", 0))
                self.metrics[name] = float(data.get("value", 0.0))
                self.standing.metric(name, step, self.metrics[name])
            case "progress":
                now = self.standing
                now.step, now.total = int(data.get("step", 0)), int(data.get("total", 0))
                now.rate = float(data.get("rate", 0.0))
            case "artifact":
                self.artifacts.append(data)
            case "stop":
                return [(self.marks.good, "stopping", f"asked to end in order by {data.get('by', '')}")]
            case "state":
                return self._enter(str(data.get("state", "")), data)
        return []

    def tenth(self, width: int) -> list[tuple[str, str, str]]:
        """A line at each new tenth of the steps, for a pipe or a file."""
        tenths = int(self.standing.part * 10)
        if tenths <= self._tenths or self.over:
            return []
        self._tenths = tenths
        return [(self.marks.dot, "training", words(self.standing, width))]

    def _enter(self, state: str, data: Mapping[str, Any]) -> list[tuple[str, str, str]]:
        if not state or state in self._said:
            return []
        self._said.add(state)
        self.state = state
        dot = f" {self.marks.dot} "
        match state:
            case "admitted":
                return [(self.marks.good, "admitted", dot.join(self._admitted(data)))]
            case "started":
                return [(self.marks.good, "isolated", dot.join(_isolated(data)))]
            case "unlocked":
                return [(self.marks.good, "unlocked", dot.join(_unlocked(data)))]
            case "settled":
                return self._settled(data, dot)
        return []

    def _admitted(self, data: Mapping[str, Any]) -> list[str]:
        self.standing.known, self.standing.privacy = True, _target(data)
        people = data.get("subjects")
        count = len(people) if isinstance(people, list) else people
        privacy = self.standing.privacy
        bound = f"epsilon {privacy.get('epsilon'):g}" if privacy is not None else "no DP"
        version = f" v{data['agreement_version']}" if data.get("agreement_version") else ""
        who = f"{count} {'person' if count == 1 else 'people'}" if count else "the people of its inputs"
        parts = [
            f"run {self.run}, grant {data.get('grant', '')}",
            f"agreement {data.get('agreement', '')}{version}",
            str(data.get("purpose", "")),
            who,
            bound,
        ]
        return [part for part in parts if part.strip()]

    def _settled(self, data: Mapping[str, Any], dot: str) -> list[tuple[str, str, str]]:
        self.outcome = str(data.get("outcome", ""))
        self.failure = str(data.get("failure") or "")
        lines: list[tuple[str, str, str]] = []
        if self.artifacts:
            lines.append((self.marks.good, "sealed", dot.join(self._sealed(data))))
        parts = [self.outcome]
        if data.get("model"):
            parts = [f"model {data['model']}"]
        if data.get("statement"):
            parts.append("statement signed")
        if data.get("log_entry") is not None:
            parts.append(f"log entry {thousands(float(data['log_entry']))}")
        if self.failure:
            parts.append(self.failure)
        good = self.outcome == "finished"
        lines.append(
            (self.marks.good if good else self.marks.bad, "settled", dot.join(part for part in parts if part))
        )
        return lines

    def _sealed(self, data: Mapping[str, Any]) -> list[str]:
        count = len(self.artifacts)
        largest = max(float(artifact.get("size", 0)) for artifact in self.artifacts)
        each = f", {size(largest)} each" if largest else ""
        kind = "artifact" if count == 1 else "artifacts"
        return [f"{count} {kind}{each}", str(data.get("classification") or "party_a_confidential_derivative")]


def _target(data: Mapping[str, Any]) -> Mapping[str, Any] | None:
    privacy = data.get("privacy")
    return privacy if isinstance(privacy, Mapping) else None


def _isolated(data: Mapping[str, Any]) -> list[str]:
    container = str(data.get("container", ""))[:6]
    engine = str(data.get("engine", "container"))
    parts = [f"{engine} {container}…" if container else engine]
    if data.get("properties"):
        parts.append(f"{data['properties']} of {data['properties']} properties read back from the kernel")
    return parts


def _unlocked(data: Mapping[str, Any]) -> list[str]:
    keys = data.get("subjects")
    count = len(keys) if isinstance(keys, list) else keys
    first = "no voice key needed" if not count else f"{count} {'key' if count == 1 else 'keys'}"
    if count and data.get("seconds") is not None:
        first += f" in {float(data['seconds']):.1f} s"
    return [first, "credential proved dead", "Vault door closed"]
