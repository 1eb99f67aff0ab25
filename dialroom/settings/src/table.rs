//! One table of the file, read key by key; what nobody asked for is unknown.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use toml_edit::{Item, TableLike};

use crate::Problem;

/// What is read from, and what was found wrong on the way.
pub(crate) struct Reader<'a> {
    /// The whole file, for turning offsets into lines.
    pub(crate) text: &'a str,
    /// Where relative paths start.
    pub(crate) folder: &'a Path,
    pub(crate) problems: Vec<Problem>,
}

impl Reader<'_> {
    pub(crate) fn problem(&mut self, line: usize, key: impl Into<String>, message: impl Into<String>) {
        self.problems.push(Problem { line, key: key.into(), message: message.into() });
    }

    /// Line of a byte offset, counted from 1; 0 for no offset.
    pub(crate) fn line(&self, span: Option<std::ops::Range<usize>>) -> usize {
        span.map_or(0, |span| {
            let before = self.text.as_bytes().get(..span.start).unwrap_or_default();
            before.iter().filter(|byte| **byte == b'\n').count() + 1
        })
    }
}

/// A table with its name; missing tables read as empty ones, so that defaults have one place.
pub(crate) struct Table<'t> {
    name: String,
    line: usize,
    items: Option<&'t dyn TableLike>,
    asked: Vec<&'static str>,
}

impl<'t> Table<'t> {
    pub(crate) fn new(reader: &Reader<'_>, name: impl Into<String>, item: Option<&'t Item>) -> Self {
        let items = item.and_then(Item::as_table_like);
        Self { name: name.into(), line: reader.line(item.and_then(Item::span)), items, asked: Vec::new() }
    }

    pub(crate) fn of(name: impl Into<String>, line: usize, items: &'t dyn TableLike) -> Self {
        Self { name: name.into(), line, items: Some(items), asked: Vec::new() }
    }

    pub(crate) fn line(&self) -> usize {
        self.line
    }

    /// The item of a key; asking makes the key a known one.
    pub(crate) fn item(&mut self, key: &'static str) -> Option<&'t Item> {
        self.asked.push(key);
        self.items?.get(key)
    }

    /// The full name of a key, as problems name it.
    pub(crate) fn key(&self, key: &str) -> String {
        if self.name.is_empty() { key.to_owned() } else { format!("{}.{key}", self.name) }
    }

    pub(crate) fn wrong(&self, reader: &mut Reader<'_>, key: &str, message: impl Into<String>) {
        let span = self.items.and_then(|items| items.get(key)).and_then(Item::span);
        let line = if span.is_some() { reader.line(span) } else { self.line };
        reader.problem(line, self.key(key), message);
    }

    pub(crate) fn boolean(&mut self, reader: &mut Reader<'_>, key: &'static str, default: bool) -> bool {
        let Some(item) = self.item(key) else { return default };
        item.as_bool().unwrap_or_else(|| {
            self.wrong(reader, key, "write true or false");
            default
        })
    }

    pub(crate) fn whole<T>(
        &mut self,
        reader: &mut Reader<'_>,
        key: &'static str,
        range: RangeInclusive<T>,
        default: T,
    ) -> T
    where
        T: TryFrom<i64> + PartialOrd + Display + Copy,
    {
        let Some(item) = self.item(key) else { return default };
        let Some(written) = item.as_integer() else {
            self.wrong(reader, key, format!("write a whole number from {} to {}", range.start(), range.end()));
            return default;
        };
        match T::try_from(written) {
            Ok(value) if range.contains(&value) => value,
            _ => {
                let message = format!("{written} is out of range; allowed are {} to {}", range.start(), range.end());
                self.wrong(reader, key, message);
                default
            }
        }
    }

    /// A whole number of the range, or 0 for none at all.
    pub(crate) fn whole_or_zero<T>(
        &mut self,
        reader: &mut Reader<'_>,
        key: &'static str,
        range: RangeInclusive<T>,
        default: T,
    ) -> T
    where
        T: TryFrom<i64> + From<u8> + PartialOrd + Display + Copy,
    {
        if self.item(key).and_then(Item::as_integer) == Some(0) {
            return T::from(0);
        }
        self.whole(reader, key, range, default)
    }

    /// A text that may be empty.
    pub(crate) fn text_or_nothing(&mut self, reader: &mut Reader<'_>, key: &'static str) -> Option<String> {
        if self.item(key).and_then(Item::as_str).is_some_and(str::is_empty) {
            return Some(String::new());
        }
        self.text(reader, key)
    }

    /// A secret that was written in: an error that names the key for its file.
    pub(crate) fn secret(&mut self, reader: &mut Reader<'_>, key: &'static str, file_key: &'static str) {
        if self.items.is_some_and(|items| items.contains_key(key)) {
            self.asked.push(key);
            self.wrong(
                reader,
                key,
                format!("secrets live in files of their own; write {file_key} = \"FILE\", mode 0600"),
            );
        }
    }

    pub(crate) fn text(&mut self, reader: &mut Reader<'_>, key: &'static str) -> Option<String> {
        let item = self.item(key)?;
        match item.as_str() {
            Some(text) if !text.trim().is_empty() => Some(text.trim().to_owned()),
            Some(_) => {
                self.wrong(reader, key, "is empty; leave the key out instead");
                None
            }
            None => {
                self.wrong(reader, key, "write a text in quotes");
                None
            }
        }
    }

    /// A text that must be there.
    pub(crate) fn required(&mut self, reader: &mut Reader<'_>, key: &'static str) -> Option<String> {
        if self.items.is_some_and(|items| !items.contains_key(key)) {
            self.asked.push(key);
            self.wrong(reader, key, format!("is missing; [{}] needs it", self.name));
            return None;
        }
        self.text(reader, key)
    }

    pub(crate) fn parsed<T>(&mut self, reader: &mut Reader<'_>, key: &'static str) -> Option<T>
    where
        T: FromStr,
        T::Err: Display,
    {
        let text = self.text(reader, key)?;
        self.understood(reader, key, &text, text.parse())
    }

    pub(crate) fn understood<T, E: Display>(
        &self,
        reader: &mut Reader<'_>,
        key: &str,
        text: &str,
        result: Result<T, E>,
    ) -> Option<T> {
        result.map_err(|why| self.wrong(reader, key, format!("{text:?}: {why}"))).ok()
    }

    pub(crate) fn path(&mut self, reader: &mut Reader<'_>, key: &'static str) -> Option<PathBuf> {
        self.text(reader, key).map(|text| reader.folder.join(text))
    }

    /// One of a closed list of words.
    pub(crate) fn choice<T: Copy>(
        &mut self,
        reader: &mut Reader<'_>,
        key: &'static str,
        choices: &[(&str, T)],
        default: T,
    ) -> T {
        let Some(text) = self.text(reader, key) else { return default };
        let found = choices.iter().find(|(name, _)| *name == text).map(|(_, value)| *value);
        found.unwrap_or_else(|| {
            let names: Vec<_> = choices.iter().map(|(name, _)| format!("{name:?}")).collect();
            self.wrong(reader, key, format!("{text:?} is none of {}", names.join(", ")));
            default
        })
    }

    /// A list of texts; one text alone is a list of one.
    pub(crate) fn texts(&mut self, reader: &mut Reader<'_>, key: &'static str) -> Vec<String> {
        let Some(item) = self.item(key) else { return Vec::new() };
        if let Some(text) = item.as_str() {
            return vec![text.to_owned()];
        }
        let texts =
            item.as_array().and_then(|array| array.iter().map(|value| value.as_str().map(str::to_owned)).collect());
        texts.unwrap_or_else(|| {
            self.wrong(reader, key, "write a list of texts: [\"a\", \"b\"]");
            Vec::new()
        })
    }

    /// A list whose every element must be understood.
    pub(crate) fn list<T>(&mut self, reader: &mut Reader<'_>, key: &'static str) -> Vec<T>
    where
        T: FromStr,
        T::Err: Display,
    {
        let texts = self.texts(reader, key);
        texts.iter().filter_map(|text| self.understood(reader, key, text, text.parse())).collect()
    }

    /// Keys that a later version will know: an error that says so.
    pub(crate) fn later(&mut self, reader: &mut Reader<'_>, keys: &[&'static str]) {
        for key in keys {
            if self.item(key).is_some() {
                self.wrong(reader, key, "this version does not have it yet; remove the key");
            }
        }
    }

    /// Reports every key that nobody asked for.
    pub(crate) fn finish(self, reader: &mut Reader<'_>) {
        let Some(items) = self.items else { return };
        for (key, item) in items.iter().filter(|(key, _)| !self.asked.contains(key)) {
            let near = nearest(key, &self.asked).map(|near| format!("; did you mean {near:?}?")).unwrap_or_default();
            let line = reader.line(items.key(key).and_then(toml_edit::Key::span).or_else(|| item.span()));
            reader.problem(line, self.key(key), format!("is no setting of Dialroom{near}"));
        }
    }
}

/// The table of that name, empty when there is none.
fn section<'t>(reader: &mut Reader<'_>, root: &mut Table<'t>, name: &'static str) -> Table<'t> {
    let item = root.item(name);
    let name_in_full = root.key(name);
    if item.is_some_and(|item| item.as_table_like().is_none()) {
        root.wrong(reader, name, format!("is a table; write [{name_in_full}] on a line of its own"));
    }
    Table::new(reader, name_in_full, item)
}

/// A table that may be left out: all its defaults then.
pub(crate) fn one<'t, T>(
    reader: &mut Reader<'_>,
    root: &mut Table<'t>,
    name: &'static str,
    read: impl FnOnce(&mut Reader<'_>, Table<'t>) -> T,
) -> T {
    let table = section(reader, root, name);
    read(reader, table)
}

/// A table that switches something on by being there.
pub(crate) fn optional<'t, T>(
    reader: &mut Reader<'_>,
    root: &mut Table<'t>,
    name: &'static str,
    read: impl FnOnce(&mut Reader<'_>, Table<'t>) -> Option<T>,
) -> Option<T> {
    let table = section(reader, root, name);
    if root.item(name).is_some() { read(reader, table) } else { None }
}

/// Every `[[name]]`.
pub(crate) fn each<'t, T>(
    reader: &mut Reader<'_>,
    root: &mut Table<'t>,
    name: &'static str,
    read: impl Fn(&mut Reader<'_>, Table<'t>) -> Option<T>,
) -> Vec<T> {
    let Some(item) = root.item(name) else { return Vec::new() };
    let name_in_full = root.key(name);
    let Some(tables) = item.as_array_of_tables() else {
        root.wrong(reader, name, format!("is a list of tables; write [[{name_in_full}]] on a line of its own"));
        return Vec::new();
    };
    let tables =
        tables.iter().map(|table| Table::of(&*name_in_full, reader.line(table.span()), table)).collect::<Vec<_>>();
    tables.into_iter().filter_map(|table| read(reader, table)).collect()
}

/// The known key that differs least, if it differs by at most two letters.
fn nearest(key: &str, known: &[&'static str]) -> Option<&'static str> {
    known
        .iter()
        .map(|known| (distance(key, known), *known))
        .filter(|(distance, _)| *distance <= 2)
        .min()
        .map(|(_, near)| near)
}

/// Letters to insert, remove or replace (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut corner = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.bytes().enumerate() {
            let replaced = corner + usize::from(x != y);
            corner = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(corner + 1);
        }
    }
    row[b.len()]
}
