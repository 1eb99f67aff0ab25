//! `dialroom check`: reads the settings and everything they name, says what is wrong and who gets in without a PIN.
//! Changes nothing, starts nothing. `dialroom check trunk` goes further: it asks the network.

mod report;
mod trunk;

use std::path::PathBuf;
use std::process::ExitCode;

use connector::invitation::Templates;
use dialroom_host::read_secret;
use dialroom_settings::{AutomaticLogin, Believes, MailTls, Settings, Trunk};
use mixer_service::prompts::PromptLibrary;

/// What the command line says.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct CheckArgs {
    #[command(subcommand)]
    what: Option<Part>,
    /// The settings file
    #[arg(long, value_name = "FILE", default_value = "dialroom.toml", global = true)]
    settings: PathBuf,
}

/// What is looked at more closely.
#[derive(Clone, Debug, clap::Subcommand)]
enum Part {
    /// Go the whole way to a telephone system: DNS, transport, OPTIONS, registration, a call with sound both ways
    Trunk(trunk::TrunkArgs),
}

/// Checks what was asked for; the exit status is 1 when something is wrong.
///
/// # Errors
/// When a trunk was asked for and the settings cannot be used, or have none of that name.
pub(crate) async fn run(arguments: &CheckArgs) -> anyhow::Result<ExitCode> {
    match &arguments.what {
        None => Ok(look(arguments)),
        Some(Part::Trunk(trunk)) => trunk::run(&arguments.settings, trunk).await,
    }
}

/// One line of the report.
#[derive(Debug, PartialEq, Eq)]
enum Finding {
    /// All is well.
    Good(String),
    /// It will run, but perhaps not as meant.
    Odd(String),
    /// It will not work.
    Wrong(String),
}

/// Prints the report; the exit status is 1 when something is wrong.
#[expect(clippy::print_stdout, reason = "the report is the command's output")]
fn look(arguments: &CheckArgs) -> ExitCode {
    let findings = match Settings::load(&arguments.settings) {
        Ok(settings) => examine(&settings),
        Err(problems) => problems.to_string().lines().map(|line| Finding::Wrong(line.to_owned())).collect(),
    };
    for finding in &findings {
        match finding {
            Finding::Good(text) => println!("ok       {text}"),
            Finding::Odd(text) => println!("note     {text}"),
            Finding::Wrong(text) => println!("WRONG    {text}"),
        }
    }
    let wrong = findings.iter().filter(|finding| matches!(finding, Finding::Wrong(_))).count();
    if wrong == 0 {
        println!("\n{} can be served.", arguments.settings.display());
        ExitCode::SUCCESS
    } else {
        println!("\n{wrong} to be mended in {} before it can be served.", arguments.settings.display());
        ExitCode::FAILURE
    }
}

fn examine(settings: &Settings) -> Vec<Finding> {
    let mut findings = vec![numbers(settings)];
    findings.extend(calendars(settings));
    findings.extend(mail(settings));
    findings.push(files("invitation templates", Templates::load(settings.invitation.templates.as_deref())));
    findings.push(files("prompts", PromptLibrary::load(&settings.prompts)));
    findings.extend(signalling(settings));
    findings.extend(callers(settings));
    findings
}

fn numbers(settings: &Settings) -> Finding {
    let rooms = settings.rooms.booked.count();
    let outside = settings.dial_in.external_number.as_deref().unwrap_or("no number from outside");
    Finding::Good(format!(
        "people dial {} ({outside}); {rooms} rooms at a time, PINs of {} digits; lines open {} minutes before and close {} minutes after",
        settings.dial_in.number, settings.pin.digits, settings.dial_in.lead_minutes, settings.dial_in.overrun_minutes
    ))
}

fn calendars(settings: &Settings) -> Vec<Finding> {
    let Some(graph) = &settings.graph else {
        return vec![Finding::Odd(
            "no [graph]: no calendar is watched; conferences come from `dialroom book` alone".to_owned(),
        )];
    };
    let mut findings = vec![secret("graph.client_secret_file", &graph.client_secret_file)];
    let count = graph.mailboxes.len();
    findings.push(match (&settings.http.public_url, graph.notifications) {
        (Some(url), true) => Finding::Good(format!("{count} mailboxes; Microsoft Graph notifies us at {url}")),
        _ => Finding::Good(format!("{count} mailboxes, looked at every {} seconds", graph.poll_seconds)),
    });
    findings
}

fn mail(settings: &Settings) -> Vec<Finding> {
    let Some(mail) = &settings.mail else {
        return vec![Finding::Odd("no [mail]: nobody gets an invitation".to_owned())];
    };
    let mut findings: Vec<_> = mail.password_file.iter().map(|file| secret("mail.password_file", file)).collect();
    let local = mail.host.eq_ignore_ascii_case("localhost")
        || mail.host.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback());
    findings.push(match mail.tls {
        MailTls::None if !local => Finding::Odd(format!(
            "mails with PINs go to {} in clear; set mail.tls = \"starttls\" unless that network is yours alone",
            mail.host
        )),
        MailTls::None | MailTls::StartTls | MailTls::Tls => {
            Finding::Good(format!("mails go to {} port {} from {}", mail.host, mail.port, mail.from))
        }
    });
    findings
}

/// Where calls arrive, and every file that this needs.
fn signalling(settings: &Settings) -> Vec<Finding> {
    let sip = &settings.sip;
    let listed =
        |addresses: &[std::net::SocketAddr]| addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let clear = (!sip.listen.is_empty()).then(|| format!("at {} over UDP and TCP", listed(&sip.listen)));
    let tls = (!sip.tls_listen.is_empty()).then(|| format!("at {} over TLS", listed(&sip.tls_listen)));
    let ways: Vec<_> = clear.into_iter().chain(tls).collect();
    let mut findings = vec![Finding::Good(format!("calls arrive {}", ways.join(" and ")))];
    let certificate = sip.tls.certificate.as_ref();
    let files = [
        ("sip.tls.certificate_file", certificate.map(|files| &files.certificate)),
        ("sip.tls.key_file", certificate.map(|files| &files.key)),
        ("sip.tls.client_ca_file", sip.tls.client_ca_file.as_ref()),
        ("sip.tls.server_ca_file", sip.tls.server_ca_file.as_ref()),
    ];
    findings.extend(files.into_iter().filter_map(|(key, file)| Some(pem(key, file?))));
    let secrets =
        settings.trunks.iter().filter_map(|trunk| Some((trunk, trunk.login.as_ref()?.password_file.as_ref()?)));
    findings.extend(secrets.map(|(trunk, file)| secret(&format!("trunk {:?}: password_file", trunk.name), file)));
    findings
}

/// Whether a file looks like the PEM text it should be; whether it fits is seen when a connection is made.
fn pem(key: &str, file: &std::path::Path) -> Finding {
    match std::fs::read_to_string(file) {
        Ok(text) if text.contains("-----BEGIN ") => Finding::Good(format!("{key}: {} can be read", file.display())),
        Ok(_) => Finding::Wrong(format!("{key}: {} holds no PEM text (-----BEGIN …)", file.display())),
        Err(why) => Finding::Wrong(format!("{key}: {} cannot be read: {why}", file.display())),
    }
}

fn secret(key: &str, file: &std::path::Path) -> Finding {
    match read_secret(file) {
        Ok(_) => Finding::Good(format!("{key}: {} can be read", file.display())),
        Err(why) => Finding::Wrong(format!("{key}: {why}")),
    }
}

fn files<T, E: std::fmt::Display>(what: &str, loaded: Result<T, E>) -> Finding {
    match loaded {
        Ok(_) => Finding::Good(format!("{what} can be used")),
        Err(why) => Finding::Wrong(format!("{what}: {why}")),
    }
}

/// Who gets in without a PIN, one sentence a trunk.
fn callers(settings: &Settings) -> Vec<Finding> {
    let everybody_else = Finding::Good("everybody else keys room and PIN".to_owned());
    if settings.trunks.is_empty() {
        return vec![Finding::Odd(
            "no [[trunk]]: no caller's number is believed; everybody keys room and PIN".to_owned(),
        )];
    }
    settings
        .trunks
        .iter()
        .map(|trunk| believed(settings.conference.automatic_login, trunk))
        .chain([everybody_else])
        .collect()
}

/// The same sentence for one trunk.
fn who_gets_in(settings: &Settings, trunk: &Trunk) -> String {
    match believed(settings.conference.automatic_login, trunk) {
        Finding::Good(told) | Finding::Odd(told) | Finding::Wrong(told) => told,
    }
}

fn believed(login: AutomaticLogin, trunk: &Trunk) -> Finding {
    let from = format!("trunk {:?} ({})", trunk.name, sources(trunk).join(", "));
    let own = if trunk.own_numbers.is_empty() { "none named".to_owned() } else { trunk.own_numbers.join(", ") };
    let whose = match (login, trunk.believes) {
        (AutomaticLogin::Off, _) => return Finding::Good(format!("from {from} nobody gets in without a PIN")),
        (AutomaticLogin::Internal, _) | (_, Believes::Extensions) => format!("from own numbers ({own})"),
        (AutomaticLogin::Everyone, Believes::Attested) => {
            format!("from own numbers ({own}) or with a number attested at level A")
        }
        (AutomaticLogin::Everyone, Believes::All) => "with any number that it asserts".to_owned(),
    };
    if trunk.own_numbers.is_empty() && whose.starts_with("from own numbers (none") && !whose.contains("attested") {
        return Finding::Odd(format!("from {from} nobody gets in without a PIN, since own_numbers is empty"));
    }
    Finding::Good(format!("invited people who call through {from} {whose} get in without a PIN"))
}

/// Where requests of a trunk may come from, each place once.
fn sources(trunk: &Trunk) -> Vec<String> {
    let addresses = trunk.addresses.iter().map(ToString::to_string);
    let names = trunk.tls_names.iter().map(|name| format!("certificate of {name}"));
    let servers = [&trunk.server, &trunk.outbound_proxy].into_iter().flatten().map(|server| server.host().to_owned());
    let mut sources: Vec<_> = addresses.collect();
    for more in names.chain(servers) {
        if !sources.contains(&more) {
            sources.push(more);
        }
    }
    sources
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn a_server_that_is_named_as_a_source_too_is_told_once() {
        let text = "[[trunk]]\nname = \"pbx\"\nserver = \"192.0.2.10\"\naddresses = [\"192.0.2.10\", \"192.0.2.11\"]\n";
        let settings = Settings::read(Path::new("dialroom.toml"), text).unwrap();
        assert_eq!(sources(&settings.trunks[0]), ["192.0.2.10", "192.0.2.11"]);
    }

    fn sentences(text: &str) -> Vec<Finding> {
        callers(&Settings::read(Path::new("dialroom.toml"), text).unwrap())
    }

    fn check(trunk: &str, login: &str, expected: &str) {
        let text = format!(
            "[conference]\nautomatic_login = \"{login}\"\n[[trunk]]\nname = \"pbx\"\naddresses = [\"192.0.2.1\"]\n{trunk}"
        );
        let told = format!("{:?}", sentences(&text)[0]);
        assert!(told.contains(expected), "{told}");
    }

    #[test]
    fn one_sentence_says_who_gets_in() {
        let own = "own_numbers = [\"+493023125\"]\n";
        check("", "everyone", "with any number that it asserts");
        check(own, "internal", "from own numbers (+493023125)");
        check("believes = \"extensions\"\n", "everyone", "nobody gets in without a PIN, since own_numbers is empty");
        check(&format!("{own}believes = \"attested\"\n"), "everyone", "attested at level A");
        check(own, "off", "nobody gets in without a PIN");
    }

    #[test]
    fn without_a_trunk_everybody_keys() {
        assert!(matches!(&sentences("")[..], [Finding::Odd(told)] if told.contains("everybody keys")));
    }

    #[test]
    fn each_file_of_signalling_is_looked_at() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("cert.pem"), "-----BEGIN CERTIFICATE-----\n").unwrap();
        std::fs::write(folder.path().join("key.pem"), "no key\n").unwrap();
        let text = "[sip]\ntls_listen = [\"192.0.2.20:5061\"]\n[sip.tls]\ncertificate_file = \"cert.pem\"\n\
                    key_file = \"key.pem\"\n[[trunk]]\nname = \"pbx\"\naddresses = [\"192.0.2.1\"]\nuser = \"88\"\n\
                    password_file = \"gone.secret\"\n";
        let settings = Settings::read(&folder.path().join("dialroom.toml"), text).unwrap();
        let found = signalling(&settings);
        assert!(matches!(&found[0], Finding::Good(told) if told.ends_with("at 192.0.2.20:5061 over TLS")), "{found:?}");
        assert!(matches!(&found[1], Finding::Good(told) if told.starts_with("sip.tls.certificate_file")), "{found:?}");
        assert!(matches!(&found[2], Finding::Wrong(told) if told.contains("holds no PEM text")), "{found:?}");
        assert!(matches!(&found[3], Finding::Wrong(told) if told.contains("gone.secret")), "{found:?}");
    }

    #[test]
    fn a_missing_secret_is_named() {
        let finding = secret("graph.client_secret_file", Path::new("/nowhere/graph.secret"));
        assert!(matches!(finding, Finding::Wrong(told) if told.contains("/nowhere/graph.secret")));
    }
}
