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
-- Commits that changed something of the link, also where the commit counter rests: for the mark beside the store.
ALTER TABLE link ADD COLUMN changes INTEGER NOT NULL DEFAULT 0;
CREATE TABLE fresh_device (
  link INTEGER NOT NULL,
  device_id TEXT NOT NULL,
  device_end TEXT NOT NULL,
  PRIMARY KEY (link, device_id, device_end)
) STRICT, WITHOUT ROWID;

-- Deliveries, those of one commit together in one row, with the bytes that are kept for slaves here:
-- their IDs and their ranges follow one another. \`saes\` and \`members\` are lists in JSON (delivery-group.ts).
CREATE TABLE delivery_group (
  seq INTEGER PRIMARY KEY,
  first_id BLOB NOT NULL,
  last_rising INTEGER NOT NULL,
  link INTEGER NOT NULL,
  epoch_counter INTEGER NOT NULL,
  epoch_id TEXT NOT NULL,
  lane TEXT NOT NULL,
  start_offset INTEGER NOT NULL,
  length INTEGER NOT NULL,
  time_to_live_ms REAL NOT NULL,
  remote_kme_id TEXT,
  expires_ms REAL NOT NULL,
  unconfirmed INTEGER NOT NULL,
  saes TEXT NOT NULL,
  members TEXT NOT NULL,
  version INTEGER NOT NULL,
  data_key INTEGER,
  sealed BLOB
) STRICT;
-- Delivery IDs rise within a life: inserts stay local. With the rising part of a group's last ID, the index alone says
-- which group may have a delivery.
CREATE UNIQUE INDEX delivery_group_name ON delivery_group (first_id, last_rising);
CREATE INDEX delivery_group_unconfirmed ON delivery_group (link, seq) WHERE unconfirmed > 0;
CREATE INDEX delivery_group_expiry ON delivery_group (expires_ms);
CREATE INDEX delivery_group_data_key ON delivery_group (data_key) WHERE data_key IS NOT NULL;
-- Answers of Get key with key IDs that may be asked for again: by their digest (operations/redelivery.ts).
CREATE TABLE redelivery (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  digest BLOB NOT NULL UNIQUE,
  window_ms REAL NOT NULL,
  expires_ms REAL NOT NULL,
  ends_ms REAL NOT NULL,
  key_lengths TEXT NOT NULL
) STRICT;
CREATE INDEX redelivery_end ON redelivery (ends_ms);
CREATE TABLE redelivery_material (
  seq INTEGER PRIMARY KEY,
  version INTEGER NOT NULL,
  data_key INTEGER NOT NULL,
  sealed BLOB NOT NULL
) STRICT;
CREATE INDEX redelivery_material_data_key ON redelivery_material (data_key);

-- The blocks of a link in one epoch: \`block.link\` is such a number. Runs of blocks and of chunks whose epoch has ended
-- are found by nobody any more; their rows are erased little by little.
CREATE TABLE block_run (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  link INTEGER NOT NULL UNIQUE
) STRICT;
INSERT INTO block_run (number, link) SELECT number, number FROM link_name;
CREATE TABLE ended_run (
  kind TEXT NOT NULL,
  number INTEGER NOT NULL,
  PRIMARY KEY (kind, number)
) STRICT, WITHOUT ROWID;
`
