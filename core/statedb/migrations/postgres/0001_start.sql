-- Times are microseconds since 1970 UTC, 0 for "never"; durations are microseconds.

CREATE TABLE run_queue (
    id          BIGINT PRIMARY KEY,
    running     BOOLEAN NOT NULL,
    max_jobs    BIGINT,
    next_job    BIGINT  NOT NULL
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000,
    autovacuum_analyze_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0);
INSERT INTO run_queue (id, running, max_jobs, next_job) VALUES (1, TRUE, NULL, 1);

-- What CONFGIT and the listings say. Only reconciling writes here.
CREATE TABLE lorries (
    path               TEXT COLLATE "C"   NOT NULL PRIMARY KEY,
    spec_text          TEXT   NOT NULL,
    section            TEXT COLLATE "C"   NOT NULL,
    host               TEXT COLLATE "C"   NOT NULL,
    host_path          TEXT   NOT NULL,
    upstream_host      TEXT COLLATE "C"   NOT NULL,
    interval_us        BIGINT NOT NULL,
    timeout_us         BIGINT NOT NULL,
    rewrites           TEXT   NOT NULL,
    listed_head        TEXT   NOT NULL,
    listed_description TEXT   NOT NULL
);
CREATE INDEX lorries_section ON lorries (section, path);

-- What jobs change: narrow, and vacuumed early, since every job leaves dead rows. turn is the place in the queue: the due time, or a negative
-- number for a Lorry that was moved to the top.
CREATE TABLE queue (
    path          TEXT COLLATE "C"    NOT NULL PRIMARY KEY REFERENCES lorries (path) ON DELETE CASCADE,
    upstream_host TEXT COLLATE "C"    NOT NULL,
    turn          BIGINT  NOT NULL,
    due           BIGINT  NOT NULL,
    running_job   BIGINT,
    fence         BIGINT  NOT NULL DEFAULT 0,
    removed       BOOLEAN NOT NULL DEFAULT FALSE,
    held          TEXT    NOT NULL DEFAULT '',
    failures      BIGINT  NOT NULL DEFAULT 0,
    last_run      BIGINT  NOT NULL DEFAULT 0,
    last_success  BIGINT  NOT NULL DEFAULT 0,
    last_equal    BIGINT  NOT NULL DEFAULT 0,
    last_exit     TEXT    NOT NULL DEFAULT '',
    fail_kind     TEXT    NOT NULL DEFAULT '',
    fail_cause    TEXT    NOT NULL DEFAULT '',
    fail_hint     TEXT    NOT NULL DEFAULT '',
    disk_usage    BIGINT  NOT NULL DEFAULT 0,
    digest        TEXT    NOT NULL DEFAULT ''
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000,
    autovacuum_analyze_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0);
-- The last three columns let a claim pass over held hosts without reading the rows.
CREATE INDEX queue_turn ON queue (turn, path, upstream_host, held, running_job) WHERE running_job IS NULL;
CREATE INDEX queue_running ON queue (upstream_host) WHERE running_job IS NOT NULL;
CREATE INDEX queue_failing ON queue (path) WHERE failures > 0;
CREATE INDEX queue_held ON queue (path) WHERE held <> '';

CREATE TABLE jobs (
    id          BIGINT PRIMARY KEY,
    path        TEXT COLLATE "C"    NOT NULL,
    fence       BIGINT  NOT NULL,
    minion      TEXT    NOT NULL,
    pid         BIGINT  NOT NULL,
    started     BIGINT  NOT NULL,
    updated     BIGINT  NOT NULL,
    ended       BIGINT  NOT NULL DEFAULT 0,
    lease       BIGINT  NOT NULL,
    kill_reason TEXT    NOT NULL DEFAULT '',
    exit        TEXT    NOT NULL DEFAULT '',
    fail_kind   TEXT    NOT NULL DEFAULT '',
    fail_cause  TEXT    NOT NULL DEFAULT '',
    fail_hint   TEXT    NOT NULL DEFAULT '',
    disk_usage  BIGINT  NOT NULL DEFAULT 0,
    output_size BIGINT  NOT NULL DEFAULT 0,
    output_kept BIGINT  NOT NULL DEFAULT 0,
    unchanged   BOOLEAN NOT NULL DEFAULT FALSE,
    refs        TEXT    NOT NULL DEFAULT ''
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000,
    autovacuum_analyze_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX jobs_path ON jobs (path, id);
CREATE INDEX jobs_failed ON jobs (id) WHERE fail_kind <> '';
-- The database itself refuses a second live job of a Lorry.
CREATE UNIQUE INDEX jobs_live ON jobs (path) WHERE exit = '';

-- Output is appended as chunks; start is the chunk's byte offset.
CREATE TABLE job_output (
    job   BIGINT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    start BIGINT NOT NULL,
    body  TEXT   NOT NULL,
    PRIMARY KEY (job, start)
);

CREATE TABLE hosts (
    name     TEXT COLLATE "C"   NOT NULL PRIMARY KEY,
    type     TEXT   NOT NULL,
    protocol TEXT   NOT NULL,
    prefixes TEXT   NOT NULL,
    ignored  TEXT   NOT NULL,
    ls_us    BIGINT NOT NULL,
    interval_us BIGINT NOT NULL,
    timeout_us  BIGINT NOT NULL,
    ls_last  BIGINT NOT NULL DEFAULT 0,
    ls_due   BIGINT NOT NULL DEFAULT 0,
    ls_error TEXT   NOT NULL DEFAULT '',
    listed   BIGINT NOT NULL DEFAULT 0,
    purge    TEXT   NOT NULL DEFAULT ''
);

-- Holds are by upstream host name, whether or not CONFGIT has such a host.
CREATE TABLE host_holds (
    name   TEXT COLLATE "C"   NOT NULL PRIMARY KEY,
    until  BIGINT NOT NULL,
    reason TEXT   NOT NULL
);

CREATE TABLE problems (
    seq      BIGINT NOT NULL PRIMARY KEY,
    file     TEXT   NOT NULL,
    line     BIGINT NOT NULL,
    key      TEXT   NOT NULL,
    message  TEXT   NOT NULL,
    severity TEXT   NOT NULL
);

CREATE TABLE settings (
    name  TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
);

-- Which core does what only one may do. term grows with every change of holder.
CREATE TABLE leases (
    name   TEXT COLLATE "C"   NOT NULL PRIMARY KEY,
    holder TEXT   NOT NULL,
    term   BIGINT NOT NULL,
    until  BIGINT NOT NULL
);

-- Rewritten refs that wait for an admin.
CREATE TABLE held_rewrites (
    path     TEXT COLLATE "C"    NOT NULL,
    ref      TEXT COLLATE "C"    NOT NULL,
    old      TEXT    NOT NULL,
    new      TEXT    NOT NULL,
    since    BIGINT  NOT NULL,
    approved BOOLEAN NOT NULL DEFAULT FALSE,
    PRIMARY KEY (path, ref)
);
