//! Secrets live in files of their own, readable by their owner alone.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use dialroom_booking::SealKey;
use rand_core::RngCore;

use crate::OsRandom;

/// No password or token is longer; a longer file is not one.
const MAX_SECRET_LEN: u64 = 16 * 1024;
/// Bytes of chance in a token: 256 bits.
const TOKEN_LEN: usize = 32;

/// Reads a secret that somebody else put there: the file's text without the line end.
///
/// # Errors
/// When the file cannot be read, is empty, or is no text.
pub fn read_secret(path: &Path) -> Result<String, SecretError> {
    let fail = |why: io::Error| SecretError { path: path.to_owned(), why };
    let found = fs::metadata(path).map_err(fail)?.len();
    if found > MAX_SECRET_LEN {
        return Err(fail(io::Error::other(format!("{found} bytes; a secret has at most {MAX_SECRET_LEN}"))));
    }
    let text = fs::read_to_string(path).map_err(fail)?;
    match text.trim_end_matches(['\r', '\n']) {
        "" => Err(fail(io::Error::other("the file is empty"))),
        secret => Ok(secret.to_owned()),
    }
}

/// Reads the bearer token kept in a file; makes one of 256 random bits, mode 0600, when there is none.
///
/// # Errors
/// When the file can be neither read nor made.
pub fn token_file(path: &Path) -> Result<String, SecretError> {
    keep(path, || hex(&random_bytes::<TOKEN_LEN>()))
}

/// Reads the key of stored PINs; makes one, mode 0600, when there is none.
///
/// # Errors
/// When the file can be neither read nor made, or holds no key.
pub fn seal_key_file(path: &Path) -> Result<SealKey, SecretError> {
    let text = keep(path, || hex(&random_bytes::<{ SealKey::LEN }>()))?;
    let bytes = from_hex(&text).and_then(|bytes| <[u8; SealKey::LEN]>::try_from(bytes).ok());
    bytes.map(|bytes| SealKey::new(&bytes)).ok_or_else(|| SecretError {
        path: path.to_owned(),
        why: io::Error::other("64 hexadecimal digits expected; restore the key file that belongs to the store"),
    })
}

fn keep(path: &Path, make: impl FnOnce() -> String) -> Result<String, SecretError> {
    let fail = |why: io::Error| SecretError { path: path.to_owned(), why };
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(fail)?;
    }
    if !path.exists() {
        // Two programs may start at the same time: each writes its own file, the first link wins, both read the winner.
        let draft = path.with_extension(format!("new-{}", hex(&random_bytes::<8>())));
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft).map_err(fail)?;
        file.write_all(make().as_bytes()).and_then(|()| file.sync_all()).map_err(fail)?;
        let linked = fs::hard_link(&draft, path);
        fs::remove_file(&draft).map_err(fail)?;
        if let Err(why) = linked
            && why.kind() != io::ErrorKind::AlreadyExists
        {
            return Err(fail(why));
        }
    }
    let mode = fs::metadata(path).map_err(fail)?.permissions().mode();
    if mode & 0o077 != 0 {
        let why = format!("mode {:03o} lets others read it; chmod 600", mode & 0o777);
        return Err(fail(io::Error::new(io::ErrorKind::PermissionDenied, why)));
    }
    read_secret(path)
}

fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    OsRandom.fill_bytes(&mut bytes);
    bytes
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> =
        text.chars().map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok())).collect();
    let digits = digits.filter(|digits| digits.len() % 2 == 0)?;
    Some(digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

/// A secret file that cannot be used. Never holds the secret.
#[derive(Debug, thiserror::Error)]
#[error("secret file {}: {why}", path.display())]
pub struct SecretError {
    path: PathBuf,
    #[source]
    why: io::Error,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_once_and_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sub").join("token");
        let token = token_file(&path).unwrap();
        assert_eq!((token.len(), &token_file(&path).unwrap()), (64, &token));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "no draft stays");
    }

    #[test]
    fn two_programs_agree_on_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let tokens: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| token_file(&path).unwrap())).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(tokens.iter().all(|token| *token == tokens[0]));
    }

    #[test]
    fn what_others_may_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        fs::write(&path, "secret-word").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let told = token_file(&path).unwrap_err().to_string();
        assert!(told.contains("644") && told.contains("chmod 600") && !told.contains("secret-word"), "{told}");
    }

    #[test]
    fn a_seal_key_opens_what_it_sealed_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("seal.key");
        let (id, pin) =
            (dialroom_booking::BookingId::parse("b").unwrap(), dialroom_booking::Pin::parse("482915").unwrap());
        let sealed = seal_key_file(&path).unwrap().seal(&id, &pin, [3; 12]);
        assert_eq!(seal_key_file(&path).unwrap().open(&id, &sealed).unwrap(), pin);
        fs::write(&path, "zz").unwrap();
        assert!(seal_key_file(&path).is_err());
    }
}
