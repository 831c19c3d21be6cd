-- Who applied something last: a CONFGIT, or the listing of a host. Whoever read it
-- before the turn was taken knows less, and applies nothing.
CREATE TABLE turns (
    name TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    turn BIGINT NOT NULL
);
-- How often it was asked for a listing of the host, so that what is asked while one
-- is under way is not lost.
ALTER TABLE hosts ADD COLUMN asked BIGINT NOT NULL DEFAULT 0;
-- When the last listing was that counted, so that several in a short time are one.
ALTER TABLE held_purges ADD COLUMN counted BIGINT NOT NULL DEFAULT 0;
