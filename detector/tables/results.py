"""The `hits`, `findings` and `incidents` tables: what rules, stages and their joining say.

Every row leads back to evidence: an event is named by `evidence_id` and `evidence_offset`, the key of all
event tables.
"""

from __future__ import annotations

import pyarrow as pa

from detector.tables.windows import TIME

EVENT_REFERENCE = pa.struct([("evidence_id", pa.string()), ("evidence_offset", pa.int64())])

#: Sigma's levels, weakest first.
LEVELS: tuple[str, ...] = ("informational", "low", "medium", "high", "critical")

HIT_COLUMNS: dict[str, pa.DataType] = {
    "rule_id": pa.string(),
    "rule_title": pa.string(),
    "level": pa.string(),
    "tags": pa.list_(pa.string()),
    "step": pa.string(),  # id in detector.tables.steps
    "site": pa.string(),
    "time": TIME,
    "host": pa.string(),  # Computer, or the reporting device
    "table": pa.string(),  # windows_security, firewall, … : where the event is found
    "channel": pa.string(),
    "event_id": pa.int64(),
    "record_id": pa.int64(),  # EventRecordID
    "account": pa.string(),  # who acted, DOMAIN\user as far as the event says, or NULL
    "src_ip": pa.string(),
    "src_host": pa.string(),
    "evidence_id": pa.string(),
    "evidence_offset": pa.int64(),
    # Of correlations only, else NULL. The columns above then are those of the event that completes the match,
    # and host, account, src_ip, src_host what all events agree in.
    "first_seen": TIME,
    "last_seen": TIME,
    "hosts": pa.list_(pa.string()),  # of all events, sorted
    "accounts": pa.list_(pa.string()),
    "grouped_by": pa.map_(pa.string(), pa.string()),  # what the events have in common: group-by and values
    "events": pa.list_(EVENT_REFERENCE),  # all events of the match, in order of time
}

FINDING_COLUMNS: dict[str, pa.DataType] = {
    "finding_id": pa.string(),  # the same evidence gives the same id
    "stage": pa.string(),  # id of the stage: its file name without .sql
    "step": pa.string(),
    "techniques": pa.list_(pa.string()),  # T1021.001
    "level": pa.string(),
    "confidence": pa.float64(),  # 0 to 1
    "site": pa.string(),
    "first_seen": TIME,
    "last_seen": TIME,
    "host": pa.string(),  # where it happened (the destination); NULL if many
    "hosts": pa.list_(pa.string()),  # all hosts it touched, sorted
    "account": pa.string(),
    "accounts": pa.list_(pa.string()),
    "src_host": pa.string(),
    "src_ip": pa.string(),
    "details": pa.map_(pa.string(), pa.string()),  # values for the text in report/locale
    "events": pa.list_(EVENT_REFERENCE),  # all events behind it, in order of time
}

#: One step of one incident as a line of the timeline; incident_id NULL: observed, but joined to no incident.
TIMELINE_COLUMNS: dict[str, pa.DataType] = {
    "incident_id": pa.string(),
    "time": TIME,
    "last_time": TIME,
    "step": pa.string(),
    "level": pa.string(),
    "site": pa.string(),
    "host": pa.string(),
    "account": pa.string(),
    "src_host": pa.string(),
    "src_ip": pa.string(),
    "kind": pa.string(),  # rule, stage, or logon: one that connects the hosts of the incident
    "source_id": pa.string(),  # rule_id, stage, or the view that holds the logon
    "title": pa.string(),  # of the rule; NULL for a stage (its text is in report/locale)
    "details": pa.map_(pa.string(), pa.string()),
    "count": pa.int64(),  # how many events stand behind the line
    "events": pa.list_(EVENT_REFERENCE),
}

INCIDENT_COLUMNS: dict[str, pa.DataType] = {
    "incident_id": pa.string(),
    "site": pa.string(),
    "severity": pa.string(),
    "score": pa.float64(),
    "first_seen": TIME,
    "last_seen": TIME,
    "entry": pa.string(),  # JSON: {kind, host, src_ip, src_host, account, time, sure, basis, event}
    "hosts": pa.string(),  # JSON: [{host, first_seen, last_seen, steps, event}], by first_seen
    "accounts": pa.string(),  # JSON: [{account, first_seen, last_seen, hosts, event}]
    "sources": pa.string(),  # JSON: [{address, first_seen, last_seen, event}]
    "path": pa.string(),  # JSON: [{src, dst, account, time, method, event}], in order of time
    "steps": pa.string(),  # JSON: [{step, state: seen | not_seen | not_visible, first_seen, count, why}]
    "reasons": pa.string(),  # JSON: [{code, …}]: why this severity, what joined it, what logs lack
    "findings": pa.list_(pa.string()),
}


def schema(columns: dict[str, pa.DataType]) -> pa.Schema:
    """Return the Arrow schema of one of the column dictionaries of `detector.tables`."""
    return pa.schema(list(columns.items()))
