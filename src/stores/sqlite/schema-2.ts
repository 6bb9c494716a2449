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
`
