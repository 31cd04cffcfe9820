"""What happened to a run so far, folded from its events; pure, so that terminal, pipe and JSON tell the same story."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sandbox.cli.show import Marks, duration, size, thousands
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
    step: int = 0
    total: int = 0
    rate: float = 0.0
    metrics: dict[str, float] = field(default_factory=dict)
    artifacts: list[Mapping[str, Any]] = field(default_factory=list)
    _said: set[str] = field(default_factory=set)

    @property
    def over(self) -> bool:
        return self.state == FINAL

    def update(self, event: Event) -> list[tuple[str, str, str]]:
        data = event.data
        match event.kind:
            case "metric":
                self.metrics[str(data.get("name"))] = float(data.get("value", 0.0))
            case "progress":
                self.step, self.total = int(data.get("step", 0)), int(data.get("total", 0))
                self.rate = float(data.get("rate", 0.0))
            case "artifact":
                self.artifacts.append(data)
            case "state":
                return self._enter(str(data.get("state", "")), data)
        return []

    def left_s(self) -> float:
        """Seconds until the last step, at the present rate; 0 when unknown."""
        return (self.total - self.step) / self.rate if self.rate > 0 else 0.0

    def progress(self) -> str:
        """``1 070 / 1 500   loss 0.21   9.8 steps/s   0:44 left``."""
        parts = [f"{thousands(self.step)} / {thousands(self.total)}"]
        parts += [f"{name} {value:g}" for name, value in list(self.metrics.items())[:3]]
        if self.rate:
            parts += [f"{self.rate:.1f} steps/s", f"{duration(self.left_s())} left"]
        return "   ".join(parts)

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
        people = data.get("subjects")
        count = len(people) if isinstance(people, list) else people
        privacy = data.get("privacy")
        bound = f"epsilon {privacy.get('epsilon'):g}" if isinstance(privacy, Mapping) else "no DP"
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
