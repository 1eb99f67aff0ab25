//! The demo's mail server: takes every mail (RFC 5321), keeps it as a file, and reads it for the page.
//!
//! Just enough of SMTP for a well-behaved client on loopback, with a bound on all that a bad one could send.

use std::fs;
use std::io::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use graph_simulator::SimulatorClock;
use mail_parser::{MessageParser, MimeHeaders as _};
use serde::Serialize;
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::sync::Semaphore;

/// Largest mail in bytes, as announced by SIZE (RFC 1870).
const MAX_MAIL: usize = 10 * 1024 * 1024;
/// Longest line in bytes; RFC 5321 section 4.5.3.1 asks for 512 and 1000.
const MAX_LINE: usize = 4_096;
/// Recipients of one mail (RFC 5321 section 4.5.3.1.8).
const MAX_RECIPIENTS: usize = 100;
/// Connections at a time; further ones wait.
const MAX_CONNECTIONS: usize = 64;
/// Time for the next line (RFC 5321 section 4.5.3.2.7).
const LINE_TIME: Duration = Duration::from_secs(300);
/// Mails that the page can show; older ones stay as files.
const MAX_SHOWN: usize = 1_000;
/// Characters of a mail's text that the page shows.
const MAX_TEXT: usize = 100_000;

/// A mail as the page shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Mail {
    /// 1 for the first of this run; also in the file's name.
    pub(crate) n: u64,
    /// When it was accepted, in demo time.
    pub(crate) at: String,
    /// Envelope recipients.
    pub(crate) to: Vec<String>,
    pub(crate) from: String,
    pub(crate) subject: String,
    pub(crate) text: String,
    pub(crate) attachments: Vec<Attachment>,
    pub(crate) file: String,
}

/// Something attached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Attachment {
    name: String,
    kind: String,
    bytes: usize,
}

/// All mails of this run.
#[derive(Clone)]
pub(crate) struct Mailbox(Arc<Inner>);

struct Inner {
    folder: PathBuf,
    clock: Arc<dyn SimulatorClock>,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    last: u64,
    mails: Vec<Mail>,
}

impl Mailbox {
    /// An empty one that keeps its files in `folder`.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub(crate) fn open(folder: &Path, clock: Arc<dyn SimulatorClock>) -> anyhow::Result<Self> {
        fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
        Ok(Self(Arc::new(Inner { folder: folder.to_owned(), clock, kept: Mutex::default() })))
    }

    /// The mails with a number above `after`, oldest first.
    pub(crate) fn after(&self, after: u64) -> Vec<Mail> {
        let kept = self.0.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.mails.iter().filter(|mail| mail.n > after).cloned().collect()
    }

    /// A mail as it came.
    pub(crate) fn raw(&self, n: u64) -> Option<Vec<u8>> {
        let file = self.after(n.checked_sub(1)?).into_iter().find(|mail| mail.n == n)?.file;
        fs::read(self.0.folder.join(file)).ok()
    }

    /// Keeps a mail; it is on disk when this returns.
    fn keep(&self, envelope: Envelope, raw: &[u8]) -> std::io::Result<u64> {
        let at = self.0.clock.now().to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
        // One at a time: the numbers tell the order in which mails were accepted.
        let mut kept = self.0.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let n = kept.last + 1;
        let file = format!("{n:06}-{}.eml", file_word(envelope.to.first().map_or("nobody", String::as_str)));
        let draft = self.0.folder.join(".incoming");
        let mut out = fs::File::create(&draft)?;
        out.write_all(raw)?;
        out.sync_data()?;
        fs::rename(&draft, self.0.folder.join(&file))?;
        kept.last = n;
        if kept.mails.len() >= MAX_SHOWN {
            kept.mails.remove(0);
        }
        kept.mails.push(read(n, at, envelope, file, raw));
        Ok(n)
    }
}

/// What of an address may stand in a file's name.
fn file_word(address: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "@.-_+".contains(letter);
    let word: String = address.chars().take(80).map(|letter| if plain(letter) { letter } else { '_' }).collect();
    word.trim_start_matches('.').to_owned()
}

fn read(n: u64, at: String, envelope: Envelope, file: String, raw: &[u8]) -> Mail {
    let message = MessageParser::default().parse(raw);
    let subject = message.as_ref().and_then(|message| message.subject()).unwrap_or_default().to_owned();
    let text = message.as_ref().and_then(|message| message.body_text(0)).unwrap_or_default();
    let attachment = |part: &mail_parser::MessagePart<'_>| Attachment {
        name: part.attachment_name().unwrap_or("without a name").to_owned(),
        kind: part.content_type().map_or_else(String::new, |kind| {
            kind.subtype().map_or_else(|| kind.ctype().to_owned(), |subtype| format!("{}/{subtype}", kind.ctype()))
        }),
        bytes: part.contents().len(),
    };
    let attachments =
        message.as_ref().map(|message| message.attachments().map(attachment).collect()).unwrap_or_default();
    let header_from = message.as_ref().and_then(|message| message.from()).and_then(|from| from.first());
    let from = header_from.map_or_else(
        || envelope.from.clone(),
        |from| match (from.name(), from.address()) {
            (Some(name), Some(address)) => format!("{name} <{address}>"),
            (_, address) => address.unwrap_or_default().to_owned(),
        },
    );
    let text = text.chars().take(MAX_TEXT).collect();
    Mail { n, at, to: envelope.to, from, subject, text, attachments, file }
}

/// Takes connections for as long as it is polled.
pub(crate) async fn serve(listener: TcpListener, mailbox: Mailbox) {
    let listener = listener.set_nonblocking(true).and_then(|()| tokio::net::TcpListener::from_std(listener));
    let listener = match listener {
        Ok(listener) => listener,
        Err(why) => return tracing::error!(%why, "the mail server cannot listen"),
    };
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    while let Ok(slot) = Arc::clone(&slots).acquire_owned().await {
        match listener.accept().await {
            Ok((stream, _)) => {
                let mailbox = mailbox.clone();
                tokio::spawn(async move {
                    let (reader, writer) = stream.into_split();
                    if let Err(why) = converse(reader, writer, &mailbox).await {
                        tracing::debug!(%why, "a mail connection broke");
                    }
                    drop(slot);
                });
            }
            Err(why) => {
                tracing::warn!(%why, "a mail connection was lost");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

#[derive(Clone, Debug, Default)]
struct Envelope {
    from: String,
    to: Vec<String>,
    open: bool,
}

/// One session. Commands may come in one packet (RFC 2920): each is read and answered in turn.
async fn converse(
    reader: impl AsyncRead + Unpin,
    mut writer: impl AsyncWrite + Unpin,
    mailbox: &Mailbox,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(reader);
    let mut envelope = Envelope::default();
    writer.write_all(b"220 demo.dialroom.example ESMTP\r\n").await?;
    loop {
        let line = match next_line(&mut reader).await? {
            Line::Whole(line) => line,
            Line::TooLong => {
                writer.write_all(b"500 5.5.2 Line too long\r\n").await?;
                continue;
            }
            Line::End => return Ok(()),
        };
        let line = String::from_utf8_lossy(&line).trim_end().to_owned();
        let verb = line.split(' ').next().unwrap_or("").to_ascii_uppercase();
        let answer = match verb.as_str() {
            "EHLO" => {
                envelope = Envelope::default();
                format!(
                    "250-demo.dialroom.example\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-ENHANCEDSTATUSCODES\r\n250 SIZE {MAX_MAIL}\r\n"
                )
            }
            "HELO" => "250 demo.dialroom.example\r\n".to_owned(),
            "MAIL" => mail(&line, &mut envelope).to_owned(),
            "RCPT" => recipient(&line, &mut envelope).to_owned(),
            "DATA" if envelope.to.is_empty() => "503 5.5.1 RCPT first\r\n".to_owned(),
            "DATA" => {
                writer.write_all(b"354 End with <CR><LF>.<CR><LF>\r\n").await?;
                let Some(body) = data(&mut reader).await? else { return Ok(()) };
                accept(mailbox, std::mem::take(&mut envelope), body).await
            }
            "RSET" => {
                envelope = Envelope::default();
                "250 2.0.0 Forgotten\r\n".to_owned()
            }
            "NOOP" => "250 2.0.0 OK\r\n".to_owned(),
            "QUIT" => return writer.write_all(b"221 2.0.0 Goodbye\r\n").await,
            _ => "500 5.5.1 Unknown command\r\n".to_owned(),
        };
        writer.write_all(answer.as_bytes()).await?;
    }
}

async fn accept(mailbox: &Mailbox, envelope: Envelope, body: Body) -> String {
    let Body::Mail(raw) = body else { return "552 5.3.4 The mail is too large\r\n".to_owned() };
    let mailbox = mailbox.clone();
    match tokio::task::spawn_blocking(move || mailbox.keep(envelope, &raw)).await {
        Ok(Ok(n)) => format!("250 2.0.0 Kept as {n}\r\n"),
        Ok(Err(_)) | Err(_) => "451 4.3.0 The mail cannot be kept\r\n".to_owned(),
    }
}

fn mail(line: &str, envelope: &mut Envelope) -> &'static str {
    if envelope.open {
        return "503 5.5.1 One mail at a time\r\n";
    }
    let Some((from, parameters)) = path(line, "MAIL FROM:") else { return "501 5.5.4 Write MAIL FROM:<address>\r\n" };
    let size =
        parameters.split(' ').find_map(|one| one.to_ascii_uppercase().strip_prefix("SIZE=")?.parse::<usize>().ok());
    if size.is_some_and(|size| size > MAX_MAIL) {
        return "552 5.3.4 The mail is too large\r\n";
    }
    *envelope = Envelope { from: from.to_owned(), to: Vec::new(), open: true };
    "250 2.1.0 OK\r\n"
}

fn recipient(line: &str, envelope: &mut Envelope) -> &'static str {
    match path(line, "RCPT TO:") {
        _ if !envelope.open => "503 5.5.1 MAIL first\r\n",
        None | Some(("", _)) => "501 5.5.4 Write RCPT TO:<address>\r\n",
        Some(_) if envelope.to.len() >= MAX_RECIPIENTS => "452 4.5.3 Too many recipients\r\n",
        Some((address, _)) => {
            envelope.to.push(address.to_owned());
            "250 2.1.5 OK\r\n"
        }
    }
}

/// The address between angle brackets, and what follows.
fn path<'a>(line: &'a str, command: &str) -> Option<(&'a str, &'a str)> {
    let rest =
        line.get(..command.len()).filter(|head| head.eq_ignore_ascii_case(command)).map(|_| &line[command.len()..])?;
    rest.trim_start().strip_prefix('<')?.split_once('>').map(|(address, rest)| (address, rest.trim()))
}

enum Line {
    /// With its end.
    Whole(Vec<u8>),
    /// It was read to its end and thrown away.
    TooLong,
    End,
}

async fn next_line(reader: &mut (impl AsyncBufRead + Unpin)) -> std::io::Result<Line> {
    let (mut line, mut too_long) = (Vec::new(), false);
    loop {
        let chunk = tokio::time::timeout(LINE_TIME, reader.fill_buf()).await;
        let chunk = chunk.map_err(|_| std::io::Error::from(std::io::ErrorKind::TimedOut))??;
        if chunk.is_empty() {
            return Ok(Line::End);
        }
        let end = chunk.iter().position(|byte| *byte == b'\n').map(|at| at + 1);
        let used = end.unwrap_or(chunk.len());
        too_long |= line.len() + used > MAX_LINE;
        if !too_long {
            line.extend_from_slice(&chunk[..used]);
        }
        reader.consume(used);
        match end {
            Some(_) if too_long => return Ok(Line::TooLong),
            Some(_) => return Ok(Line::Whole(line)),
            None => {}
        }
    }
}

enum Body {
    Mail(Vec<u8>),
    TooLarge,
}

/// Reads up to the line with a dot alone, and takes away the dots that the client had put before others (RFC 5321
/// section 4.5.2). A mail too large, or with a line too long, is read to its end all the same: what follows is the next
/// command. `None`: the connection ended before the mail did.
async fn data(reader: &mut (impl AsyncBufRead + Unpin)) -> std::io::Result<Option<Body>> {
    let (mut mail, mut fits) = (Vec::new(), true);
    loop {
        let line = match next_line(reader).await? {
            Line::Whole(line) => line,
            Line::TooLong => {
                fits = false;
                continue;
            }
            Line::End => return Ok(None),
        };
        if line == b".\r\n" {
            return Ok(Some(if fits { Body::Mail(mail) } else { Body::TooLarge }));
        }
        let line = line.strip_prefix(b".").unwrap_or(&line);
        fits &= mail.len() + line.len() <= MAX_MAIL;
        if fits {
            mail.extend_from_slice(line);
        } else {
            mail = Vec::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta, Utc};

    use super::*;

    struct Noon;

    impl SimulatorClock for Noon {
        fn now(&self) -> DateTime<Utc> {
            DateTime::UNIX_EPOCH
        }

        fn advance(&self, _: TimeDelta) -> Result<(), String> {
            Ok(())
        }
    }

    /// Sends everything at once and gives the codes of the answers.
    async fn session(folder: &Path, sent: &[u8]) -> (Vec<String>, Mailbox) {
        let mailbox = Mailbox::open(folder, Arc::new(Noon)).unwrap();
        let mut answers = Vec::new();
        converse(sent, &mut answers, &mailbox).await.unwrap();
        let answers = String::from_utf8(answers).unwrap();
        let last = |line: &&str| line.as_bytes().get(3) == Some(&b' ');
        (answers.lines().filter(last).map(|line| line[..3].to_owned()).collect(), mailbox)
    }

    const ENVELOPE: &str = "EHLO me\r\nMAIL FROM:<a@b.example> SIZE=100\r\nRCPT TO:<eva@fabrikam.example>\r\nDATA\r\n";

    #[tokio::test]
    async fn a_pipelined_session_keeps_the_mail_without_the_stuffed_dots() {
        let folder = tempfile::tempdir().unwrap();
        let sent = format!("{ENVELOPE}Subject: Hi\r\n\r\n..\r\n.. two\r\nend\r\n.\r\nQUIT\r\n");
        let (codes, mailbox) = session(folder.path(), sent.as_bytes()).await;
        assert_eq!(codes, ["220", "250", "250", "250", "354", "250", "221"]);
        assert_eq!(mailbox.raw(1).unwrap(), b"Subject: Hi\r\n\r\n.\r\n. two\r\nend\r\n");
        assert_eq!(mailbox.after(0)[0].file, "000001-eva@fabrikam.example.eml");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no draft stays");
    }

    #[tokio::test]
    async fn a_mail_is_read_for_the_page() {
        let folder = tempfile::tempdir().unwrap();
        let mail = "From: =?utf-8?B?QW5uYSDDhA==?= <dialroom@contoso.example>\r\nSubject: =?utf-8?Q?B=C3=BCro?=\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nRoom 4711\r\n--x\r\nContent-Type: application/ics\r\nContent-Disposition: attachment; filename=invite.ics\r\n\r\nBEGIN:VCALENDAR\r\n--x--\r\n";
        let (_, mailbox) = session(folder.path(), format!("{ENVELOPE}{mail}.\r\nQUIT\r\n").as_bytes()).await;
        let read = &mailbox.after(0)[0];
        assert_eq!((read.subject.as_str(), read.from.as_str()), ("Büro", "Anna Ä <dialroom@contoso.example>"));
        assert!(read.text.contains("Room 4711"));
        let attached = &read.attachments[0];
        assert_eq!((attached.name.as_str(), attached.kind.as_str()), ("invite.ics", "application/ics"));
    }

    #[tokio::test]
    async fn a_mail_too_large_is_refused_and_the_session_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let line = format!("{}\r\n", "x".repeat(998));
        let large = line.repeat(MAX_MAIL / line.len() + 1);
        let sent = format!("{ENVELOPE}{large}.\r\n{ENVELOPE}small\r\n.\r\nQUIT\r\n");
        let (codes, mailbox) = session(folder.path(), sent.as_bytes()).await;
        assert_eq!(codes[5], "552");
        assert_eq!((codes.last().map(String::as_str), mailbox.after(0).len()), (Some("221"), 1));
        let announced = format!("MAIL FROM:<a@b.example> SIZE={}\r\nQUIT\r\n", MAX_MAIL + 1);
        assert_eq!(session(folder.path(), announced.as_bytes()).await.0[1], "552");
    }

    #[tokio::test]
    async fn endless_lines_cost_no_memory_and_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let sent = format!("{}\r\nNOOP\r\nQUIT\r\n", "x".repeat(1_000_000));
        let (codes, _) = session(folder.path(), sent.as_bytes()).await;
        assert_eq!(codes, ["220", "500", "250", "221"]);
    }

    #[tokio::test]
    async fn commands_out_of_order_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let sent = b"RCPT TO:<a@b.example>\r\nDATA\r\nMAIL FROM:a@b\r\nMAIL FROM:<>\r\nMAIL FROM:<>\r\nRCPT TO:<>\r\nVRFY x\r\nRSET\r\nQUIT\r\n";
        let (codes, _) = session(folder.path(), sent).await;
        assert_eq!(codes, ["220", "503", "503", "501", "250", "503", "501", "500", "250", "221"]);
    }

    #[tokio::test]
    async fn a_mail_cut_off_is_not_kept() {
        let folder = tempfile::tempdir().unwrap();
        let (_, mailbox) = session(folder.path(), format!("{ENVELOPE}half of i").as_bytes()).await;
        assert!(mailbox.after(0).is_empty());
    }

    #[test]
    fn no_address_leaves_the_folder() {
        assert_eq!(file_word("../../etc/passwd@x"), "_.._etc_passwd@x");
        assert_eq!(file_word("eva@fabrikam.example"), "eva@fabrikam.example");
    }
}
