//! What is wrong with a settings file, all of it at once.

use std::fmt;
use std::path::PathBuf;

/// One mistake, with its place: `dialroom.toml:41: pin.digits: 3 is too short, a PIN has 4 to 12 digits`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Line, counted from 1; 0 for what is missing altogether.
    pub line: usize,
    /// The key with its table, `pin.digits`.
    pub key: String,
    /// What is wrong and what would be right.
    pub message: String,
}

/// Every mistake of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems {
    /// Which file.
    pub file: PathBuf,
    /// In order of lines; never empty.
    pub problems: Vec<Problem>,
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{}:{}: {}: {}", self.file.display(), problem.line, problem.key, problem.message)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}
