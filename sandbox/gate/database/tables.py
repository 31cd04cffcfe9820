"""The gate's tables. Times are UTC ISO text, structured values JSON; ``budget`` and ``log`` are only appended to."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}
metadata = MetaData(naming_convention=NAMES)

ID, DIGEST, TIME = String(64), String(64), String(32)

#: One row a run. ``plan`` is the grant's predicate; ``kill`` is set first and checked at every step.
runs = Table(
    "runs",
    metadata,
    Column("id", ID, primary_key=True),
    Column("grant", ID, nullable=False),
    Column("decision", ID, nullable=False),
    Column("kind", ID, nullable=False),
    Column("person", ID, nullable=False),
    Column("agreement", ID, nullable=False),
    Column("purpose", ID, nullable=False),
    Column("dataset", ID),
    Column("recipe", ID, nullable=False),
    Column("request", JSON, nullable=False),
    Column("plan", JSON, nullable=False),
    Column("state", ID, nullable=False, index=True),
    Column("outcome", ID),
    Column("failure", ID),
    Column("kill", Text),
    Column("killed_by", ID),
    Column("asked_at", TIME, nullable=False),
    Column("changed_at", TIME, nullable=False),
    Column("grant_digest", DIGEST),
    Column("tracking", ID),
    Column("wraps_until", TIME),
    Column("container", ID),
    Column("pid", Integer),
    Column("isolation", JSON),
    Column("unlocked", JSON),
    Column("stored", Integer, nullable=False, default=0),  # number of the last frame stored
    Column("points", Integer, nullable=False, default=0),  # metric points used of the channel's budget
    Column("ended", Boolean, nullable=False, default=False),  # the keeper said "end"
    Column("done", Boolean, nullable=False, default=False),  # the keeper said "done"
    Column("exit", ID),
    Column("epsilon", Float),
    Column("statement", DIGEST),
    Column("model", ID),
    Column("asked_with", String(256), unique=True),  # person and Idempotency-Key
)

#: Who supervises a run. A stale owner's epoch no longer matches, so its writes fail.
leases = Table(
    "leases",
    metadata,
    Column("run", ID, ForeignKey("runs.id"), primary_key=True),
    Column("owner", ID, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("until", Float, nullable=False),
)

#: Every credential of a run: the token, and each wrap. ``dead_at`` is set by a proof, never by an intention.
credentials = Table(
    "credentials",
    metadata,
    Column("accessor", ID, primary_key=True),
    Column("run", ID, ForeignKey("runs.id"), nullable=False, index=True),
    Column("kind", ID, nullable=False),
    Column("path", Text, nullable=False),
    Column("audit_hash", Text, nullable=False),
    Column("created_at", String(64), nullable=False),
    Column("expires_at", TIME, nullable=False),
    Column("dead_at", TIME),
)

#: What happened to a run, as clients see it; ``id`` is where a live view resumes.
events = Table(
    "events",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("run", ID, ForeignKey("runs.id"), nullable=False),
    Column("kind", ID, nullable=False),
    Column("data", JSON, nullable=False),
    Column("at", TIME, nullable=False),
    Index("ix_events_run_id", "run", "id"),
    sqlite_autoincrement=True,
)

artifacts = Table(
    "artifacts",
    metadata,
    Column("run", ID, ForeignKey("runs.id"), primary_key=True),
    Column("path", String(256), primary_key=True),
    Column("step", Integer, nullable=False),
    Column("media_type", ID, nullable=False),
    Column("size", Integer, nullable=False),
    Column("sha256", DIGEST, nullable=False, index=True),
    Column("received", Integer, nullable=False, default=0),
    Column("state", ID, nullable=False),  # arriving, stored, signed, quarantined
    Column("wrapped_key", Text),
    Column("statement", DIGEST),
)

decisions = Table(
    "decisions",
    metadata,
    Column("id", ID, primary_key=True),
    Column("run", ID),
    Column("person", ID, nullable=False),
    Column("permitted", Boolean, nullable=False),
    Column("request", JSON, nullable=False),
    Column("facts", JSON, nullable=False),
    Column("reasons", JSON, nullable=False),
    Column("at", TIME, nullable=False),
    Column("entry", Integer, nullable=False),
)

#: Privacy: a reservation at admission, one settlement (charged or released) at the end. ``epsilon`` null: no bound.
budget = Table(
    "budget",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("run", ID, ForeignKey("runs.id"), nullable=False),
    Column("kind", ID, nullable=False),  # reserved, charged, released
    Column("dataset", ID, nullable=False),
    Column("subject", ID, nullable=False),
    Column("sigma", Float),
    Column("sample_rate", Float),
    Column("steps", Integer),
    Column("epsilon", Float),
    Column("delta", Float),
    Column("at", TIME, nullable=False),
    UniqueConstraint("run", "kind", "dataset", "subject"),
    Index("ix_budget_dataset_subject", "dataset", "subject"),
    sqlite_autoincrement=True,
)

#: The ledger's acts: one for each run and kind, bound to the one before of the same dataset by ``chain``.
ledger = Table(
    "ledger",
    metadata,
    Column("dataset", ID, primary_key=True),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("run", ID, ForeignKey("runs.id"), nullable=False),
    Column("kind", ID, nullable=False),
    Column("digest", DIGEST, nullable=False),  # of the act's rows in ``budget``
    Column("chain", DIGEST, nullable=False),
    UniqueConstraint("run", "kind", "dataset"),
)

#: The Merkle log's leaves (RFC 6962): exact bytes, in order, without a gap.
log = Table(
    "log",
    metadata,
    Column("index", Integer, primary_key=True, autoincrement=False),
    Column("entry", LargeBinary, nullable=False),
    Column("leaf", LargeBinary, nullable=False),
    Column("high", TIME, nullable=False, server_default=""),  # the latest moment told so far
)

checkpoints = Table(
    "checkpoints",
    metadata,
    Column("size", Integer, primary_key=True, autoincrement=False),
    Column("note", LargeBinary, nullable=False),
    Column("at", TIME, nullable=False),
)

statements = Table(
    "statements",
    metadata,
    Column("digest", DIGEST, primary_key=True),
    Column("name", ID, nullable=False),
    Column("id", String(128), nullable=False),
    Column("run", ID, index=True),
    Column("at", TIME, nullable=False),
)

recipes = Table(
    "recipes",
    metadata,
    Column("digest", DIGEST, primary_key=True),
    Column("name", ID, nullable=False),
    Column("submitted_by", ID, nullable=False),
    Column("at", TIME, nullable=False),
)

models = Table(
    "models",
    metadata,
    Column("name", ID, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("run", ID, ForeignKey("runs.id"), nullable=False, unique=True),
    Column("path", String(256), nullable=False),
    Column("sha256", DIGEST, nullable=False),
    Column("taint", Text),
    Column("at", TIME, nullable=False),
)

#: Models (``name@version``) made from a voice whose consent was withdrawn since; a mark stands for good.
withdrawals = Table(
    "withdrawals",
    metadata,
    Column("model", String(128), primary_key=True),
    Column("dataset", ID, primary_key=True),
    Column("subject", ID, primary_key=True),
    Column("at", TIME, nullable=False),
)

incidents = Table(
    "incidents",
    metadata,
    Column("id", ID, primary_key=True),
    Column("kind", ID, nullable=False),
    Column("run", ID),
    Column("scope", String(128), nullable=False),
    Column("detail", JSON, nullable=False),
    Column("timeline", JSON, nullable=False),
    Column("by", ID, nullable=False),
    Column("at", TIME, nullable=False),
    Column("closed_at", TIME),
    Column("closed_by", ID),
    Column("affected", JSON),  # of a kill: runs, subjects, datasets and models of its scope
)

#: What a kill still owes: one row for each container, credential and mark, until ``done_at`` says that it is proved.
duties = Table(
    "duties",
    metadata,
    Column("incident", ID, ForeignKey("incidents.id"), primary_key=True),
    Column("kind", ID, primary_key=True),  # container, credential, login, shown, unshown
    Column("what", String(128), primary_key=True),
    Column("run", ID, index=True),
    Column("tries", Integer, nullable=False, default=0),
    Column("fault", ID),
    Column("done_at", TIME),
)

#: The entries of the custodian's registers that the log already names.
postings = Table(
    "postings",
    metadata,
    Column("register", ID, primary_key=True),
    Column("seq", Integer, primary_key=True),
    Column("digest", DIGEST, nullable=False),
)

#: Each settling step that is proved; a step that stands here is never done again.
settlements = Table(
    "settlements",
    metadata,
    Column("run", ID, ForeignKey("runs.id"), primary_key=True),
    Column("step", ID, primary_key=True),
    Column("proof", JSON, nullable=False),
    Column("at", TIME, nullable=False),
)

#: What a detection rule found, or a person must know at once. ``once`` names the finding: it is raised one time.
alerts = Table(
    "alerts",
    metadata,
    Column("id", ID, primary_key=True),
    Column("rule", ID, nullable=False, index=True),
    Column("severity", ID, nullable=False),
    Column("about", JSON, nullable=False),
    Column("detail", JSON, nullable=False),
    Column("incident", ID),
    Column("at", TIME, nullable=False),
    Column("once", String(256), nullable=False, unique=True),
    Column("acknowledged_by", ID),
    Column("acknowledged_at", TIME),
)

#: An alert on its way over one channel; without ``delivered_at`` it is tried again from ``due`` (epoch seconds) on.
deliveries = Table(
    "deliveries",
    metadata,
    Column("alert", ID, ForeignKey("alerts.id"), primary_key=True),
    Column("channel", ID, primary_key=True),
    Column("attempts", Integer, nullable=False, default=0),
    Column("due", Float, nullable=False, default=0.0),
    Column("delivered_at", TIME),
)

#: How far a source of detection was read, and what its rules remember of it; written with the alerts that it gave.
watches = Table(
    "watches",
    metadata,
    Column("source", ID, primary_key=True),
    Column("position", JSON, nullable=False),
    Column("memory", JSON, nullable=False),
    Column("at", TIME, nullable=False),
)

#: Draft notices of an incident, one an addressee; the text is a file, its digest stands here and in the log.
notices = Table(
    "notices",
    metadata,
    Column("incident", ID, ForeignKey("incidents.id"), primary_key=True),
    Column("agreement", ID, primary_key=True),
    Column("addressee", String(128), primary_key=True),
    Column("facts", JSON, nullable=False),
    Column("digest", DIGEST, nullable=False),
    Column("made_at", TIME, nullable=False),
    Column("due_at", TIME, nullable=False),
    Column("sent_at", TIME),
    Column("sent_by", ID),
)

#: Runner images that were installed here and looked at, with the sha256 of every file that they were made from.
images = Table(
    "images",
    metadata,
    Column("id", DIGEST, primary_key=True),
    Column("inputs", JSON, nullable=False),
    Column("digest", DIGEST, nullable=False),
    Column("installed_by", ID, nullable=False),
    Column("at", TIME, nullable=False),
)
