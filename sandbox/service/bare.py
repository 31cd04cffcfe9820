"""Something that has every attribute and does nothing: routes are made on it when only their list is wanted."""

from __future__ import annotations


class Bare:
    """Whatever is asked of it is another of its kind."""

    def __getattr__(self, name: str) -> Bare:
        if name.startswith("__"):
            raise AttributeError(name)
        return Bare()

    def __call__(self, *_: object, **__: object) -> Bare:
        return Bare()
