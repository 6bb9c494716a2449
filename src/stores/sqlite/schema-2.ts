/** Schema 2, as steps from schema 1: each feature adds what it keeps. */
export const SECOND_SCHEMA = `
-- Lanes: what the owner gave to the other end to allocate from, and what the other end has not been told of.
ALTER TABLE lane ADD COLUMN granted TEXT NOT NULL DEFAULT '[]';
CREATE TABLE pending_grant (
  seq INTEGER PRIMARY KEY,
  link INTEGER NOT NULL,
  lane TEXT NOT NULL,
  start_offset INTEGER NOT NULL,
  end_offset INTEGER NOT NULL
) STRICT;
CREATE INDEX pending_grant_range ON pending_grant (link, lane, start_offset);

-- The audit record: SHA-256 over the row and the chain of the one before (ports/audit.ts).
ALTER TABLE audit ADD COLUMN chain BLOB NOT NULL DEFAULT x'';

-- Restore: whether this store was restored and the link has begun no epoch since; who was before the present epoch
-- ('verifier', 'follower', 'both'; null: none); whether a hello of ours has succeeded in it; and which ends of devices
-- were opened afresh in it.
ALTER TABLE link ADD COLUMN restored INTEGER NOT NULL DEFAULT 0;
ALTER TABLE link ADD COLUMN epoch_after_restore_of TEXT;
ALTER TABLE link ADD COLUMN epoch_agreed INTEGER NOT NULL DEFAULT 0;
CREATE TABLE fresh_device (
  link INTEGER NOT NULL,
  device_id TEXT NOT NULL,
  device_end TEXT NOT NULL,
  PRIMARY KEY (link, device_id, device_end)
) STRICT, WITHOUT ROWID;
`
