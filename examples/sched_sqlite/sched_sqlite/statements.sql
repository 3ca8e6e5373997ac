-- schema
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS apps (
    app TEXT PRIMARY KEY, epoch TEXT, newest INTEGER, beat INTEGER, no_take_over_until INTEGER
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS rows (
    app TEXT, job TEXT, version INTEGER, data BLOB, PRIMARY KEY (app, job)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS steps (
    app TEXT, id TEXT, version INTEGER, PRIMARY KEY (app, id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS triggers ( /* waiting while replica is '', else delivered to that one */
    place INTEGER PRIMARY KEY AUTOINCREMENT, app TEXT, job TEXT, key TEXT, data BLOB, number INTEGER DEFAULT 1,
    replica TEXT DEFAULT '', token INTEGER DEFAULT 0, since INTEGER DEFAULT 0, deadline INTEGER DEFAULT 0,
    note TEXT DEFAULT '', cancel INTEGER DEFAULT 0, UNIQUE (app, job, key)
);
CREATE INDEX IF NOT EXISTS triggers_by_replica ON triggers (app, replica);
CREATE TABLE IF NOT EXISTS runs ( /* number is when the line was written, but no two have the same */
    app TEXT, job TEXT, number INTEGER, until INTEGER, status TEXT, scheduled_at INTEGER, last_at INTEGER, data BLOB,
    PRIMARY KEY (app, job, number)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS failures ON runs (app, job, number) WHERE status <> 'succeeded';
CREATE TABLE IF NOT EXISTS replicas (
    app TEXT, id TEXT, facts BLOB, beat_at INTEGER, until INTEGER, PRIMARY KEY (app, id)
) WITHOUT ROWID;
COMMIT;

-- add app
INSERT OR IGNORE INTO apps VALUES (:app, lower(hex(randomblob(8))), 0, NULL, 0)

-- raise newest
UPDATE apps SET newest = max(newest + 1, :now) WHERE app = :app

-- newest
SELECT newest FROM apps WHERE app = :app

-- step
SELECT 1 FROM steps WHERE app = :app AND id = :id

-- add step
INSERT INTO steps VALUES (:app, :id, :version)

-- forget steps
DELETE FROM steps WHERE app = :app AND version < :now - 120000000

-- row
SELECT version, data FROM rows WHERE app = :app AND job = :job

-- put row
REPLACE INTO rows VALUES (:app, :job, :version, :data)

-- delete row
DELETE FROM rows WHERE app = :app AND job = :job

-- jobs
SELECT job FROM rows WHERE app = :app AND job > :after ORDER BY job LIMIT :limit

-- keys
SELECT key FROM triggers WHERE app = :app AND job = :job

-- send
INSERT OR IGNORE INTO triggers (app, job, key, data) VALUES (:app, :job, :key, :data)

-- waiting
SELECT job, data, number, token FROM triggers WHERE app = :app AND replica = '' ORDER BY place

-- held
SELECT job, data, number, token, replica, since, note FROM triggers WHERE app = :app AND replica <> '' ORDER BY place

-- lapsed
SELECT job, data, number, token FROM triggers, apps USING (app)
WHERE app = :app AND replica <> '' AND deadline <= :now
    AND :now - beat <= 4500000 AND :now >= no_take_over_until /* there was no outage */
ORDER BY place

-- give
UPDATE triggers SET replica = :replica, number = :number, token = :token, since = :now, deadline = :now + :lease,
    note = '', cancel = 0
WHERE app = :app AND job = :job AND key = :key

-- owned
SELECT cancel FROM triggers WHERE app = :app AND job = :job AND key = :key AND token = :token AND replica = :replica

-- renew
UPDATE triggers SET deadline = :now + :lease, note = coalesce(:note, note) WHERE app = :app AND job = :job AND key = :key

-- give back
UPDATE triggers SET replica = '', token = 0
WHERE app = :app AND job = :job AND key = :key AND token = :token AND replica = :replica

-- finish
DELETE FROM triggers WHERE app = :app AND job = :job AND key = :key

-- cancel
UPDATE triggers SET cancel = 1 WHERE app = :app AND job = :job AND key = :key AND replica <> ''

-- add run
INSERT INTO runs VALUES (:app, :job, :number, :now + :age, :status, :at, :last, :data)

-- drop old runs
DELETE FROM runs WHERE app = :app AND job = :job AND number < :now - :age

-- drop runs
DELETE FROM runs WHERE app = :app AND job = :job
    AND number <= (
        SELECT number FROM runs WHERE app = :app AND job = :job ORDER BY number DESC LIMIT 1 OFFSET :lines
    )
    AND (status = 'succeeded' OR number <= (
        SELECT number FROM runs WHERE app = :app AND job = :job AND status <> 'succeeded'
        ORDER BY number DESC LIMIT 1 OFFSET :failures
    ))

-- drop runs of all jobs
DELETE FROM runs WHERE app = :app AND until < :now

-- runs
SELECT number, data FROM runs WHERE app = :app AND job = :job AND (:cursor = '' OR number < CAST(:cursor AS INTEGER))
    AND (:statuses IS NULL OR status IN (SELECT value FROM json_each(:statuses)))
    AND (:after IS NULL OR last_at > :after) AND (:until IS NULL OR scheduled_at <= :until)
ORDER BY number DESC LIMIT :limit + 1

-- beat
SELECT epoch, newest, max(0, :now - coalesce(beat, :now)) FROM apps WHERE app = :app

-- note beat
UPDATE apps SET beat = :now,
    no_take_over_until = CASE WHEN :now - beat > 4500000 OR :now < beat - 1000000 THEN :now + :lease
        ELSE no_take_over_until END
WHERE app = :app

-- clamp leases
UPDATE triggers SET deadline = :now + :lease WHERE app = :app AND deadline > :now + :lease

-- clamp replicas
UPDATE replicas SET until = :now + :lease WHERE app = :app AND until > :now + :lease

-- put replica
REPLACE INTO replicas VALUES (:app, :id, :facts, :now, :now + :ttl)

-- drop replicas
DELETE FROM replicas WHERE app = :app AND until <= :now

-- replicas
SELECT id, facts, beat_at FROM replicas WHERE app = :app AND until > :now ORDER BY id

-- forget all rows
DELETE FROM rows WHERE app = :app

-- forget all runs
DELETE FROM runs WHERE app = :app

-- forget all triggers
DELETE FROM triggers WHERE app = :app

-- forget all steps
DELETE FROM steps WHERE app = :app

-- forget all replicas
DELETE FROM replicas WHERE app = :app
