//! The store of a simulation: a map that is there when the program that wrote it is gone.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Batch, Entry};

#[derive(Clone, Debug, Default)]
pub(super) struct Memory(Arc<Mutex<BTreeMap<Vec<u8>, Vec<u8>>>>);

impl Memory {
    /// All of it or nothing. Whoever is killed meanwhile finds it undone or done, and cannot know which: as on a disk.
    pub(super) async fn commit(&self, batch: Batch) {
        tokio::task::yield_now().await;
        {
            let mut held = self.held();
            for (key, value) in batch.0 {
                match value {
                    Some(value) => drop(held.insert(key, value)),
                    None => drop(held.remove(&key)),
                }
            }
        }
        tokio::task::yield_now().await;
    }

    pub(super) fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.held().get(key).cloned()
    }

    pub(super) fn scan_prefix(&self, prefix: &[u8]) -> Vec<Entry> {
        let held = self.held();
        let found = held.range(prefix.to_vec()..).take_while(|(key, _)| key.starts_with(prefix));
        found.map(|(key, value)| (key.clone(), value.clone())).collect()
    }

    pub(super) fn range(&self, keys: Range<Vec<u8>>, limit: usize) -> Vec<Entry> {
        self.held().range(keys).take(limit).map(|(key, value)| (key.clone(), value.clone())).collect()
    }

    fn held(&self) -> MutexGuard<'_, BTreeMap<Vec<u8>, Vec<u8>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
