//! The words of all letters: shipped inside the program, each file replaceable by one of the same name in
//! `invitation.templates`, all of them checked when they are loaded.
//!
//! `tera` renders. Its functions are off (`get_env` reads secrets, `range` loops without bound), values are escaped in
//! every `.html`, and nothing that a calendar says is ever parsed as a template.

mod names;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::io::{self, Write};
use std::path::Path;

use dialroom_booking::Language;
use rust_embed::RustEmbed;
use serde::Serialize;
use tera::{Context, Tera, Value};

use super::view::{ChangeRow, DateRow, ModeratorSecrets, Secrets, View};

/// Longest template file; the shipped ones stay below 4 kB.
const MAX_TEMPLATE_LEN: u64 = 256 * 1024;
/// Longest text that one template may become.
const MAX_RENDERED_LEN: usize = 1024 * 1024;
/// The layout that the HTML parts extend; the only file outside a language's folder.
const LAYOUT: &str = "layout.html";

#[derive(RustEmbed)]
#[folder = "../templates/invitation"]
struct Shipped;

/// Which letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Invitation,
    DialInData,
    ModeratorData,
    Changed,
    LineClosed,
    Cancelled,
    Refused,
}

impl Kind {
    const ALL: [Self; 7] = [
        Self::Invitation,
        Self::DialInData,
        Self::ModeratorData,
        Self::Changed,
        Self::LineClosed,
        Self::Cancelled,
        Self::Refused,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Invitation => "invitation",
            Self::DialInData => "dial-in-data",
            Self::ModeratorData => "moderator-data",
            Self::Changed => "changed",
            Self::LineClosed => "line-closed",
            Self::Cancelled => "cancelled",
            Self::Refused => "refused",
        }
    }
}

/// The three texts of a mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Texts {
    pub(super) subject: String,
    pub(super) plain: String,
    pub(super) html: String,
}

/// The texts of a calendar object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct IcsTexts {
    pub(super) summary: String,
    pub(super) location: String,
    pub(super) description: String,
    pub(super) html: String,
    pub(super) link_label: String,
}

/// Templates of all letters in all languages, checked.
#[derive(Clone)]
pub struct Templates(Tera);

impl Templates {
    /// The shipped templates, with those of `folder` in the place of the ones they are named after.
    ///
    /// # Errors
    /// Every mistake in every file, with its line: what cannot be read or parsed, what names something that does not
    /// exist there, and files whose name none of ours has.
    pub fn load(folder: Option<&Path>) -> Result<Self, TemplateProblems> {
        let mut sources: BTreeMap<String, String> = Shipped::iter()
            .filter_map(|name| {
                let file = Shipped::get(&name)?;
                Some((name.into_owned(), String::from_utf8_lossy(&file.data).into_owned()))
            })
            .collect();
        let mut problems = Vec::new();
        if let Some(folder) = folder {
            replace(&mut sources, folder, &mut problems);
        }
        let templates = Self::checked(&sources, &mut problems);
        match templates {
            Some(templates) if problems.is_empty() => Ok(templates),
            _ => Err(TemplateProblems(problems)),
        }
    }

    fn checked(sources: &BTreeMap<String, String>, problems: &mut Vec<TemplateProblem>) -> Option<Self> {
        for (file, source) in sources {
            let allowed = allowed_names(file);
            problems.extend(names::problems(file, source, &allowed));
        }
        let mut tera = without_functions();
        // The layout first: the others extend it.
        let ordered = sources.iter().filter(|(file, _)| *file == LAYOUT);
        for (file, source) in ordered.chain(sources.iter().filter(|(file, _)| *file != LAYOUT)) {
            if let Err(error) = tera.add_raw_template(file, source) {
                problems.push(TemplateProblem::of(file, &error));
            }
        }
        if !problems.is_empty() {
            return None;
        }
        let templates = Self(tera);
        templates.try_all(problems);
        Some(templates)
    }

    /// Renders every template for every sort of recipient: what the look at names cannot see shows here.
    fn try_all(&self, problems: &mut Vec<TemplateProblem>) {
        for language in Language::ALL {
            for view in samples() {
                let (secrets, moderator) = (Secrets::default(), ModeratorSecrets::default());
                for kind in Kind::ALL {
                    let moderator = view.moderator.then_some(&moderator);
                    let tried = self.letter(language, kind, &view, Some(&secrets), moderator);
                    problems.extend(tried.err());
                }
                problems.extend(self.ics(language, &view, &secrets).err());
            }
        }
        problems.dedup();
    }

    /// Subject, text and HTML of one letter.
    pub(super) fn letter(
        &self,
        language: Language,
        kind: Kind,
        view: &View,
        secrets: Option<&Secrets>,
        moderator: Option<&ModeratorSecrets>,
    ) -> Result<Texts, TemplateProblem> {
        let file = |extension: &str| format!("{language}/{}.{extension}", kind.name());
        let open = context(view);
        let mut whole = open.clone();
        secrets.into_iter().for_each(|secrets| whole.extend(context(secrets)));
        moderator.into_iter().for_each(|moderator| whole.extend(context(moderator)));
        Ok(Texts {
            subject: self.line(&file("subject.txt"), &open)?,
            plain: self.text(&file("txt"), &whole)?,
            html: self.render(&file("html"), &whole)?,
        })
    }

    /// The texts of a calendar object; the moderator PIN is not among what they may name.
    pub(super) fn ics(&self, language: Language, view: &View, secrets: &Secrets) -> Result<IcsTexts, TemplateProblem> {
        let open = context(view);
        let mut whole = open.clone();
        whole.extend(context(secrets));
        let file = |name: &str| format!("{language}/ics-{name}");
        Ok(IcsTexts {
            summary: self.line(&file("summary.txt"), &open)?,
            location: self.line(&file("location.txt"), &open)?,
            link_label: self.line(&file("link.txt"), &open)?,
            description: self.text(&file("description.txt"), &whole)?,
            html: self.line(&file("description.html"), &whole)?,
        })
    }

    /// Rendered to one line.
    fn line(&self, file: &str, context: &Context) -> Result<String, TemplateProblem> {
        Ok(self.render(file, context)?.split_whitespace().collect::<Vec<_>>().join(" "))
    }

    /// Rendered to paragraphs: blank lines left by tags become one.
    fn text(&self, file: &str, context: &Context) -> Result<String, TemplateProblem> {
        let rendered = self.render(file, context)?;
        let mut text = String::with_capacity(rendered.len());
        let mut blank = 0;
        for line in rendered.trim().lines().map(str::trim_end) {
            blank = if line.is_empty() { blank + 1 } else { 0 };
            if blank < 2 {
                text.push_str(line);
                text.push('\n');
            }
        }
        Ok(text)
    }

    fn render(&self, file: &str, context: &Context) -> Result<String, TemplateProblem> {
        let mut out = Bounded(Vec::new());
        self.0.render_to(file, context, &mut out).map_err(|error| TemplateProblem::of(file, &error))?;
        Ok(String::from_utf8_lossy(&out.0).into_owned())
    }
}

impl fmt::Debug for Templates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Templates({})", self.0.templates.len())
    }
}

/// Takes no more than [`MAX_RENDERED_LEN`].
struct Bounded(Vec<u8>);

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > MAX_RENDERED_LEN {
            return Err(io::Error::other(format!("becomes longer than {MAX_RENDERED_LEN} bytes")));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// All mistakes of all templates.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct TemplateProblems(pub Vec<TemplateProblem>);

/// One mistake in one template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateProblem {
    /// The file below `invitation.templates`: `de/invitation.txt`.
    pub file: String,
    /// Line, from 1, where it is known.
    pub line: Option<usize>,
    /// What is wrong, and the remedy.
    pub problem: String,
}

impl fmt::Display for TemplateProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}: {}", self.file, self.problem),
            None => write!(f, "{}: {}", self.file, self.problem),
        }
    }
}

impl std::error::Error for TemplateProblem {}

impl TemplateProblem {
    fn new(file: &str, line: Option<usize>, problem: impl Into<String>) -> Self {
        Self { file: file.to_owned(), line, problem: problem.into() }
    }

    /// From `tera`'s chain of errors, whose innermost says what is wrong and, of syntax, where (`--> 3:12`).
    fn of(file: &str, error: &tera::Error) -> Self {
        let mut innermost: &dyn std::error::Error = error;
        let mut words = error.to_string();
        while let Some(source) = innermost.source() {
            words = format!("{words}: {source}");
            innermost = source;
        }
        let line = words.split_once("--> ").and_then(|(_, place)| place.split(':').next()?.trim().parse().ok());
        Self::new(file, line, words.split_whitespace().collect::<Vec<_>>().join(" "))
    }
}

/// Reads the files that replace ours.
fn replace(sources: &mut BTreeMap<String, String>, folder: &Path, problems: &mut Vec<TemplateProblem>) {
    let folders = Language::ALL.map(|language| format!("{language}/"));
    for below in folders.iter().map(String::as_str).chain([""]) {
        let entries = match std::fs::read_dir(folder.join(below)) {
            Ok(entries) => entries,
            Err(error) if below.is_empty() => {
                let remedy = "make the folder, or leave invitation.templates out";
                problems.push(TemplateProblem::new(&folder.display().to_string(), None, format!("{error}; {remedy}")));
                continue;
            }
            Err(_) => continue,
        };
        for entry in entries.filter_map(Result::ok).filter(|entry| entry.path().is_file()) {
            let file = format!("{below}{}", entry.file_name().to_string_lossy());
            match (sources.get_mut(&file), read(&entry.path())) {
                (None, _) => problems.push(TemplateProblem::new(&file, None, "no template has this name")),
                (Some(source), Ok(text)) => *source = text,
                (Some(_), Err(error)) => problems.push(TemplateProblem::new(&file, None, error.to_string())),
            }
        }
    }
}

fn read(path: &Path) -> io::Result<String> {
    if std::fs::metadata(path)?.len() > MAX_TEMPLATE_LEN {
        return Err(io::Error::other(format!("longer than {MAX_TEMPLATE_LEN} bytes")));
    }
    std::fs::read_to_string(path)
}

/// `tera` has no way to take its built-in functions out; each is replaced by one that fails.
fn without_functions() -> Tera {
    let mut tera = Tera::default();
    for name in ["get_env", "get_random", "now", "range", "throw"] {
        let off = move |_: &HashMap<String, Value>| -> tera::Result<Value> {
            Err(tera::Error::msg(format!("{name}() is off in templates of mails")))
        };
        tera.register_function(name, off);
    }
    tera
}

#[expect(clippy::expect_used, reason = "the views are structs of texts, numbers and lists")]
fn context(values: &impl Serialize) -> Context {
    Context::from_serialize(values).expect("a struct is a context")
}

/// What a file may name, by its circle.
fn allowed_names(file: &str) -> BTreeSet<String> {
    let keys = |context: Context| match context.into_json() {
        Value::Object(values) => values.into_iter().map(|(key, _)| key).collect::<Vec<_>>(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Vec::new(),
    };
    let mut allowed: BTreeSet<String> = keys(context(&View::default())).into_iter().collect();
    let name = file.rsplit('/').next().unwrap_or(file);
    let open =
        name.ends_with(".subject.txt") || matches!(name, "ics-summary.txt" | "ics-location.txt" | "ics-link.txt");
    if !open {
        allowed.extend(keys(context(&Secrets::default())));
    }
    if !open && !name.starts_with("ics-") {
        allowed.extend(keys(context(&ModeratorSecrets::default())));
    }
    allowed
}

/// One view of each sort: everything there, and nothing.
fn samples() -> Vec<View> {
    let full = View {
        title: "t".to_owned(),
        inside_number: "88".to_owned(),
        series: true,
        dates: vec![DateRow::default()],
        more_dates: 1,
        known_numbers: vec!["1".to_owned(), "2".to_owned()],
        text_lines: vec!["l".to_owned()],
        changes: vec![ChangeRow::default()],
        more_changes: true,
        capped_minutes: 1,
        refusal: "all-rooms-taken",
        ..View::default()
    };
    let moderator = View { moderator: true, ..full.clone() };
    vec![View::default(), View { moderator: true, ..View::default() }, full, moderator]
}

#[cfg(test)]
mod tests;
