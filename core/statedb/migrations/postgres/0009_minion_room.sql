-- Why a minion gets no job for want of room in its working area, or ''.
ALTER TABLE minions ADD COLUMN short TEXT NOT NULL DEFAULT '';
