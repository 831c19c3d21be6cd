-- Minions that asked for a job, by their names; labels is a JSON list.
CREATE TABLE minions (
    name     TEXT    NOT NULL PRIMARY KEY,
    address  TEXT    NOT NULL,
    pid      BIGINT  NOT NULL,
    protocol BIGINT  NOT NULL,
    build    TEXT    NOT NULL,
    labels   TEXT    NOT NULL,
    first    BIGINT  NOT NULL,
    seen     BIGINT  NOT NULL,
    drain    BOOLEAN NOT NULL DEFAULT FALSE
);
-- Lists by upstream host; on the table that no job changes.
CREATE INDEX lorries_upstream ON lorries (upstream_host, path);
