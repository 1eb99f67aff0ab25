//! From the file as written to the settings as meant, table by table.

use std::path::Path;

use toml_edit::{Document, Item};

use crate::table::{Reader, Table, one, optional};
use crate::tables::*;
use crate::{Problem, Problems, Settings};

/// A settings file is written by hand; a larger one is something else.
const MAX_FILE_LEN: usize = 1024 * 1024;
/// Tables that a later version will know.
const LATER: [&str; 9] = ["site", "proxy", "room", "dial_out", "tariff", "login", "webhook", "alarms", "links"];

impl Settings {
    /// Reads the text of a settings file; `file` is named in problems and is where relative paths start.
    ///
    /// # Errors
    /// Every problem of the file at once, with line and key.
    pub fn read(file: &Path, text: &str) -> Result<Self, Problems> {
        let folder = file.parent().unwrap_or_else(|| Path::new("."));
        let mut reader = Reader { text, folder, problems: Vec::new() };
        let settings = parse(&mut reader).map(|document| read_all(&mut reader, document.as_item()));
        let mut problems = reader.problems;
        problems.sort_by_key(|problem| problem.line);
        match settings {
            Some(settings) if problems.is_empty() => Ok(settings),
            _ => Err(Problems { file: file.to_owned(), problems }),
        }
    }

    /// Loads and reads a settings file.
    ///
    /// # Errors
    /// When it cannot be loaded, or every problem of its text.
    pub fn load(file: &Path) -> Result<Self, Problems> {
        let text = std::fs::read_to_string(file).map_err(|why| {
            let message = format!("cannot be read: {why}; name another one with --settings");
            Problems { file: file.to_owned(), problems: vec![Problem { line: 0, key: "file".to_owned(), message }] }
        })?;
        Self::read(file, &text)
    }
}

fn parse<'a>(reader: &mut Reader<'a>) -> Option<Document<&'a str>> {
    if reader.text.len() > MAX_FILE_LEN {
        reader.problem(0, "file", format!("{} bytes; a settings file has at most {MAX_FILE_LEN}", reader.text.len()));
        return None;
    }
    match Document::parse(reader.text) {
        Ok(document) => Some(document),
        Err(why) => {
            let line = reader.line(why.span());
            reader.problem(line, "syntax", why.message().replace('\n', "; "));
            None
        }
    }
}

fn read_all(reader: &mut Reader<'_>, document: &Item) -> Settings {
    let mut root = Table::new(reader, "", Some(document));
    root.later(reader, &LATER);
    one(reader, &mut root, "advanced", advanced);
    let store = one(reader, &mut root, "store", store);
    let directory = one(reader, &mut root, "directory", directory);
    let graph = optional(reader, &mut root, "graph", graph);
    let sip = one(reader, &mut root, "sip", sip);
    let settings = Settings {
        dial_in: one(reader, &mut root, "dial_in", dial_in),
        rooms: one(reader, &mut root, "rooms", rooms),
        pin: one(reader, &mut root, "pin", pin),
        conference: one(reader, &mut root, "conference", conference),
        account: one(reader, &mut root, "account", account),
        invitation: one(reader, &mut root, "invitation", invitation),
        rules: rules(reader, &mut root, graph.as_ref().and_then(|graph| graph.resource_mailbox.as_ref())),
        graph,
        mail: optional(reader, &mut root, "mail", mail),
        trunks: trunks(reader, &mut root, &sip),
        sip,
        media: one(reader, &mut root, "media", media),
        hand_off: one(reader, &mut root, "handoff", |reader, table| hand_off(reader, table, &store)),
        http: one(reader, &mut root, "http", |reader, table| http(reader, table, &store)),
        prompts: one(reader, &mut root, "prompts", |reader, table| prompts(reader, table, &store)),
        privacy: one(reader, &mut root, "privacy", privacy),
        directory,
        store,
    };
    root.finish(reader);
    settings
}

#[cfg(test)]
mod tests {
    use dialroom_booking::EmailAddress;
    use proptest::prelude::*;

    use super::*;
    use crate::Rule;

    fn problems(text: &str) -> Vec<String> {
        let problems = Settings::read(Path::new("dialroom.toml"), text).unwrap_err();
        problems.to_string().lines().map(str::to_owned).collect()
    }

    fn check(text: &str, expected: &[&str]) {
        let found = problems(text);
        assert_eq!(found.len(), expected.len(), "{found:#?}");
        for (found, expected) in found.iter().zip(expected) {
            assert!(found.starts_with(expected), "{found}\nshould begin with\n{expected}");
        }
    }

    /// What a parser before this one gave up at with a panic: a file that is half written must not take a running mixer down.
    #[test]
    fn what_is_no_toml_at_all_is_a_problem_of_its_line() {
        for text in ["={=<=u==", "==\n[._[._", "name =  =[\"a\"\nuser = \"x\n[b]]\nname.0.a.= \"7\"\n"] {
            let found = problems(text);
            assert!(!found.is_empty() && found.iter().all(|line| line.contains("syntax")), "{found:#?}");
        }
    }

    #[test]
    fn an_empty_file_has_every_default() {
        let settings = Settings::read(Path::new("/etc/dialroom/dialroom.toml"), "").unwrap();
        assert_eq!((settings.dial_in.lead_minutes, settings.dial_in.overrun_minutes), (10, 15));
        assert_eq!((settings.rooms.booked.to_string().as_str(), settings.rooms.guard_minutes), ("1000-7999", 5));
        assert_eq!((settings.pin.digits, settings.conference.max_duration_minutes), (6, 480));
        assert_eq!((settings.conference.max_participants, settings.account.max_participants), (100, 500));
        assert_eq!(settings.store.data, Path::new("/etc/dialroom/data"));
        assert_eq!(settings.hand_off.url, "http://127.0.0.1:8070");
        assert_eq!((settings.media.rtp_ports, settings.media.dscp), ((20000, 29999), 46));
        assert!(!settings.media.normalize_levels && !settings.media.noise_gate);
        assert_eq!((settings.privacy.call_records_days, settings.privacy.messages_days), (90, 30));
        assert_eq!(settings.rules.len(), 5);
    }

    #[test]
    fn all_problems_come_at_once_with_their_places() {
        check(
            "[pin]\ndigits = 3\n\n[dial_in]\nlead_minuts = 5\nnumber = \"8x\"\n[conference]\nautomatic_login = \"all\"\n",
            &[
                "dialroom.toml:2: pin.digits: 3 is too short, a PIN has 4 to 12 digits",
                "dialroom.toml:5: dial_in.lead_minuts: is no setting of Dialroom; did you mean \"lead_minutes\"?",
                "dialroom.toml:6: dial_in.number: \"8x\"",
                "dialroom.toml:8: conference.automatic_login: \"all\" is none of \"everyone\", \"internal\", \"off\"",
            ],
        );
    }

    #[test]
    fn a_syntax_error_has_its_line() {
        check("[pin]\ndigits = \n", &["dialroom.toml:2: syntax: "]);
    }

    #[test]
    fn each_number_has_one_owner() {
        check(
            "[rooms]\nbooked = \"1000-8500\"\n",
            &["dialroom.toml:1: rooms.permanent: 8000-8999 overlaps rooms.booked"],
        );
        check("[rooms]\nbooked = \"1000\"\n", &["dialroom.toml:2: rooms.booked: \"1000\": \"1000\" is no range"]);
    }

    #[test]
    fn what_comes_later_says_so() {
        check(
            "[store]\nurl = \"postgres://x\"\n[[site]]\nname = \"a\"\n[invitation]\ndelivery = \"calendar\"\n",
            &[
                "dialroom.toml:2: store.url: this version does not have it yet",
                "dialroom.toml:3: site: this version does not have it yet",
                "dialroom.toml:6: invitation.delivery: this version does not write",
            ],
        );
    }

    #[test]
    fn a_table_names_what_it_lacks() {
        check(
            "[graph]\ntenant = \"contoso\"\n[[trunk]]\nname = \"pbx\"\n[mail]\nfrom = \"x\"\n",
            &[
                "dialroom.toml:1: graph.client_id: is missing",
                "dialroom.toml:1: graph.client_secret_file: is missing",
                "dialroom.toml:1: graph.mailboxes: names no mailbox",
                "dialroom.toml:3: trunk.addresses: names no address",
                "dialroom.toml:5: mail.host: is missing",
                "dialroom.toml:6: mail.from: \"x\": not a mail address",
            ],
        );
    }

    #[test]
    fn pins_do_not_cross_a_network_in_clear() {
        check(
            "[handoff]\nlisten = \"0.0.0.0:8070\"\n",
            &["dialroom.toml:2: handoff.listen: 0.0.0.0:8070 is not loopback"],
        );
    }

    #[test]
    fn a_whole_file_is_understood() {
        let text = r#"
            [dial_in]
            number = "88"
            external_number = "+49 30 23125 88"
            [graph]
            tenant = "contoso.example"
            client_id = "c"
            client_secret_file = "graph.secret"
            mailboxes = ["Anna@Contoso.example", "bernd@contoso.example"]
            [mail]
            host = "127.0.0.1"
            tls = "none"
            from = "dialroom@contoso.example"
            [[trunk]]
            name = "pbx"
            addresses = ["127.0.0.1", "::1"]
            own_numbers = ["+49 30 23125"]
            [[rule]]
            category = "Telefon"
            [[directory.person]]
            address = "x@y.example"
            numbers = ["030 23125 009"]
        "#;
        let settings = Settings::read(Path::new("/d/dialroom.toml"), text).unwrap();
        let graph = settings.graph.unwrap();
        assert_eq!(graph.mailboxes[0].as_str(), "anna@contoso.example");
        assert_eq!(graph.resource_organizers, ["contoso.example"]);
        assert_eq!(graph.client_secret_file, Path::new("/d/graph.secret"));
        assert_eq!(settings.mail.unwrap().port, 25);
        assert_eq!(settings.trunks[0].own_numbers, ["+493023125"]);
        assert_eq!(settings.rules, [Rule::Category("Telefon".to_owned())]);
        assert_eq!(settings.directory.people[0].numbers[0].1.as_str(), "+493023125009");
    }

    #[test]
    fn the_resource_mailbox_is_a_rule_unless_rules_are_written() {
        let graph = "[graph]\ntenant = \"t\"\nclient_id = \"c\"\nclient_secret_file = \"s\"\n\
                     mailboxes = [\"anna@contoso.example\"]\n";
        let with = format!("{graph}resource_mailbox = \"Conference@contoso.example\"\n");
        let rules = |text: &str| Settings::read(Path::new("dialroom.toml"), text).unwrap().rules;
        let resource = Rule::Resource(EmailAddress::parse("conference@contoso.example").unwrap());
        assert_eq!(rules(&with).len(), 6);
        assert!(matches!(rules(&with)[0], Rule::Property(_)) && rules(&with)[1] == resource);
        assert_eq!(rules(graph).len(), 5);
        assert_eq!(rules(&format!("{with}[[rule]]\nkeyword = \"@x\"\n")), [Rule::Keyword("@x".to_owned())]);
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "(\\[{1,2}(pin|rooms|trunk|rule|graph|x)\\]{1,2}\n|(digits|booked|name|addresses) = (1|\"a\"|\\[\\]|\\{\\}|true)\n|\\PC){0,12}") {
            let _ = Settings::read(Path::new("dialroom.toml"), &text);
        }
    }
}
