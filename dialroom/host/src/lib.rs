//! What both programs of Dialroom need from the machine they run on.
//!
//! A clock, a store that keeps what it acknowledged, chance, secrets in files, logs that hold no secret, and a look at a
//! file that may change. Nothing here knows of meetings or calls.

mod clock;
mod logs;
mod random;
mod secret;
mod shutdown;
mod store;
mod watch;

pub use clock::Clock;
pub use logs::start_logs;
pub use random::OsRandom;
pub use secret::{SecretError, read_secret, seal_key_file, token_file};
pub use shutdown::shutdown_asked;
pub use store::{Batch, Entry, Store, StoreError};
pub use watch::FileWatch;
