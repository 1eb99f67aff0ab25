//! The demo's data folder. Each run starts afresh, since the simulated tenant remembers nothing; so what the last run left
//! is removed, and nothing else: a folder that no demo made is refused.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

/// What a run leaves in its folder.
const OURS: [&str; 12] = [
    "connector",
    "mixer",
    "mails",
    "names",
    "dialroom.toml",
    "demo.json",
    "clock-offset",
    "graph.secret",
    "api.token",
    "handoff.token",
    "connector.log",
    "mixer.log",
];
/// Held by a running demo; its presence says that a demo made the folder.
const LOCK: &str = "demo.lock";
/// Name of the folder within the user's data folder.
const NAME: &str = "dialroom-demo";

/// A folder that is this run's alone.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    /// The lock ends with the process, however that ends.
    _lock: File,
}

impl Folder {
    /// Takes the folder and empties it of the last run.
    ///
    /// # Errors
    /// When it belongs to something else, another demo runs in it, or it cannot be written.
    pub(crate) fn open(wanted: Option<PathBuf>) -> anyhow::Result<Self> {
        let path = std::path::absolute(wanted.unwrap_or_else(default_path)).context("no current folder")?;
        fs::create_dir_all(&path).with_context(|| format!("the folder {} cannot be made", path.display()))?;
        let is_empty =
            fs::read_dir(&path).with_context(|| format!("{} cannot be read", path.display()))?.next().is_none();
        if !is_empty && !path.join(LOCK).exists() {
            bail!("the folder {} holds something else; name an empty one with --data", path.display());
        }
        let lock = File::options().create(true).append(true).open(path.join(LOCK));
        let lock = lock.with_context(|| format!("{} cannot be written", path.display()))?;
        if lock.try_lock().is_err() {
            bail!("a demo runs in {} already; end it, or name another folder with --data", path.display());
        }
        for name in OURS {
            let old = path.join(name);
            let removed = if old.is_dir() { fs::remove_dir_all(&old) } else { fs::remove_file(&old) };
            match removed {
                Err(why) if why.kind() != std::io::ErrorKind::NotFound => {
                    return Err(why).with_context(|| format!("{} of the last run cannot be removed", old.display()));
                }
                Ok(()) | Err(_) => {}
            }
        }
        Ok(Self { path, _lock: lock })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn settings(&self) -> PathBuf {
        self.path.join("dialroom.toml")
    }

    pub(crate) fn clock_offset(&self) -> PathBuf {
        self.path.join("clock-offset")
    }

    pub(crate) fn mails(&self) -> PathBuf {
        self.path.join("mails")
    }

    pub(crate) fn names(&self) -> PathBuf {
        self.path.join("names")
    }

    pub(crate) fn log(&self, program: &str) -> PathBuf {
        self.path.join(format!("{program}.log"))
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

/// `dialroom-demo` in the user's data folder, or here for a user without a home.
pub(crate) fn default_path() -> PathBuf {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let data = set("XDG_DATA_HOME").or_else(|| set("HOME").map(|home| home.join(".local/share")));
    data.map_or_else(|| PathBuf::from(NAME), |data| data.join(NAME))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_run_is_removed_and_nothing_else() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("demo");
        drop(Folder::open(Some(path.clone())).unwrap());
        fs::create_dir_all(path.join("mails")).unwrap();
        fs::write(path.join("mails/1.eml"), "old").unwrap();
        fs::write(path.join("notes.txt"), "mine").unwrap();
        let folder = Folder::open(Some(path)).unwrap();
        assert!(!folder.mails().exists() && folder.file("notes.txt").exists());
    }

    #[test]
    fn a_folder_of_something_else_is_left_alone() {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join("demo.json"), "mine").unwrap();
        let told = Folder::open(Some(home.path().to_owned())).unwrap_err().to_string();
        assert!(told.contains("--data"), "{told}");
        assert!(home.path().join("demo.json").exists());
    }

    #[test]
    fn two_demos_do_not_share_a_folder() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("demo");
        let _first = Folder::open(Some(path.clone())).unwrap();
        assert!(Folder::open(Some(path)).unwrap_err().to_string().contains("already"));
    }
}
