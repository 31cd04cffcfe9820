"""The lineage as people read it: from a voice down to every result, each line saying under which grant."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.errors import NotFound

FORWARD = ("heard", "read", "made", "used", "released")


@dataclass(frozen=True)
class Graph:
    """Nodes (``kind:id``) with their label and taint, and where each leads."""

    nodes: Mapping[str, Mapping[str, Any]]
    links: Mapping[str, tuple[tuple[str, str], ...]]

    @classmethod
    def read(cls, value: Mapping[str, Any]) -> Graph:
        links: dict[str, list[tuple[str, str]]] = {}
        for link in value["links"]:
            links.setdefault(link["from"], []).append((str(link["how"]), str(link["to"])))
        nodes = {f"{node['kind']}:{node['id']}": node for node in value["nodes"]}
        return cls(nodes, {name: tuple(found) for name, found in links.items()})

    def find(self, kind: str, name: str) -> list[str]:
        """The nodes of that name; a data subject may be in several datasets. Raises NotFound."""
        wanted = f"{kind}:{name}"
        found = [
            node
            for node in self.nodes
            if node == wanted
            or (kind == "subject" and node.startswith("subject:") and node.endswith(f"/{name}"))
        ]
        if not found:
            raise NotFound(
                f"nothing was made from or by {name}", code="lineage.unknown", mend="sandbox runs list"
            )
        return sorted(found)

    def children(self, node: str) -> list[str]:
        return sorted({to for how, to in self.links.get(node, ()) if how in FORWARD})

    def parents(self, node: str) -> list[str]:
        """What it was made from, nearest first."""
        return sorted({source for source in self.links for to in self.children(source) if to == node})

    def as_json(self, node: str) -> dict[str, Any]:
        return {
            **self.nodes[node],
            "from": self.parents(node),
            "leads_to": [self.as_json(child) for child in self.children(node)],
        }


def tree(graph: Graph, node: str, runs: Mapping[str, Mapping[str, Any]], *, utf8: bool) -> Iterator[str]:
    """Lines of a tree; what a run was made from stands above it."""
    yield describe(graph, node, runs)
    if sources := graph.parents(node):
        yield "   made from: " + ", ".join(source.partition(":")[2] for source in sources)
    yield from _below(graph, node, runs, "", ("└─ ", "├─ ", "│  ") if utf8 else ("`- ", "|- ", "|  "))


def describe(graph: Graph, node: str, runs: Mapping[str, Mapping[str, Any]]) -> str:
    kind, _, name = node.partition(":")
    shown = graph.nodes[node]
    words = [name]
    if kind == "run" and (run := runs.get(name)):
        privacy = (
            f", {_privacy(run)}" if run.get("outcome") else ""
        )  # what it cost is known when it is settled
        words.append(f"{run['purpose']}, {run['person']}, grant {run['grant']}{privacy}")
        words.append(str(run.get("outcome") or run["state"]))
    elif kind == "model":
        words[0] = name.replace("@", " v")
        words.append("sealed, confidential, release denied" if shown["label"] != "public" else "public")
    elif kind == "subject":
        words[0] = name.rpartition("/")[2]
        words.append(f"in {name.rpartition('/')[0]}")
    elif kind == "base":
        words = [f"sha256:{name[:12]}…", "a published file, public"]
    if shown["taint"]:
        words.append(f"TAINTED: {shown['taint']}")
    if shown.get("withdrawn"):
        words.append(f"CONSENT WITHDRAWN: {shown['withdrawn']}")
    return "  ".join(words)


def _privacy(run: Mapping[str, Any]) -> str:
    return "no DP" if run.get("epsilon") is None else f"epsilon {run['epsilon']:.3g} a person"


def _below(
    graph: Graph, node: str, runs: Mapping[str, Mapping[str, Any]], lead: str, signs: tuple[str, str, str]
) -> Iterator[str]:
    last, more, down = signs
    children = graph.children(node)
    for number, child in enumerate(children, 1):
        ends = number == len(children)
        yield lead + (last if ends else more) + describe(graph, child, runs)
        yield from _below(graph, child, runs, lead + ("   " if ends else down), signs)
