-- What is done with downstream repositories when Lorries of a section go away,
-- where CONFGIT says so. A section that went away itself keeps its row.
CREATE TABLE section_retire (
    section TEXT NOT NULL PRIMARY KEY,
    policy  TEXT NOT NULL
);

-- Repositories that are to be archived, or are, since their Lorries went away.
CREATE TABLE retirements (
    path     TEXT   NOT NULL PRIMARY KEY,
    attempts BIGINT NOT NULL DEFAULT 0,
    next_try BIGINT NOT NULL DEFAULT 0,
    error    TEXT   NOT NULL DEFAULT '',
    done     BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX retirements_due ON retirements (done, next_try);
