//! The voice: which sound files a sentence is made of, and the sounds themselves.
//!
//! The words stand in `templates/prompts/{de,en}.toml`; their files were rendered once and are part of the program, each
//! replaceable by a WAV of the same name in `[prompts] folder`. Apart from the engine, which plays clips and knows no
//! language. Recorded names are data, not prompts: they lie in a folder by mail address and may come and go.

mod library;
mod names;
mod resample;
mod synthesis;
mod wav;
mod wording;

pub use library::{PromptError, PromptLibrary};
pub use wav::WavError;
