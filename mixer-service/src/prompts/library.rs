//! Every prompt of every language, ready to be played.
//!
//! Shipped sentences are decoded beside the start, which waits for none of them; the many short pieces of times and days
//! when they are first needed, for few of them are ever heard in a day.
//! Replacements are decoded when they are loaded, so that an odd file is told at once and not to a caller.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use dialroom_booking::Language;
use dialroom_settings::{MusicOnHold, Prompts};
use mixer_conference::Sentence;
use mixer_media::Clip;
use rust_embed::RustEmbed;

use super::names::Names;
use super::synthesis::{music, silence, tone};
use super::wav::{WavError, decode};
use super::wording::{Sound, Wording, WordingError};

/// No prompt is longer.
const LONGEST_PROMPT: Duration = Duration::from_secs(20);
/// Music is kept whole in memory: 16 bytes a millisecond, 10 MB.
const LONGEST_MUSIC: Duration = Duration::from_secs(600);
/// What such music has at most as a file (48 kHz, stereo, 16 bits); larger ones are not read.
const MAX_MUSIC_BYTES: u64 = 116 << 20;
/// What a prompt has at most as a file (48 kHz, stereo, 32 bits).
const MAX_PROMPT_BYTES: u64 = 8 << 20;
/// Breath between two sentences.
const PAUSE: Duration = Duration::from_millis(250);

#[derive(RustEmbed)]
#[folder = "../templates/prompts/en"]
struct English;

#[derive(RustEmbed)]
#[folder = "../templates/prompts/de"]
struct German;

/// The voice of Dialroom. Cloning shares it.
#[derive(Clone, Debug)]
pub struct PromptLibrary {
    voices: Arc<BTreeMap<Language, Voice>>,
    names: Arc<Names>,
    tones: [Clip; 2],
    pause: Clip,
    music: Arc<OnceLock<Clip>>,
}

#[derive(Debug)]
struct Voice {
    wording: Wording,
    files: BTreeMap<String, OnceLock<Clip>>,
}

impl PromptLibrary {
    /// Reads the words of every language, and the WAV files that replace shipped ones.
    ///
    /// # Errors
    /// When the folder of replacements cannot be read, holds a file that replaces nothing, or one that cannot be played.
    /// A missing `<folder>/<language>` replaces nothing.
    pub fn load(prompts: &Prompts) -> Result<Self, PromptError> {
        let mut voices = BTreeMap::new();
        for language in Language::ALL {
            let mut voice = Voice::shipped(language)?;
            if let Some(folder) = &prompts.folder {
                voice.replace(&folder.join(language.code()))?;
            }
            voices.insert(language, voice);
        }
        Ok(Self {
            voices: Arc::new(voices),
            names: Arc::new(Names::new(&prompts.names)),
            tones: [tone(false), tone(true)],
            pause: silence(PAUSE),
            music: Arc::default(),
        })
    }

    /// The same voice with this music for who waits; without it, the built-in one plays.
    ///
    /// # Errors
    /// When the file cannot be played.
    pub fn with_music(self, music: &MusicOnHold) -> Result<Self, PromptError> {
        let music = match music {
            MusicOnHold::BuiltIn => OnceLock::new(),
            MusicOnHold::Off => OnceLock::from(silence(Duration::from_secs(1))),
            MusicOnHold::File(path) => OnceLock::from(read(path, LONGEST_MUSIC, MAX_MUSIC_BYTES)?),
        };
        Ok(Self { music: Arc::new(music), ..self })
    }

    /// What to play, one after the other, for these sentences in this language.
    #[must_use]
    pub fn clips(&self, language: Language, sentences: &[Sentence]) -> Vec<Clip> {
        let Some(voice) = self.voices.get(&language) else { return Vec::new() };
        let mut clips = Vec::new();
        for (index, sentence) in sentences.iter().enumerate() {
            if index > 0 {
                clips.push(self.pause.clone());
            }
            let sounds = voice.wording.sounds(sentence, |person| self.names.clip(person).is_some());
            clips.extend(sounds.iter().filter_map(|sound| self.clip(language, voice, sound)));
        }
        clips
    }

    /// Makes ready what a first caller may hear, the longest sounds of all: music and sentences. Work for a thread of its
    /// own; what is needed before its turn is made ready by whoever needs it.
    pub fn warm_up(&self) {
        drop(self.music());
        for (language, voice) in &*self.voices {
            let is_piece_of_time = |name: &str| name.ends_with(|c: char| c.is_ascii_digit()) && !name.contains('.');
            let sentences = voice.files.keys().filter(|name| !is_piece_of_time(name));
            sentences.for_each(|name| drop(voice.clip(*language, name)));
        }
    }

    /// What who waits hears, over and over.
    #[must_use]
    pub fn music(&self) -> Clip {
        self.music.get_or_init(music).clone()
    }

    fn clip(&self, language: Language, voice: &Voice, sound: &Sound) -> Option<Clip> {
        match sound {
            Sound::Tone { rising } => Some(self.tones[usize::from(*rising)].clone()),
            Sound::Name(person) => self.names.clip(person),
            Sound::File(name) => voice.clip(language, name),
        }
    }
}

impl Voice {
    fn shipped(language: Language) -> Result<Self, PromptError> {
        let wording = match language {
            Language::En => Wording::parse("en", include_str!("../../../templates/prompts/en.toml")),
            Language::De => Wording::parse("de", include_str!("../../../templates/prompts/de.toml")),
        };
        let names: Vec<_> = match language {
            Language::En => English::iter().collect(),
            Language::De => German::iter().collect(),
        };
        let names = names.iter().filter_map(|name| name.strip_suffix(".wav"));
        Ok(Self { wording: wording?, files: names.map(|name| (name.to_owned(), OnceLock::new())).collect() })
    }

    fn replace(&mut self, folder: &Path) -> Result<(), PromptError> {
        let unreadable = |source| PromptError::Unreadable { path: folder.to_owned(), source };
        if !folder.exists() {
            return Ok(());
        }
        for entry in fs::read_dir(folder).map_err(unreadable)? {
            let path = entry.map_err(unreadable)?.path();
            let name = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_suffix(".wav"));
            let Some(name) = name else { continue };
            let file = self.files.get_mut(name).ok_or_else(|| PromptError::ReplacesNothing(path.clone()))?;
            *file = OnceLock::from(read(&path, LONGEST_PROMPT, MAX_PROMPT_BYTES)?);
        }
        Ok(())
    }

    fn clip(&self, language: Language, name: &str) -> Option<Clip> {
        let clip = self.files.get(name)?.get_or_init(|| {
            let file = match language {
                Language::En => English::get(&format!("{name}.wav")),
                Language::De => German::get(&format!("{name}.wav")),
            };
            let clip = file.map(|file| decode(&file.data, LONGEST_PROMPT));
            clip.and_then(Result::ok).unwrap_or_else(|| silence(Duration::ZERO))
        });
        Some(clip.clone())
    }
}

fn read(path: &Path, longest: Duration, most_bytes: u64) -> Result<Clip, PromptError> {
    let unreadable = |source| PromptError::Unreadable { path: path.to_owned(), source };
    let len = fs::metadata(path).map_err(unreadable)?.len();
    if len > most_bytes {
        return Err(PromptError::TooLarge { path: path.to_owned(), len, most_bytes });
    }
    let bytes = fs::read(path).map_err(unreadable)?;
    decode(&bytes, longest).map_err(|reason| PromptError::NotPlayable { path: path.to_owned(), reason })
}

/// Why the voice is not complete.
#[derive(Debug, thiserror::Error)]
pub enum PromptError {
    /// A folder or file that the settings name.
    #[error("{}: cannot be read", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file that is no prompt.
    #[error("{}: {reason}", path.display())]
    NotPlayable {
        /// Which.
        path: PathBuf,
        /// Why.
        reason: WavError,
    },
    /// A file larger than any prompt.
    #[error("{}: {len} bytes, at most {most_bytes} are read; shorten it", path.display())]
    TooLarge {
        /// Which.
        path: PathBuf,
        /// Its length.
        len: u64,
        /// The bound.
        most_bytes: u64,
    },
    /// A file whose name no prompt has.
    #[error("{}: no prompt has this name; templates/prompts lists them", .0.display())]
    ReplacesNothing(PathBuf),
    /// The words that the program came with.
    #[error(transparent)]
    Wording(#[from] WordingError),
}

#[cfg(test)]
mod tests {
    use chrono::{NaiveDate, NaiveTime};
    use mixer_conference::SpokenDay;

    use super::*;

    fn prompts(folder: Option<&Path>) -> Prompts {
        Prompts { folder: folder.map(Path::to_owned), names: "../templates/prompts/names".into() }
    }

    fn library() -> PromptLibrary {
        PromptLibrary::load(&prompts(None)).unwrap()
    }

    /// Every sound of a sentence is there, and none is empty.
    fn check(library: &PromptLibrary, sentence: &Sentence) {
        for (language, voice) in &*library.voices {
            let sounds = voice.wording.sounds(sentence, |_| true);
            assert!(!sounds.is_empty(), "{language}: {sentence:?} is not in the words");
            for sound in sounds {
                let there = match &sound {
                    Sound::File(name) => voice.files.contains_key(name),
                    Sound::Name(_) | Sound::Tone { .. } => true,
                };
                assert!(there, "{language}: {sentence:?} needs {sound:?}");
            }
        }
    }

    #[test]
    fn every_sentence_is_there_in_every_language() {
        let library = library();
        let person = Some("anna@contoso.example".to_owned());
        for sentence in [
            Sentence::Welcome { person: None },
            Sentence::Welcome { person },
            Sentence::AskRoom,
            Sentence::AskPin,
            Sentence::DoesNotMatch,
            Sentence::PleaseWait,
            Sentence::Over,
            Sentence::Full,
            Sentence::Cancelled,
            Sentence::SwitchedOff,
            Sentence::EndsInTwoMinutes,
            Sentence::Ended,
            Sentence::Goodbye,
            Sentence::JoinTone,
            Sentence::LeaveTone,
        ] {
            check(&library, &sentence);
        }
    }

    #[test]
    fn every_time_and_every_day_is_there() {
        let library = library();
        for minute in 0..24 * 60 {
            let time = NaiveTime::from_hms_opt(minute / 60, minute % 60, 0).unwrap();
            check(&library, &Sentence::YourConference { start: time });
            check(&library, &Sentence::OpensAt { time, day: SpokenDay::Today });
            check(&library, &Sentence::OpenUntil { time, day: SpokenDay::Tomorrow });
        }
        let time = NaiveTime::from_hms_opt(9, 50, 0).unwrap();
        for day in NaiveDate::from_ymd_opt(2028, 1, 1).unwrap().iter_days().take(366) {
            check(&library, &Sentence::OpensAt { time, day: SpokenDay::On(day) });
            check(&library, &Sentence::OpenUntil { time, day: SpokenDay::On(day) });
        }
    }

    /// Level of the speech in dB below full scale, over the frames of 10 ms that are not silence.
    fn level_dbfs(samples: &[i16]) -> f64 {
        let power = |frame: &[i16]| frame.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>() / frame.len() as f64;
        let powers: Vec<f64> = samples.chunks(80).map(power).collect();
        let loudest = powers.iter().copied().fold(0.0, f64::max);
        let speech: Vec<f64> = powers.into_iter().filter(|power| *power > loudest / 100.0).collect();
        10.0 * (speech.iter().sum::<f64>() / speech.len() as f64 / 32_768f64.powi(2)).log10()
    }

    #[test]
    fn every_file_is_as_loud_as_the_others_and_cleanly_cut() {
        let (library, mut heard) = (library(), Duration::ZERO);
        for (language, voice) in &*library.voices {
            for name in voice.files.keys() {
                let clip = voice.clip(*language, name).unwrap();
                let samples = clip.samples();
                heard += clip.duration();
                assert!(clip.duration() > Duration::from_millis(150), "{language}/{name}: {:?}", clip.duration());
                let level = level_dbfs(samples);
                assert!((level + 22.5).abs() < 2.0, "{language}/{name}: {level:.1} dBFS");
                let quiet = |sample: &&i16| sample.unsigned_abs() < 60;
                let (head, tail) =
                    (samples.iter().take_while(quiet).count(), samples.iter().rev().take_while(quiet).count());
                assert!(head <= 640 && tail <= 640, "{language}/{name}: {head} {tail} samples of silence");
                assert!(samples.iter().all(|sample| sample.unsigned_abs() < 26_000), "{language}/{name} is too loud");
                let (first, last) = (samples[0].unsigned_abs(), samples[samples.len() - 1].unsigned_abs());
                assert!(first < 300 && last < 300, "{language}/{name} clicks: {first} {last}");
            }
        }
        println!("{} s of speech", heard.as_secs());
    }

    #[test]
    fn sentences_are_spoken_with_the_recorded_name() {
        let welcome = |person: &str| [Sentence::Welcome { person: Some(person.to_owned()) }];
        let library = library();
        assert_eq!(library.clips(Language::En, &welcome("bernd@contoso.example")).len(), 2);
        assert_eq!(library.clips(Language::En, &welcome("eva@fabrikam.example")).len(), 1);
        assert_eq!(library.clips(Language::De, &[Sentence::DoesNotMatch, Sentence::AskRoom]).len(), 3);
    }

    #[test]
    fn a_file_replaces_a_prompt_and_an_odd_one_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let german = folder.path().join("de");
        fs::create_dir(&german).unwrap();
        fs::copy("../templates/prompts/de/goodbye.wav", german.join("ask-pin.wav")).unwrap();
        let library = PromptLibrary::load(&prompts(Some(folder.path()))).unwrap();
        let goodbye = library.clips(Language::De, &[Sentence::Goodbye]);
        assert_eq!(library.clips(Language::De, &[Sentence::AskPin]), goodbye);
        fs::write(german.join("ask-room.wav"), b"").unwrap();
        let error = PromptLibrary::load(&prompts(Some(folder.path()))).unwrap_err().to_string();
        assert!(error.ends_with("ask-room.wav: the file is empty"), "{error}");
        fs::remove_file(german.join("ask-room.wav")).unwrap();
        fs::write(german.join("hello.wav"), b"").unwrap();
        assert!(PromptLibrary::load(&prompts(Some(folder.path()))).unwrap_err().to_string().contains("no prompt"));
    }

    #[test]
    fn after_warming_up_no_sentence_is_left_to_decode() {
        let library = library();
        library.warm_up();
        for voice in library.voices.values() {
            let cold: Vec<_> =
                voice.files.iter().filter(|(_, clip)| clip.get().is_none()).map(|(name, _)| name).collect();
            assert!(cold.iter().all(|name| name.split('-').count() >= 2 && !name.contains('.')), "{cold:?}");
            assert!(["welcome", "ask-room", "your-conference.1"].iter().all(|name| voice.files[*name].get().is_some()));
        }
        assert!(library.music.get().is_some());
    }

    #[test]
    fn music_can_be_replaced_and_switched_off() {
        let file = MusicOnHold::File("../templates/prompts/en/ended.wav".into());
        assert!(library().with_music(&file).unwrap().music().duration() < Duration::from_secs(5));
        let off = library().with_music(&MusicOnHold::Off).unwrap().music();
        assert!(off.samples().iter().all(|sample| *sample == 0));
        assert!(library().with_music(&MusicOnHold::File("/nowhere.wav".into())).is_err());
    }
}
