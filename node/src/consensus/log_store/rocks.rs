//! The disk of production: RocksDB with two column families in one write-ahead log.

use std::io;
use std::ops::{ControlFlow, Range};
use std::path::Path;

use bytes::Bytes;
use rocksdb::{
    ColumnFamily, ColumnFamilyDescriptor, DB, DBRecoveryMode, Direction, IteratorMode, Options,
    ReadOptions, WriteBatch, WriteOptions,
};

use super::io::{LogIo, Mark, MetaKey, Op, Visit};
use super::mark::MarkFile;

const LOG: &str = "log";
const META: &str = "meta";
const MARK: &str = "durable-mark";

/// An open database. One process at a time holds it.
pub struct Rocks {
    db: DB,
    mark: MarkFile,
}

impl Rocks {
    /// Whether `dir` holds a database at all.
    pub fn exists(dir: &Path) -> bool {
        // RocksDB's pointer to its manifest: without it there is nothing to recover.
        dir.join("CURRENT").exists()
    }

    /// Opens the database in `dir`; makes it if `create` is set.
    ///
    /// # Errors
    /// If there is none and `create` is not set, if another process holds it, or if it is damaged.
    pub fn open(dir: &Path, create: bool) -> io::Result<Self> {
        if create {
            std::fs::create_dir_all(dir)?;
        }
        let mark = MarkFile::open(&dir.join(MARK))?;
        let families = [
            ColumnFamilyDescriptor::new(LOG, family_options(64 << 20)),
            ColumnFamilyDescriptor::new(META, family_options(1 << 20)),
        ];
        let db =
            DB::open_cf_descriptors(&database_options(create), dir, families).map_err(other)?;
        let rocks = Self { db, mark };
        // Purging leaves range tombstones in the memtable, which every read has to look at; flush
        // them out once there are a few.
        rocks
            .db
            .set_options_cf(
                rocks.family(LOG)?,
                &[("memtable_max_range_deletions", "64")],
            )
            .map_err(other)?;
        if create {
            // A store whose name is lost in a power cut would look like a wiped disk.
            sync_directory(dir)?;
            dir.parent().map_or(Ok(()), sync_directory)?;
        }
        Ok(rocks)
    }

    /// Opens the database in `dir` without changing it: what its log holds is replayed in memory.
    /// Writing fails.
    ///
    /// # Errors
    /// If there is none, or it is damaged.
    pub fn open_to_read(dir: &Path) -> io::Result<Self> {
        let mark = MarkFile::open(&dir.join(MARK))?;
        let options = database_options(false);
        let db = DB::open_cf_for_read_only(&options, dir, [LOG, META], false).map_err(other)?;
        Ok(Self { db, mark })
    }

    fn family(&self, name: &str) -> io::Result<&ColumnFamily> {
        self.db.cf_handle(name).ok_or_else(|| {
            io::Error::new(io::ErrorKind::NotFound, format!("no column family {name}"))
        })
    }
}

impl LogIo for Rocks {
    fn write(&self, ops: Vec<Op>) -> io::Result<()> {
        let (log, meta) = (self.family(LOG)?, self.family(META)?);
        let mut batch = WriteBatch::default();
        for op in ops {
            match op {
                Op::PutEntry(index, value) => batch.put_cf(log, index.to_be_bytes(), value),
                Op::TruncateEntries(range) => {
                    // Point deletes: a range tombstone up to the end of the log would overlap every
                    // later read of the tail.
                    for index in range {
                        batch.delete_cf(log, index.to_be_bytes());
                    }
                }
                Op::PurgeEntries(range) => {
                    batch.delete_range_cf(log, range.start.to_be_bytes(), range.end.to_be_bytes());
                }
                Op::PutMeta(key, value) => batch.put_cf(meta, key.name(), value),
            }
        }
        let mut options = WriteOptions::default();
        options.set_sync(false);
        self.db.write_opt(batch, &options).map_err(other)
    }

    fn sync(&self) -> io::Result<()> {
        self.db.flush_wal(true).map_err(other)
    }

    fn scan(&self, range: Range<u64>, visit: &mut Visit<'_>) -> io::Result<()> {
        if range.is_empty() {
            return Ok(());
        }
        let (from, to) = (range.start.to_be_bytes(), range.end.to_be_bytes());
        let mut options = ReadOptions::default();
        options.set_iterate_lower_bound(from);
        options.set_iterate_upper_bound(to);
        let mode = IteratorMode::From(&from, Direction::Forward);
        for item in self.db.iterator_cf_opt(self.family(LOG)?, options, mode) {
            let (key, value) = item.map_err(other)?;
            if let ControlFlow::Break(()) = visit(index_of(&key)?, Bytes::from(value))? {
                break;
            }
        }
        Ok(())
    }

    fn last(&self) -> io::Result<Option<(u64, Bytes)>> {
        let mut entries = self.db.iterator_cf(self.family(LOG)?, IteratorMode::End);
        match entries.next() {
            None => Ok(None),
            Some(item) => {
                let (key, value) = item.map_err(other)?;
                Ok(Some((index_of(&key)?, Bytes::from(value))))
            }
        }
    }

    fn meta(&self, key: MetaKey) -> io::Result<Option<Bytes>> {
        let value = self
            .db
            .get_cf(self.family(META)?, key.name())
            .map_err(other)?;
        Ok(value.map(Bytes::from))
    }

    fn read_mark(&self) -> io::Result<Mark> {
        Ok(self.mark.read())
    }

    fn write_mark(&self, mark: Mark) -> io::Result<()> {
        self.mark.write(mark)
    }
}

fn database_options(create: bool) -> Options {
    let mut options = Options::default();
    options.create_if_missing(create);
    options.create_missing_column_families(create);
    // The default stops quietly at the first damaged record anywhere in the log; that would take
    // back acknowledged entries. Only an unfinished last record may be dropped.
    options.set_wal_recovery_mode(DBRecoveryMode::TolerateCorruptedTailRecords);
    options.set_track_and_verify_wals_in_manifest(true);
    options.set_paranoid_checks(true);
    // One flush covers both families, so that the rarely written one pins no log files.
    options.set_atomic_flush(true);
    options.set_max_total_wal_size(256 << 20);
    options.set_wal_ttl_seconds(0);
    options.set_wal_size_limit_mb(0);
    // Every write reaches the page cache: killing the process loses nothing.
    options.set_manual_wal_flush(false);
    // Range tombstones are looked up per file; closed files would make that slow.
    options.set_max_open_files(-1);
    options.set_max_background_jobs(2);
    options.set_stats_dump_period_sec(0);
    options.set_keep_log_file_num(4);
    options.set_max_log_file_size(4 << 20);
    options
}

fn family_options(write_buffer: usize) -> Options {
    let mut options = Options::default();
    options.set_write_buffer_size(write_buffer);
    options.set_max_write_buffer_number(3);
    options
}

/// Makes the names in a directory durable.
fn sync_directory(dir: &Path) -> io::Result<()> {
    std::fs::File::open(dir)?.sync_all()
}

fn index_of(key: &[u8]) -> io::Result<u64> {
    let bytes: [u8; 8] = key.try_into().map_err(|_| {
        io::Error::new(
            io::ErrorKind::InvalidData,
            format!("log key of {} bytes", key.len()),
        )
    })?;
    Ok(u64::from_be_bytes(bytes))
}

fn other(error: rocksdb::Error) -> io::Error {
    let kind = match error.kind() {
        rocksdb::ErrorKind::Corruption => io::ErrorKind::InvalidData,
        _ => io::ErrorKind::Other,
    };
    io::Error::new(kind, error)
}
