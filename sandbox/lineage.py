"""Whose voice went where: data subject, dataset, run, model, release, as one graph. Pure.

A run is a descendant of the subjects that its grant names, not of everybody in the dataset. Whatever descends from
something carries its label and its taint; labels only get stricter on the way down.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from sandbox.runs import CLASSIFICATION, FILE, Grant

PUBLIC = "public"
LABELS = (PUBLIC, CLASSIFICATION)  # from the loosest to the strictest


class Kind(StrEnum):
    SUBJECT = "subject"
    DATASET = "dataset"
    BASE = "base"
    RUN = "run"
    MODEL = "model"
    RELEASE = "release"


class Link(StrEnum):
    """How one node leads to the next. A subject's place in a dataset leads nowhere further: see ``HEARD``."""

    IN = "in"  # subject -> dataset
    HEARD = "heard"  # subject -> run
    READ = "read"  # dataset -> run
    MADE = "made"  # run -> model
    USED = "used"  # base, run or model -> run
    RELEASED = "released"  # model -> release


@dataclass(frozen=True, order=True)
class Node:
    """``SUBJECT`` digits/spk_aa (consent is per dataset), ``DATASET`` digits@3, ``RUN`` r-…, ``MODEL`` digits@1.

    ``BASE`` is the sha256 of a published file: public, and with nobody of ours in it.
    """

    kind: Kind
    id: str


@dataclass(frozen=True)
class Lineage:
    """The graph. ``own`` holds what a node is labelled with by itself, ``taints`` what was found out about it."""

    forward: Mapping[Node, frozenset[tuple[Link, Node]]] = field(default_factory=dict)
    own: Mapping[Node, str] = field(default_factory=dict)
    taints: Mapping[Node, str] = field(default_factory=dict)

    def __contains__(self, node: Node) -> bool:
        return node in self.forward

    def children(self, node: Node) -> list[tuple[Link, Node]]:
        return sorted(self.forward.get(node, frozenset()))

    def parents(self, node: Node) -> list[tuple[Link, Node]]:
        return sorted(
            (link, source) for source, links in self.forward.items() for link, to in links if to == node
        )

    def descendants(self, *start: Node) -> frozenset[Node]:
        """Everything made from ``start``, nearest or not; of a subject only what heard that subject."""
        return frozenset(self._walk(start, lambda node: _made(self.forward.get(node, frozenset())))) - set(
            start
        )

    def ancestors(self, *start: Node) -> frozenset[Node]:
        """Everything that ``start`` was made from."""
        backward: dict[Node, set[Node]] = {}
        for source, links in self.forward.items():
            for node in _made(links):
                backward.setdefault(node, set()).add(source)
        return frozenset(self._walk(start, lambda node: backward.get(node, set()))) - set(start)

    def speakers(self, node: Node) -> tuple[tuple[str, str], ...]:
        """(dataset, subject) of everybody whose voice is in ``node``."""
        found = (before.id for before in self.ancestors(node) if before.kind is Kind.SUBJECT)
        return tuple(
            sorted((dataset, subject) for dataset, _, subject in (name.partition("/") for name in found))
        )

    def bases(self, node: Node) -> tuple[str, ...]:
        """The sha256 of every published file that ``node`` began with."""
        return tuple(sorted(before.id for before in self.ancestors(node) if before.kind is Kind.BASE))

    def label(self, node: Node) -> str:
        """The strictest of its own and all its ancestors' labels; what nobody labelled is not public."""
        found = {self.own.get(one, CLASSIFICATION) for one in (node, *self.ancestors(node))}
        return strictest(found)

    def taint(self, node: Node) -> str:
        """Why it must not be used any more, from itself or the first tainted ancestor; empty when it is clean."""
        for one in (node, *sorted(self.ancestors(node))):
            if why := self.taints.get(one):
                return why
        return ""

    def _walk(self, start: Iterable[Node], step: object) -> Iterator[Node]:
        seen: set[Node] = set()
        waiting = list(start)
        while waiting:
            node = waiting.pop()
            if node not in seen:
                seen.add(node)
                yield node
                waiting.extend(step(node))  # type: ignore[operator]  # a function of this class, either way round


@dataclass(frozen=True)
class PublicBase:
    """Where a published model comes from, as who brought it in said; ``sha256`` is of the published file."""

    model: str
    licence: str
    source: str
    sha256: str


def public_base(grant: Grant) -> PublicBase | None:
    """The published model that a run brings in; None for every other run."""
    file = next((item.digest for item in grant.inputs if item.public and item.path == FILE), "")
    model, licence, source = (str(grant.parameters.get(name, "")) for name in ("model", "licence", "source"))
    return PublicBase(model, licence, source, file) if file else None


def strictest(labels: Iterable[str]) -> str:
    """Of several labels the one that allows least; an unknown one is the strictest."""
    return max(
        labels, key=lambda label: LABELS.index(label) if label in LABELS else len(LABELS), default=LABELS[-1]
    )


def subject(dataset: str, name: str) -> Node:
    return Node(Kind.SUBJECT, f"{dataset}/{name}")


def run(name: str) -> Node:
    return Node(Kind.RUN, name)


def model(name: str, version: int) -> Node:
    return Node(Kind.MODEL, f"{name}@{version}")


def base(sha256: str) -> Node:
    return Node(Kind.BASE, sha256)


def dataset(name: str, version: int) -> Node:
    return Node(Kind.DATASET, f"{name}@{version}")


@dataclass(frozen=True)
class DatasetFact:
    """One sealed version and who speaks in it."""

    name: str
    version: int
    manifest: str
    subjects: tuple[str, ...]


@dataclass(frozen=True)
class ModelFact:
    """A registered model and the run that made it."""

    name: str
    version: int
    run: str


def build(
    datasets: Iterable[DatasetFact],
    grants: Iterable[Grant],
    models: Iterable[ModelFact],
    releases: Iterable[tuple[str, ModelFact]] = (),
    taints: Mapping[Node, str] | None = None,
) -> Lineage:
    """The graph of everything granted and made. Grants name what a run heard and used; nothing else is believed."""
    forward: dict[Node, set[tuple[Link, Node]]] = {}
    own: dict[Node, str] = {}

    def add(node: Node, label: str = CLASSIFICATION) -> Node:
        forward.setdefault(node, set())
        own.setdefault(node, label)
        return node

    def link(source: Node, how: Link, target: Node) -> None:
        forward[add(source)].add((how, add(target)))

    versions: dict[str, Node] = {}
    for data in datasets:
        versions[data.manifest] = dataset(data.name, data.version)
        for name in data.subjects:
            link(subject(data.name, name), Link.IN, versions[data.manifest])
    made_by: dict[str, list[Node]] = {}
    for found in models:
        link(run(found.run), Link.MADE, model(found.name, found.version))
        made_by.setdefault(found.run, []).append(model(found.name, found.version))
    for grant in grants:
        here = add(run(grant.run))
        for name in grant.subjects:
            link(subject(str(grant.dataset), name), Link.HEARD, here)
        if grant.manifest_digest in versions:
            link(versions[str(grant.manifest_digest)], Link.READ, here)
        for source in _used(grant, made_by):
            add(source, PUBLIC if source.kind is Kind.BASE else CLASSIFICATION)
            link(source, Link.USED, here)
    for name, found in releases:
        link(model(found.name, found.version), Link.RELEASED, Node(Kind.RELEASE, name))
    return Lineage({node: frozenset(links) for node, links in forward.items()}, own, dict(taints or {}))


def _used(grant: Grant, made_by: Mapping[str, list[Node]]) -> Iterator[Node]:
    """What a run began with: the models of other runs, the runs themselves where none is registered, a public base."""
    if (brought := public_base(grant)) is not None:
        yield base(brought.sha256)
    for given in grant.inputs:
        if not given.public:
            yield from made_by.get(given.run) or [run(given.run)]


def _made(links: Iterable[tuple[Link, Node]]) -> list[Node]:
    return [node for how, node in links if how is not Link.IN]
