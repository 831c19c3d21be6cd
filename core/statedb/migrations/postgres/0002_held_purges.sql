-- Removals that wait until several complete listings of a host agree, or an admin
-- approves them.
CREATE TABLE held_purges (
    host    TEXT COLLATE "C" NOT NULL PRIMARY KEY REFERENCES hosts (name) ON DELETE CASCADE,
    missing BIGINT NOT NULL,
    digest  TEXT   NOT NULL,
    seen    BIGINT NOT NULL,
    since   BIGINT NOT NULL
);
