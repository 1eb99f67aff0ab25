//! A store that keeps what it acknowledged.
//!
//! `sled` 0.34 loses thousands of writes on a plain kill unless it is flushed; so nothing here is acknowledged before a
//! flush. One writer thread gathers what waits, applies it as one atomic batch and flushes once (group commit): cost per
//! commit is one flush shared by everybody who waits, about 0.2 ms on a local disk.
//!
//! Trees are key prefixes of one `sled` tree, so that a batch over several trees is atomic by itself.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::{mpsc, oneshot};

/// Commits that may wait for the writer; at the bound `commit` waits too.
const MAX_WAITING: usize = 1024;
/// Commits that share one flush; more would only delay the first.
const MAX_GROUP: usize = 256;
/// Page cache. Bookings are small; what is not in it is read from disk.
const CACHE_BYTES: u64 = 64 * 1024 * 1024;
/// Changes when older programs could not read what newer ones write.
const FORMAT: &[u8] = b"dialroom-store 1";
const FORMAT_KEY: &[u8] = b"\0format";

/// One key and its value.
pub type Entry = (Vec<u8>, Vec<u8>);

/// A durable map of maps; cheap to clone. One process at a time.
#[derive(Clone, Debug)]
pub struct Store {
    tree: sled::Db,
    writer: mpsc::Sender<Waiting>,
    failed: Arc<AtomicBool>,
}

/// Changes that happen together or not at all.
#[derive(Debug, Default)]
pub struct Batch(sled::Batch);

struct Waiting {
    batch: Batch,
    done: oneshot::Sender<Result<(), StoreError>>,
}

impl Store {
    /// Opens the store in `folder`, made when missing.
    ///
    /// # Errors
    /// When another process holds it, when it is damaged, or when a newer version wrote it.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        let fail = |why| StoreError::Open { folder: folder.to_owned(), why };
        let tree = sled::Config::new().path(folder).cache_capacity(CACHE_BYTES).open().map_err(fail)?;
        match tree.get(FORMAT_KEY).map_err(fail)? {
            None => {
                tree.insert(FORMAT_KEY, FORMAT).map_err(fail)?;
                tree.flush().map_err(fail)?;
            }
            Some(found) if found == FORMAT => {}
            Some(found) => {
                let found = String::from_utf8_lossy(&found).into_owned();
                return Err(StoreError::Format { folder: folder.to_owned(), found });
            }
        }
        let (writer, waiting) = mpsc::channel(MAX_WAITING);
        let failed = Arc::new(AtomicBool::new(false));
        let thread = std::thread::Builder::new().name("store".to_owned());
        let work = {
            let (tree, failed) = (tree.clone(), Arc::clone(&failed));
            move || write(&tree, waiting, &failed)
        };
        thread.spawn(work).map_err(|why| fail(sled::Error::Io(why)))?;
        Ok(Self { tree, writer, failed })
    }

    /// Makes the batch durable; when this returns `Ok`, no kill undoes it.
    ///
    /// # Errors
    /// When it could not be written. After a failed flush the store refuses every further commit until the program is
    /// started again: what a disk says after a failed flush cannot be trusted.
    pub async fn commit(&self, batch: Batch) -> Result<(), StoreError> {
        let (done, answer) = oneshot::channel();
        self.writer.send(Waiting { batch, done }).await.map_err(|_| StoreError::Stopped)?;
        answer.await.map_err(|_| StoreError::Stopped)?
    }

    /// Whether commits are still taken.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        !self.failed.load(Ordering::Relaxed) && !self.writer.is_closed()
    }

    /// The value of a key.
    ///
    /// # Errors
    /// When the disk cannot be read.
    pub fn get(&self, tree: &str, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let found = self.tree.get(full_key(tree, key)).map_err(StoreError::Read)?;
        Ok(found.map(|value| value.to_vec()))
    }

    /// Every entry of `tree` whose key begins with `prefix`, in order of keys. Keys come whole, without the tree.
    pub fn scan(&self, tree: &str, prefix: &[u8]) -> impl Iterator<Item = Result<Entry, StoreError>> + use<> {
        let skipped = tree.len() + 1;
        self.tree.scan_prefix(full_key(tree, prefix)).map(move |entry| own(entry, skipped))
    }

    /// At most `limit` entries of `tree` behind the key `after`, in order of keys.
    ///
    /// # Errors
    /// When the disk cannot be read.
    pub fn scan_from(&self, tree: &str, after: &[u8], limit: usize) -> Result<Vec<Entry>, StoreError> {
        let mut from = full_key(tree, after);
        from.push(0); // the first key behind `after`
        let mut to = full_key(tree, b"");
        to.pop();
        to.push(1); // the first key behind the tree: its name ends in 0
        self.tree.range(from..to).take(limit).map(|entry| own(entry, tree.len() + 1)).collect()
    }
}

fn own(entry: sled::Result<(sled::IVec, sled::IVec)>, skipped: usize) -> Result<Entry, StoreError> {
    let (key, value) = entry.map_err(StoreError::Read)?;
    Ok((key[skipped..].to_vec(), value.to_vec()))
}

impl Batch {
    /// Sets a key.
    pub fn put(&mut self, tree: &'static str, key: impl AsRef<[u8]>, value: impl Into<Vec<u8>>) {
        self.0.insert(full_key(tree, key.as_ref()), value.into());
    }

    /// Removes a key.
    pub fn remove(&mut self, tree: &'static str, key: impl AsRef<[u8]>) {
        self.0.remove(full_key(tree, key.as_ref()));
    }
}

/// `tree`, a zero, `key`. Tree names are ours and hold no zero.
fn full_key(tree: &str, key: &[u8]) -> Vec<u8> {
    let mut full = Vec::with_capacity(tree.len() + 1 + key.len());
    full.extend_from_slice(tree.as_bytes());
    full.push(0);
    full.extend_from_slice(key);
    full
}

/// The writer's life: gather, apply, flush, acknowledge.
fn write(tree: &sled::Db, mut waiting: mpsc::Receiver<Waiting>, failed: &AtomicBool) {
    let mut group = Vec::with_capacity(MAX_GROUP);
    while waiting.blocking_recv_many(&mut group, MAX_GROUP) > 0 {
        if failed.load(Ordering::Relaxed) {
            group.drain(..).for_each(|waiting| acknowledge(waiting.done, Err(StoreError::Failed)));
            continue;
        }
        let mut written = Vec::with_capacity(group.len());
        for Waiting { batch, done } in group.drain(..) {
            match tree.apply_batch(batch.0) {
                Ok(()) => written.push(done),
                Err(why) => acknowledge(done, Err(StoreError::Write(why))),
            }
        }
        let flushed = tree.flush().map(drop);
        if let Err(why) = &flushed {
            failed.store(true, Ordering::Relaxed);
            tracing::error!(%why, "the store could not be flushed; it takes no more changes until the program is started again");
        }
        for done in written {
            acknowledge(done, flushed.clone().map_err(StoreError::Write));
        }
    }
}

fn acknowledge(done: oneshot::Sender<Result<(), StoreError>>, result: Result<(), StoreError>) {
    // Whoever waited may be gone; the change stands all the same.
    drop(done.send(result));
}

/// Why the store does not serve.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// It cannot be opened.
    #[error("the store in {} does not open: {why}; is another Dialroom running on it?", folder.display())]
    Open {
        /// Which.
        folder: PathBuf,
        /// Why not.
        #[source]
        why: sled::Error,
    },
    /// It was written by a version that this one does not understand.
    #[error("the store in {} has the format {found:?}, this version reads {}", folder.display(), String::from_utf8_lossy(FORMAT))]
    Format {
        /// Which.
        folder: PathBuf,
        /// What it says of itself.
        found: String,
    },
    /// It cannot be read.
    #[error("the store cannot be read: {0}")]
    Read(#[source] sled::Error),
    /// A change could not be written.
    #[error("the store cannot be written: {0}")]
    Write(#[source] sled::Error),
    /// An earlier flush failed.
    #[error("the store failed earlier and takes no changes; start the program again")]
    Failed,
    /// The writer ended.
    #[error("the store was closed")]
    Stopped,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(tree: &'static str, key: &str, value: &str) -> Batch {
        let mut batch = Batch::default();
        batch.put(tree, key, value);
        batch
    }

    #[tokio::test]
    async fn what_was_committed_is_there_after_reopening() {
        let folder = tempfile::tempdir().unwrap();
        {
            let store = Store::open(folder.path()).unwrap();
            store.commit(put("a", "1", "one")).await.unwrap();
            let mut batch = put("b", "2", "two");
            batch.remove("a", "1");
            store.commit(batch).await.unwrap();
        }
        let store = reopen(folder.path());
        assert_eq!(store.get("a", b"1").unwrap(), None);
        assert_eq!(store.get("b", b"2").unwrap(), Some(b"two".to_vec()));
    }

    /// The writer thread lets go of the folder a moment after the last handle is dropped.
    fn reopen(folder: &Path) -> Store {
        (0..1000)
            .find_map(|_| {
                std::thread::yield_now();
                Store::open(folder).ok()
            })
            .expect("the store opens again")
    }

    #[tokio::test]
    async fn trees_do_not_see_each_other() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        for (tree, key) in [("a", "1"), ("a", "2"), ("a", "21"), ("ab", "2"), ("b", "2")] {
            store.commit(put(tree, key, tree)).await.unwrap();
        }
        let keys = |entries: Vec<Entry>| {
            entries.into_iter().map(|(key, _)| String::from_utf8(key).unwrap()).collect::<Vec<_>>()
        };
        let all = |tree, prefix: &str| keys(store.scan(tree, prefix.as_bytes()).collect::<Result<_, _>>().unwrap());
        assert_eq!(
            (all("a", ""), all("a", "2"), all("ab", "")),
            (vec!["1".into(), "2".into(), "21".into()], vec!["2".into(), "21".into()], vec!["2".into()])
        );
        assert_eq!(keys(store.scan_from("a", b"1", 10).unwrap()), ["2", "21"]);
        assert_eq!(keys(store.scan_from("a", b"", 2).unwrap()), ["1", "2"]);
    }

    #[tokio::test]
    async fn many_at_once_are_all_kept() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let commits = (0..2000u32).map(|n| {
            let mut batch = Batch::default();
            batch.put("n", n.to_be_bytes(), b"x".to_vec());
            let store = store.clone();
            tokio::spawn(async move { store.commit(batch).await })
        });
        for commit in commits.collect::<Vec<_>>() {
            commit.await.unwrap().unwrap();
        }
        assert_eq!(store.scan("n", b"").count(), 2000);
    }

    #[test]
    fn a_second_process_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let _held = Store::open(folder.path()).unwrap();
        let told = Store::open(folder.path()).unwrap_err().to_string();
        assert!(told.contains("another Dialroom"), "{told}");
    }

    #[test]
    fn a_newer_format_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        {
            let db = sled::open(folder.path()).unwrap();
            db.insert(FORMAT_KEY, b"dialroom-store 9").unwrap();
            db.flush().unwrap();
        }
        let told = Store::open(folder.path()).unwrap_err().to_string();
        assert!(told.contains("dialroom-store 9") && told.contains("dialroom-store 1"), "{told}");
    }
}
