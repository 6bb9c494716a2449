/**
 * Schema 1. `*_ms` are milliseconds (running time, but for `audit.at_ms`), other sizes bytes.
 * `sealed` columns hold what the envelope made; `data_key` beside them names the data key, so that
 * the keys that are still needed are found without reading rows; `version` rises with each sealing of
 * the row and is bound into it.
 *
 * Rows with sealed bytes are rowid tables with few other columns: a chunk of a lane fits one page,
 * without overflow. Keys on hot paths rise; none is random.
 */
export const INITIAL_SCHEMA = `
CREATE TABLE store (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  store_id TEXT NOT NULL,
  generation TEXT NOT NULL,
  running_ms REAL NOT NULL DEFAULT 0,
  data_keys_made INTEGER NOT NULL DEFAULT 0,
  own_saes_version INTEGER
) STRICT;

CREATE TABLE former_generation (
  number INTEGER PRIMARY KEY,
  generation TEXT NOT NULL
) STRICT;

CREATE TABLE data_key (
  id INTEGER PRIMARY KEY,
  kek_id TEXT NOT NULL,
  wrapped BLOB NOT NULL
) STRICT;

CREATE TABLE link_name (
  number INTEGER PRIMARY KEY,
  link_id TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE link (
  link INTEGER PRIMARY KEY,
  kme_id TEXT NOT NULL,
  peer_kme_id TEXT NOT NULL,
  life INTEGER NOT NULL,
  greeted INTEGER NOT NULL,
  counting INTEGER NOT NULL,
  commit_counter INTEGER NOT NULL,
  epoch_counter INTEGER,
  epoch_id TEXT,
  peer_generation TEXT,
  peer_life INTEGER,
  peer_commit_counter INTEGER,
  last_batch INTEGER NOT NULL,
  closed_told INTEGER NOT NULL
) STRICT;

CREATE TABLE ledger (
  link INTEGER PRIMARY KEY,
  received INTEGER NOT NULL,
  unverified INTEGER NOT NULL,
  sacrificed INTEGER NOT NULL,
  own_lane INTEGER NOT NULL,
  other_lane INTEGER NOT NULL,
  granted INTEGER NOT NULL,
  held INTEGER NOT NULL,
  delivered INTEGER NOT NULL,
  expired INTEGER NOT NULL,
  dropped INTEGER NOT NULL,
  quarantined INTEGER NOT NULL,
  combined INTEGER NOT NULL,
  gap_blocks INTEGER NOT NULL,
  gap_bytes INTEGER NOT NULL
) STRICT;

CREATE TABLE proposal (
  link INTEGER PRIMARY KEY,
  batch INTEGER NOT NULL,
  tag BLOB NOT NULL,
  pieces TEXT NOT NULL
) STRICT;

CREATE TABLE verdict (
  link INTEGER PRIMARY KEY,
  batch INTEGER NOT NULL,
  tag BLOB NOT NULL,
  verdict TEXT NOT NULL
) STRICT;

CREATE TABLE suspects (
  link INTEGER PRIMARY KEY,
  pieces TEXT NOT NULL
) STRICT;

CREATE TABLE block (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  link INTEGER NOT NULL,
  device_id TEXT NOT NULL,
  stream_id TEXT NOT NULL,
  vendor_id TEXT NOT NULL,
  length INTEGER NOT NULL,
  state TEXT NOT NULL,
  announced INTEGER NOT NULL,
  matched INTEGER NOT NULL,
  suspect INTEGER NOT NULL,
  spent INTEGER NOT NULL,
  received_ms REAL NOT NULL,
  device_end TEXT,
  fingerprint BLOB
) STRICT;
CREATE UNIQUE INDEX block_ref ON block (link, device_id, stream_id, vendor_id);
CREATE INDEX block_unannounced ON block (link, seq) WHERE state = 'unverified' AND announced = 0;
CREATE INDEX block_matched ON block (link, seq)
  WHERE state = 'unverified' AND announced = 1 AND matched = 1 AND suspect = 0;
CREATE INDEX block_unmatched ON block (link, device_id, seq)
  WHERE state = 'unverified' AND matched = 0;
CREATE INDEX block_awaited ON block (link, device_id, seq) WHERE state = 'awaited';

CREATE TABLE block_material (
  seq INTEGER PRIMARY KEY,
  data_key INTEGER NOT NULL,
  sealed BLOB NOT NULL
) STRICT;
CREATE INDEX block_material_data_key ON block_material (data_key);

CREATE TABLE checkpoint (
  link INTEGER NOT NULL,
  device_id TEXT NOT NULL,
  data BLOB NOT NULL,
  PRIMARY KEY (link, device_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE fingerprint_key (
  link INTEGER PRIMARY KEY,
  version INTEGER NOT NULL,
  data_key INTEGER NOT NULL,
  sealed BLOB NOT NULL
) STRICT;
CREATE INDEX fingerprint_key_data_key ON fingerprint_key (data_key);

CREATE TABLE lane (
  link INTEGER NOT NULL,
  lane TEXT NOT NULL,
  appended INTEGER NOT NULL,
  usable INTEGER NOT NULL,
  consumed TEXT NOT NULL,
  PRIMARY KEY (link, lane)
) STRICT, WITHOUT ROWID;

CREATE TABLE stretch (
  link INTEGER NOT NULL,
  lane TEXT NOT NULL,
  start_offset INTEGER NOT NULL,
  end_offset INTEGER NOT NULL,
  received_ms REAL NOT NULL,
  PRIMARY KEY (link, lane, start_offset)
) STRICT, WITHOUT ROWID;

-- A lane in one epoch: its number is the upper part of the IDs of its chunks, and is never reused.
CREATE TABLE chunk_run (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  link INTEGER NOT NULL,
  epoch_counter INTEGER NOT NULL,
  epoch_id TEXT NOT NULL,
  lane TEXT NOT NULL,
  UNIQUE (link, lane, epoch_counter, epoch_id)
) STRICT;

-- id = run x 2^32 + chunk number.
CREATE TABLE chunk (
  id INTEGER PRIMARY KEY,
  version INTEGER NOT NULL,
  data_key INTEGER NOT NULL,
  sealed BLOB NOT NULL
) STRICT;
CREATE INDEX chunk_data_key ON chunk (data_key);

CREATE TABLE delivery (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  delivery_id BLOB NOT NULL,
  link INTEGER NOT NULL,
  epoch_counter INTEGER NOT NULL,
  epoch_id TEXT NOT NULL,
  lane TEXT NOT NULL,
  start_offset INTEGER NOT NULL,
  key_length INTEGER NOT NULL,
  key_count INTEGER NOT NULL,
  master_sae_id TEXT NOT NULL,
  master_registration_id TEXT NOT NULL,
  time_to_live_ms REAL NOT NULL,
  slaves TEXT NOT NULL,
  remote_slaves TEXT NOT NULL,
  remote_kme_id TEXT,
  remote TEXT NOT NULL,
  expires_ms REAL NOT NULL
) STRICT;
-- Delivery IDs rise within a life: inserts stay local.
CREATE UNIQUE INDEX delivery_name ON delivery (delivery_id);
CREATE INDEX delivery_unconfirmed ON delivery (link, seq) WHERE remote = 'unconfirmed';
CREATE INDEX delivery_expiry ON delivery (expires_ms);

CREATE TABLE held (
  seq INTEGER PRIMARY KEY,
  version INTEGER NOT NULL,
  data_key INTEGER NOT NULL,
  sealed BLOB NOT NULL
) STRICT;
CREATE INDEX held_data_key ON held (data_key);

CREATE TABLE pending_drop (
  seq INTEGER PRIMARY KEY,
  link INTEGER NOT NULL,
  lane TEXT NOT NULL,
  start_offset INTEGER NOT NULL,
  end_offset INTEGER NOT NULL
) STRICT;
CREATE INDEX pending_drop_range ON pending_drop (link, lane, start_offset);

CREATE TABLE own_sae (
  sae_id TEXT PRIMARY KEY,
  registration_id TEXT NOT NULL,
  position INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE peer_sae_list (
  link INTEGER PRIMARY KEY,
  version INTEGER NOT NULL
) STRICT;

CREATE TABLE peer_sae (
  link INTEGER NOT NULL,
  sae_id TEXT NOT NULL,
  registration_id TEXT NOT NULL,
  position INTEGER NOT NULL,
  PRIMARY KEY (link, sae_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE audit (
  sequence INTEGER PRIMARY KEY,
  at_ms REAL NOT NULL,
  action TEXT NOT NULL,
  link_id TEXT NOT NULL,
  delivery_id TEXT NOT NULL,
  key_count INTEGER NOT NULL,
  key_size_bits INTEGER NOT NULL,
  master TEXT NOT NULL,
  saes TEXT NOT NULL
) STRICT;
`
