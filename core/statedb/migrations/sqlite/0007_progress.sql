-- What the minion told last of how far a running job is, as JSON; '' for
-- nothing, and when the job has ended.
ALTER TABLE jobs ADD COLUMN progress TEXT NOT NULL DEFAULT '';
