-- What is not as it should be, and whether people were told. A group is what one
-- message tells of: a lane, a host and a cause.
CREATE TABLE notices (
    lane    TEXT    NOT NULL,
    subject TEXT    NOT NULL,
    name    TEXT    NOT NULL,
    detail  TEXT    NOT NULL,
    since   BIGINT  NOT NULL,
    told    BOOLEAN NOT NULL DEFAULT FALSE,
    PRIMARY KEY (lane, subject)
);
CREATE INDEX notices_name ON notices (name, told, since);

CREATE TABLE notice_groups (
    name    TEXT   NOT NULL PRIMARY KEY,
    lane    TEXT   NOT NULL,
    host    TEXT   NOT NULL,
    cause   TEXT   NOT NULL,
    opened  BIGINT NOT NULL,
    told_at BIGINT NOT NULL DEFAULT 0,
    tells   BIGINT NOT NULL DEFAULT 0,
    told    BIGINT NOT NULL DEFAULT 0,
    sample  TEXT   NOT NULL DEFAULT '[]'
);

-- When each lane was last told of.
CREATE TABLE notice_lanes (
    lane    TEXT   NOT NULL PRIMARY KEY,
    told_at BIGINT NOT NULL
);

-- Messages that were not delivered yet.
CREATE TABLE outbox (
    id       TEXT   NOT NULL PRIMARY KEY,
    target   TEXT   NOT NULL,
    body     TEXT   NOT NULL,
    created  BIGINT NOT NULL,
    attempts BIGINT NOT NULL DEFAULT 0,
    next_try BIGINT NOT NULL,
    error    TEXT   NOT NULL DEFAULT ''
);
CREATE INDEX outbox_target ON outbox (target, created, id);
