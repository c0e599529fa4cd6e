//! Where lines of the access log go: a bounded queue, and a thread that writes what is in it.
//!
//! A request never waits for a disk: when the queue is full, because the disk is slow or nobody reads
//! the pipe, its line is lost, and counted.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::time::Duration;

use super::log_file::LogFile;
use crate::config::AccessLines;

/// Lines that wait to be written: some megabytes, and half a second of a very busy machine.
const QUEUE: usize = 8_192;
/// Written at once, so that a system call is shared by what came meanwhile.
const BATCH: usize = 64 << 10;

/// A way to the access log; cheap to copy.
#[derive(Clone, Debug)]
pub(crate) struct AccessLog(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    queue: SyncSender<Message>,
    lines: AccessLines,
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    written: AtomicU64,
    lost: AtomicU64,
}

#[derive(Debug)]
enum Message {
    Line(String),
    /// Everything before it is written.
    Flush(SyncSender<()>),
}

/// The other end of the queue.
#[derive(Debug)]
pub(super) struct Queue {
    messages: Receiver<Message>,
    counts: Arc<Counts>,
}

impl AccessLog {
    /// The log in `file`, unless nothing is to be written.
    pub(crate) fn start(lines: AccessLines, file: PathBuf) -> Option<Self> {
        if lines == AccessLines::Off {
            return None;
        }
        let (log, queue) = Self::queue(lines);
        let writer = std::thread::Builder::new().name("access-log".to_owned());
        match writer.spawn(move || queue.write_to(LogFile::at(file))) {
            Ok(_) => Some(log),
            Err(error) => {
                tracing::error!(%error, "no thread for the access log: there is none");
                None
            }
        }
    }

    pub(super) fn queue(lines: AccessLines) -> (Self, Queue) {
        let (queue, messages) = sync_channel(QUEUE);
        let counts = Arc::<Counts>::default();
        let shared = Shared {
            queue,
            lines,
            counts: Arc::clone(&counts),
        };
        (Self(Arc::new(shared)), Queue { messages, counts })
    }

    /// Whether the line of a request is to be written though nothing goes wrong.
    pub(super) fn samples(&self) -> bool {
        match self.0.lines {
            AccessLines::Off => false,
            AccessLines::All => true,
            AccessLines::OneIn(many) => rand::random_range(0..many.get()) == 0,
        }
    }

    pub(super) fn write(&self, line: String) {
        if self.0.queue.try_send(Message::Line(line)).is_err() {
            self.0.counts.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn written(&self) -> u64 {
        self.0.counts.written.load(Ordering::Relaxed)
    }

    pub(super) fn lost(&self) -> u64 {
        self.0.counts.lost.load(Ordering::Relaxed)
    }

    /// Waits until what was said before is written, or for `limit`. Blocks its thread.
    pub(crate) fn flush(&self, limit: Duration) {
        let (done, waited) = sync_channel(1);
        if self.0.queue.try_send(Message::Flush(done)).is_ok() {
            // Later it is lost with the process.
            let _ = waited.recv_timeout(limit);
        }
    }
}

impl Queue {
    /// Writes until nobody can say anything any more.
    fn write_to(self, mut file: LogFile) {
        let mut batch = Batch::default();
        while let Ok(first) = self.messages.recv() {
            let mut next = Ok(first);
            loop {
                match next {
                    Ok(Message::Line(line)) => batch.add(&line),
                    Ok(Message::Flush(done)) => {
                        self.finish(&mut batch, &mut file);
                        let _ = done.try_send(());
                    }
                    Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
                }
                if batch.text.len() >= BATCH {
                    self.finish(&mut batch, &mut file);
                }
                next = self.messages.try_recv();
            }
            self.finish(&mut batch, &mut file);
        }
    }

    fn finish(&self, batch: &mut Batch, file: &mut LogFile) {
        if batch.lines == 0 {
            return;
        }
        let count = match file.write(&batch.text) {
            true => &self.counts.written,
            false => &self.counts.lost,
        };
        count.fetch_add(batch.lines, Ordering::Relaxed);
        batch.text.clear();
        batch.lines = 0;
    }
}

#[derive(Debug, Default)]
struct Batch {
    text: String,
    lines: u64,
}

impl Batch {
    fn add(&mut self, line: &str) {
        self.text.push_str(line);
        self.lines += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_that_nobody_empties_loses_lines_and_delays_nobody() {
        let (log, queue) = AccessLog::queue(AccessLines::All);
        for line in 0..QUEUE + 10 {
            log.write(format!("{line}\n"));
        }
        assert_eq!((log.lost(), log.written()), (10, 0));
        log.flush(Duration::ZERO);

        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("access.log");
        let writer = std::thread::spawn({
            let file = LogFile::at(path.clone());
            move || queue.write_to(file)
        });
        // The queue is being emptied, so sooner or later there is room for the question.
        while log.written() < QUEUE as u64 {
            log.flush(Duration::from_secs(20));
        }
        drop(log);
        writer.join().unwrap();
        let text = std::fs::read_to_string(path).unwrap();
        assert_eq!(text.lines().count(), QUEUE);
        assert!(text.starts_with("0\n1\n2\n"));
    }

    #[test]
    fn a_full_disk_loses_lines_and_says_how_many() {
        let log = AccessLog::start(AccessLines::All, "/dev/full".into()).unwrap();
        log.write("one\n".to_owned());
        log.write("two\n".to_owned());
        log.flush(Duration::from_secs(20));
        assert_eq!((log.written(), log.lost()), (0, 2));
        assert!(AccessLog::start(AccessLines::Off, "/dev/full".into()).is_none());
    }

    #[test]
    fn a_sample_is_about_what_was_asked_for() {
        let many = std::num::NonZeroU32::new(10).unwrap();
        let (log, _queue) = AccessLog::queue(AccessLines::OneIn(many));
        let sampled = (0..10_000).filter(|_| log.samples()).count();
        // Ten standard deviations.
        assert!((700..1_300).contains(&sampled), "{sampled}");
    }
}
