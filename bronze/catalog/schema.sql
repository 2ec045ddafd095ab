-- The catalog. Every statement may run again; tables of the older copier are used as they are.
CREATE TABLE IF NOT EXISTS _meta_datasets (
    id          SERIAL PRIMARY KEY,
    domain      VARCHAR(64)  NOT NULL,
    dataset     VARCHAR(128) NOT NULL,
    version     VARCHAR(128) NOT NULL,
    era_id      VARCHAR(128) NOT NULL,
    network     VARCHAR(128) NOT NULL,
    schema_hash VARCHAR(64),
    description TEXT,
    created_at  TIMESTAMPTZ DEFAULT now(),
    updated_at  TIMESTAMPTZ DEFAULT now(),
    UNIQUE (domain, dataset, version, era_id, network)
);

CREATE TABLE IF NOT EXISTS _meta_lineage (
    id               SERIAL PRIMARY KEY,
    dataset_id       INTEGER NOT NULL REFERENCES _meta_datasets (id),
    ledger_start     BIGINT NOT NULL,
    ledger_end       BIGINT NOT NULL,
    row_count        BIGINT NOT NULL,
    byte_size        BIGINT NOT NULL,
    checksum         VARCHAR(128) NOT NULL,
    prev_hash        VARCHAR(128),
    storage_path     TEXT NOT NULL,
    storage_uri      TEXT,
    producer_version VARCHAR(64) NOT NULL,
    producer_git_sha VARCHAR(64),
    source_type      VARCHAR(32),
    source_location  TEXT,
    pas_event_hash   VARCHAR(128),
    created_at       TIMESTAMPTZ DEFAULT now(),
    UNIQUE (dataset_id, ledger_start, ledger_end)
);

ALTER TABLE _meta_lineage ADD COLUMN IF NOT EXISTS pas_event_hash VARCHAR(128);

CREATE INDEX IF NOT EXISTS idx_lineage_ledger_end ON _meta_lineage (dataset_id, ledger_end);

CREATE TABLE IF NOT EXISTS _meta_quality (
    id            SERIAL PRIMARY KEY,
    dataset_id    INTEGER NOT NULL REFERENCES _meta_datasets (id),
    ledger_start  BIGINT NOT NULL,
    ledger_end    BIGINT NOT NULL,
    passed        BOOLEAN NOT NULL,
    error_message TEXT,
    created_at    TIMESTAMPTZ DEFAULT now(),
    UNIQUE (dataset_id, ledger_start, ledger_end)
);

CREATE INDEX IF NOT EXISTS idx_quality_failed ON _meta_quality (dataset_id, passed) WHERE NOT passed;

CREATE TABLE IF NOT EXISTS _meta_changes (
    id          SERIAL PRIMARY KEY,
    dataset_id  INTEGER NOT NULL REFERENCES _meta_datasets (id),
    change_type VARCHAR(32) NOT NULL,
    description TEXT,
    old_version VARCHAR(32),
    new_version VARCHAR(32),
    created_at  TIMESTAMPTZ DEFAULT now()
);

DO $$
BEGIN
    IF to_regclass('_meta_coverage') IS NULL THEN
        CREATE VIEW _meta_coverage AS
        SELECT d.domain, d.dataset, d.version, d.era_id, d.network,
               min(l.ledger_start) AS min_ledger, max(l.ledger_end) AS max_ledger,
               count(*) AS partition_count, sum(l.row_count) AS total_rows, sum(l.byte_size) AS total_bytes
        FROM _meta_datasets d JOIN _meta_lineage l ON l.dataset_id = d.id
        GROUP BY d.domain, d.dataset, d.version, d.era_id, d.network;
    END IF;
END $$;
