//! From the file as written to the settings as meant.

use std::path::Path;

use crate::{Problems, Settings};

impl Settings {
    /// Reads the text of a settings file; `file` is named in problems and is what relative paths start from.
    ///
    /// # Errors
    /// Every problem of the file, with line and key.
    pub fn read(_file: &Path, _text: &str) -> Result<Self, Problems> {
        unimplemented!()
    }
}
