"""Every figure that /metrics shows, by name."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from daemon.store.database import deadlocks as counted_deadlocks

REGISTRY = CollectorRegistry()
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

hits = Counter("tillbell_hits", "Hits answered, by what was asked for.", ["kind"], registry=REGISTRY)
hits_classed = Counter("tillbell_hits_classed", "Hits by who was behind them.", ["kind", "class"], registry=REGISTRY)
opt_ins = Counter("tillbell_opt_ins", "Requests to confirm a consent.", ["outcome"], registry=REGISTRY)
hits_spared = Counter(
    "tillbell_hits_spared", "Hits beyond 60 a minute on one message, answered and not kept.", registry=REGISTRY
)
hits_lost = Counter("tillbell_hits_lost", "Hits that neither database nor journal could take.", registry=REGISTRY)
post = Counter("tillbell_post", "Mails that came in, by what they were.", ["kind"], registry=REGISTRY)
callbacks = Counter(
    "tillbell_callbacks",
    "Requests of channels' providers, by what we answered.",
    ["channel", "status"],
    registry=REGISTRY,
)
site_events = Counter(
    "tillbell_site_events",
    "Reports of the script on the shop's pages, by who signed for them.",
    ["kind", "by"],
    registry=REGISTRY,
)
site_refused = Counter(
    "tillbell_site_refused",
    "Requests of pages that were refused: origin, badge, quota.",
    ["because"],
    registry=REGISTRY,
)
unknown_tokens = Counter("tillbell_unknown_tokens", "Links that nobody signed.", registry=REGISTRY)
heads_late = Counter("tillbell_heads_late", "Connections cut: the head of a request did not arrive.", registry=REGISTRY)
connections_refused = Counter(
    "tillbell_connections_refused",
    "Connections cut at once: too many from one network, or all places taken.",
    ["because"],
    registry=REGISTRY,
)
batch_size = Histogram(
    "tillbell_batch_items",
    "Items written together.",
    ["name"],
    buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256, 512),
    registry=REGISTRY,
)
journal_lines = Gauge("tillbell_journal_lines", "Hits on disk that the database does not have yet.", registry=REGISTRY)
journal_refused = Counter("tillbell_journal_refused", "Journal lines that the database refused.", registry=REGISTRY)
database_away = Gauge("tillbell_database_away", "1 while PostgreSQL is out of reach.", registry=REGISTRY)
messages = Counter("tillbell_messages", "Messages by what became of them.", ["channel", "state"], registry=REGISTRY)
audience_people = Gauge(
    "tillbell_audience_people",
    "People who are wanted in an ad audience, and those who are known to be in it.",
    ["shop", "audience", "kind"],
    registry=REGISTRY,
)
audience_calls = Counter(
    "tillbell_audience_calls", "Calls to ad platforms by what became of them.", ["platform", "fate"], registry=REGISTRY
)
audience_left = Counter(
    "tillbell_audience_left", "People no longer wanted in an ad audience, by why.", ["because"], registry=REGISTRY
)
books_violations = Gauge("tillbell_books_violations", "Rows that contradict each other.", ["kind"], registry=REGISTRY)
reasons = Gauge(
    "tillbell_degraded", "Reasons why /readyz says degraded, by what they are about.", ["about"], registry=REGISTRY
)
pulse_at = Gauge("tillbell_pulse_timestamp_seconds", "When this process last took the pulse.", registry=REGISTRY)
processes = Gauge(
    "tillbell_processes",
    "Processes by kind: heard of within a minute, or missed.",
    ["kind", "state"],
    registry=REGISTRY,
)
behind = Gauge(
    "tillbell_behind_seconds",
    "How long the oldest work that is due has waited, by its name.",
    ["work"],
    registry=REGISTRY,
)
silent_shops = Gauge(
    "tillbell_silent_shops", "Shops whose carts were due while nothing went out (dead man's switch).", registry=REGISTRY
)
leases_overdue = Gauge(
    "tillbell_leases_overdue", "Claimed messages whose lease was over a minute ago.", registry=REGISTRY
)
journal_waiting = Gauge(
    "tillbell_journal_waiting", "Hits in the journals of all processes that wait for the database.", registry=REGISTRY
)
pings_failed = Counter("tillbell_pings_failed", "Pings to TILLBELL_PING_URL that were not answered.", registry=REGISTRY)
loop_lag = Histogram(
    "tillbell_loop_lag_seconds",
    "How late the event loop comes to what is due.",
    buckets=(0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
    registry=REGISTRY,
)
disk_free = Gauge("tillbell_disk_free_bytes", "Free space of the data folder.", registry=REGISTRY)
held = Gauge("tillbell_claims_held", "1 while nothing is claimed, by what is short.", ["of"], registry=REGISTRY)
parts_begun_again = Counter(
    "tillbell_parts_begun_again",
    "Parts of this process that ended by themselves and were begun again.",
    ["part"],
    registry=REGISTRY,
)
deadlocks = Gauge(
    "tillbell_deadlocks", "Deadlocks and serialisation failures that were tried again.", registry=REGISTRY
)
deadlocks.set_function(lambda: counted_deadlocks.count)


def text() -> bytes:
    """All of them in the Prometheus text format."""
    return generate_latest(REGISTRY)
