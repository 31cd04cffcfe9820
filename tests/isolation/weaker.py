"""An engine with one measure taken away: what it starts must be noticed, and what it allows must be seen open."""

from __future__ import annotations

from dataclasses import dataclass

from sandbox.isolation.podman import Podman
from sandbox.isolation.spec import Spec


@dataclass(frozen=True)
class Weaker(Podman):
    """Podman's command line without the options that start with one of ``without``, and with ``more``."""

    without: tuple[str, ...] = ()
    more: tuple[str, ...] = ()

    def run(self, spec: Spec, state: str) -> list[str]:
        *options, image = super().run(spec, state)
        kept = [word for word in options if not self.without or not word.startswith(self.without)]
        if self.without:
            assert len(kept) < len(options), f"no option {self.without} to take away"
        return [*kept, *self.more, image]
