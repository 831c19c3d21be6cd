-- repository is core.RepositoryName of the spec's URL: a forge that tells of a
-- push is looked up by it, or by a host and the path there.
ALTER TABLE lorries ADD COLUMN repository TEXT NOT NULL DEFAULT '';
CREATE INDEX lorries_repository ON lorries (repository) WHERE repository <> '';
CREATE INDEX lorries_host ON lorries (host, host_path) WHERE host <> '';
-- When upstream last told of a push.
ALTER TABLE queue ADD COLUMN pushed BIGINT NOT NULL DEFAULT 0;
-- How many bytes of its output the minion has reported.
ALTER TABLE jobs ADD COLUMN received BIGINT NOT NULL DEFAULT 0;
