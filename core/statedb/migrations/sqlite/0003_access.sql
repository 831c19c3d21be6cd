-- Who may use the API. digest is the SHA-256 of the token, in hex; the token
-- itself is nowhere. Rows stay, so that an id in the audit names one token.
CREATE TABLE tokens (
    id      TEXT   NOT NULL PRIMARY KEY,
    name    TEXT   NOT NULL,
    role    TEXT   NOT NULL,
    digest  TEXT   NOT NULL,
    created BIGINT NOT NULL,
    expires BIGINT NOT NULL DEFAULT 0,
    used    BIGINT NOT NULL DEFAULT 0,
    revoked BIGINT NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX tokens_name ON tokens (name) WHERE revoked = 0;

-- Who is logged in on the pages. digest is that of the cookie.
CREATE TABLE sessions (
    digest  TEXT   NOT NULL PRIMARY KEY,
    token   TEXT   NOT NULL REFERENCES tokens (id) ON DELETE CASCADE,
    expires BIGINT NOT NULL
);
CREATE INDEX sessions_expires ON sessions (expires);

-- What was changed by whom. Each row's hash covers the row and the hash before
-- it; was and became are the subject before and after.
CREATE TABLE audit (
    seq     BIGINT NOT NULL PRIMARY KEY,
    at      BIGINT NOT NULL,
    who     TEXT   NOT NULL,
    origin  TEXT   NOT NULL,
    action  TEXT   NOT NULL,
    subject TEXT   NOT NULL,
    was     TEXT   NOT NULL,
    became  TEXT   NOT NULL,
    result  TEXT   NOT NULL,
    hash    TEXT   NOT NULL
);

-- The two ends of the audit: the last row, and the last one that was removed
-- because of its age.
CREATE TABLE audit_chain (
    id           BIGINT NOT NULL PRIMARY KEY,
    seq          BIGINT NOT NULL,
    hash         TEXT   NOT NULL,
    removed      BIGINT NOT NULL,
    removed_hash TEXT   NOT NULL
);
INSERT INTO audit_chain (id, seq, hash, removed, removed_hash) VALUES (1, 0, '', 0, '');
