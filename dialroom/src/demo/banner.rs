//! What the demo prints once it is ready: what to open and what to dial, as whole commands.

use std::fmt::Write as _;
use std::io::Write as _;

use crate::children;
use crate::demo::endpoints::Addresses;
use crate::demo::folder::Folder;
use crate::demo::people;

/// Where `dialroom phone` calls when nothing is said.
const USUAL_SIP: &str = "127.0.0.1:5060";

/// Prints the banner and `ready` on a line of its own.
///
/// # Errors
/// When standard output is closed.
pub(crate) fn print(folder: &Folder, addresses: &Addresses, moved: &[(&'static str, u16)]) -> anyhow::Result<()> {
    let text = text(&executable(), &folder.path().display().to_string(), addresses, moved);
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}

/// How this program is called from a shell.
pub(crate) fn executable() -> String {
    let path = children::executable().map_or_else(|_| "dialroom".to_owned(), |path| path.display().to_string());
    quoted(&path)
}

/// The command that calls the conference server as `number`.
pub(crate) fn call(executable: &str, sip: &str, number: &str, keys: Option<&str>) -> String {
    let keys = keys.map(|keys| format!(" --keys '{keys}'")).unwrap_or_default();
    let via = if sip == USUAL_SIP { String::new() } else { format!(" --via {sip}") };
    format!("{executable} phone{via} --from {number}{keys} {}", people::NUMBER)
}

/// A word of a shell command; quoted only where it has to be.
fn quoted(word: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "/._-+:=@".contains(letter);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

fn text(executable: &str, data: &str, addresses: &Addresses, moved: &[(&'static str, u16)]) -> String {
    let (sip, staff, guest) = (addresses.sip.to_string(), people::facts(), people::guest());
    let known = call(executable, &sip, staff.get(1).map_or("", |bernd| &bernd.number), None);
    let stranger = call(executable, &sip, &guest.number, Some("<room>#<pin>#"));
    let mut text = String::new();
    // Writing into a string cannot fail.
    let mut line = |words: std::fmt::Arguments<'_>| _ = writeln!(text, "{words}");
    line(format_args!("\nDialroom demo: a simulated company, on this machine alone\n"));
    line(format_args!("  1. Open  http://{}/  and book the meeting that the form proposes.", addresses.http));
    line(format_args!("  2. Dial as Bernd, whose number is known, and you are in:\n\n       {known}\n"));
    line(format_args!("  3. Dial as a guest, with room and PIN from Eva's mail:\n\n       {stranger}\n"));
    line(format_args!("  Move the demo's time:  {executable} demo clock +5m --data {}", quoted(data)));
    line(format_args!(
        "  Telephone side         {sip} (UDP and TCP; any SIP telephone on this machine can call {} there)",
        people::NUMBER
    ));
    line(format_args!("  Simulated Microsoft 365  http://{}   mails arrive at {}", addresses.graph, addresses.smtp));
    line(format_args!("  Files                  {data}"));
    for (name, port) in moved {
        line(format_args!("  Note: port {port} was busy, so {name} listens on another one; --{name} names your own."));
    }
    line(format_args!("\nCtrl-C ends it; the next start begins afresh.\n\nready"));
    text
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    fn banner(sip: u16, moved: &[(&'static str, u16)]) -> String {
        let at = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let addresses = Addresses { http: at(8081), sip: at(sip), control: at(8070), graph: at(8090), smtp: at(2525) };
        text("/opt/dialroom", "/home/me/demo", &addresses, moved)
    }

    #[test]
    fn it_says_what_to_open_and_dial_as_whole_commands() {
        let text = banner(5061, &[]);
        assert!(text.contains("http://127.0.0.1:8081/"));
        assert!(text.contains("/opt/dialroom phone --via 127.0.0.1:5061 --from +493023125002 88\n"));
        assert!(banner(5060, &[]).contains("/opt/dialroom phone --from +493023125002 88\n"));
        assert!(text.contains("--from +447700900123 --keys '<room>#<pin>#' 88\n"));
        assert_eq!(text.lines().last(), Some("ready"));
        assert_eq!(text.lines().filter(|line| line.contains("ready")).count(), 1);
    }

    #[test]
    fn a_busy_port_is_told() {
        assert!(banner(5061, &[("http", 8080)]).contains("port 8080 was busy"));
        assert!(!banner(5061, &[]).contains("busy"));
    }

    #[test]
    fn a_path_with_blanks_is_one_word_to_the_shell() {
        assert_eq!(quoted("/my folder/it's"), r"'/my folder/it'\''s'");
        assert_eq!(quoted("/usr/bin/dialroom"), "/usr/bin/dialroom");
    }
}
