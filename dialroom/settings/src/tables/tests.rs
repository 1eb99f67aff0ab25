//! What `[sip]` and `[[trunk]]` mean, and what is said where they cannot be meant so.

use std::path::Path;

use crate::{AudioCodec, CalledFrom, Settings, SipTransport, SrtpPolicy, Trunk};

/// Each problem of the text must be told so, and no other.
fn check(text: &str, expected: &[&str]) {
    let found = match Settings::read(Path::new("dialroom.toml"), text) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.to_string().lines().map(str::to_owned).collect(),
    };
    assert_eq!(found.len(), expected.len(), "{text}\n{found:#?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.starts_with(expected), "{found}\nshould begin with\n{expected}");
    }
}

fn check_trunk(keys: &str, expected: &[&str]) {
    check(&format!("[[trunk]]\nname = \"pbx\"\naddresses = [\"192.0.2.10\"]\n{keys}\n"), expected);
}

fn trunk(keys: &str) -> Trunk {
    let text = format!("[[trunk]]\nname = \"pbx\"\n{keys}\n");
    Settings::read(Path::new("/etc/dialroom.toml"), &text).unwrap().trunks.remove(0)
}

#[test]
fn a_trunk_of_one_address_has_every_default() {
    let trunk = trunk("addresses = [\"192.0.2.10\"]");
    assert_eq!(
        (trunk.transport, trunk.srtp, trunk.called_from),
        (SipTransport::Udp, SrtpPolicy::Off, CalledFrom::RequestUri)
    );
    assert_eq!(trunk.codecs, [AudioCodec::Pcma, AudioCodec::Pcmu, AudioCodec::G722, AudioCodec::Opus]);
    assert_eq!((trunk.session_expires_seconds, trunk.keep_alive_seconds, trunk.lines), (Some(1800), None, None));
    assert!(!trunk.register && !trunk.challenge && !trunk.refer && !trunk.in_band_digits && !trunk.shared_media_port);
    assert!(trunk.login.is_none() && trunk.server.is_none() && trunk.rewrite.is_empty());
}

#[test]
fn a_registered_trunk_is_understood() {
    let trunk = trunk(
        "server = \"sip.example.com\"\ntransport = \"tls\"\nregister = true\nuser = \"88\"\npassword_file = \"pbx.secret\"\n\
         called_from = \"to\"\nlines = 30\ncodecs = [\"OPUS\", \"PCMU\"]\nsrtp = \"required\"\nsession_expires_seconds = 0\n\
         numbers = [\"+49 30 23125 88\", \"88\"]\n[[trunk.rewrite]]\nprefix = \"0\"\nreplace = \"+49\"\n\
         [[trunk.rewrite]]\nprefix = \"7\"\nreplace = \"\"\nmin_digits = 3",
    );
    let login = trunk.login.unwrap();
    assert_eq!((login.user.as_str(), login.auth_user.as_str()), ("88", "88"));
    assert_eq!(login.password_file.as_deref(), Some(Path::new("/etc/pbx.secret")));
    assert_eq!(trunk.domain.as_deref(), Some("sip.example.com"));
    assert_eq!(trunk.server.unwrap().to_string(), "sip.example.com");
    assert_eq!((trunk.expires_seconds, trunk.keep_alive_seconds, trunk.session_expires_seconds), (600, Some(30), None));
    assert_eq!((trunk.lines, trunk.codecs.as_slice()), (Some(30), &[AudioCodec::Opus, AudioCodec::Pcmu][..]));
    assert_eq!(trunk.numbers, ["+49302312588", "88"]);
    let rules: Vec<_> =
        trunk.rewrite.iter().map(|rule| (rule.prefix.as_str(), rule.replace.as_str(), rule.min_digits)).collect();
    assert_eq!(rules, [("0", "+49", 6), ("7", "", 3)]);
}

#[test]
fn every_example_for_administrators_can_be_used() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../mixer-service/trunks");
    let examples: Vec<_> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .collect();
    assert_eq!(examples.len(), 5);
    let told = std::fs::read_to_string(folder.join("README.md")).unwrap();
    for example in examples {
        let settings = Settings::load(&example).unwrap_or_else(|problems| panic!("{problems}"));
        assert!(!settings.trunks.is_empty(), "{}", example.display());
        let name = example.file_name().unwrap().to_str().unwrap();
        assert!(told.contains(&format!("[{name}]({name})")), "the README does not name {name}");
    }
}

#[test]
fn blocks_and_certificate_names_stand_for_a_trunk() {
    let text = "[sip]\ntls_listen = [\"0.0.0.0:5061\"]\n[sip.tls]\ncertificate_file = \"c\"\nkey_file = \"k\"\n\
                client_ca_file = \"ca\"\n[[trunk]]\nname = \"pbx\"\ntls_names = [\"PBX.example.com\"]\n\
                [[trunk]]\nname = \"provider\"\naddresses = [\"198.51.100.0/24\", \"2001:db8::/32\"]\n";
    let settings = Settings::read(Path::new("dialroom.toml"), text).unwrap();
    assert_eq!(settings.trunks[0].tls_names, ["pbx.example.com"]);
    assert_eq!(settings.trunks[1].addresses[0].to_string(), "198.51.100.0/24");
}

#[test]
fn what_belongs_together_is_asked_for() {
    check("[[trunk]]\nname = \"pbx\"\n", &["dialroom.toml:1: trunk.addresses: names no address"]);
    check_trunk(
        "register = true",
        &["dialroom.toml:4: trunk.register: needs server", "dialroom.toml:4: trunk.register: needs user"],
    );
    check_trunk("password_file = \"x\"", &["dialroom.toml:1: trunk.user: is missing"]);
    check_trunk("challenge = true\nuser = \"a\"", &["dialroom.toml:4: trunk.challenge: needs user and password_file"]);
    check_trunk("outbound_proxy = \"x.example.com\"", &["dialroom.toml:4: trunk.outbound_proxy: leads nowhere"]);
    check_trunk("tls_names = [\"pbx.example.com\"]", &["dialroom.toml:4: trunk.tls_names: nobody proves these names"]);
    check(
        "[sip]\ntls_listen = [\"0.0.0.0:5061\"]\n[sip.tls]\nkey_file = \"k\"\n",
        &[
            "dialroom.toml:2: sip.tls_listen: needs certificate_file",
            "dialroom.toml:4: sip.tls.key_file: has no certificate",
        ],
    );
    check("[sip.tls]\nclient_ca_file = \"x\"\n", &["dialroom.toml:1: sip.tls: client_ca_file has nobody to ask"]);
    check("[sip]\nlisten = []\n", &["dialroom.toml:2: sip.listen: is empty"]);
}

#[test]
fn a_wrong_value_says_what_would_be_right() {
    check_trunk("password = \"s3cret\"", &["dialroom.toml:4: trunk.password: secrets live in files of their own"]);
    check_trunk(
        "pasword_file = \"x\"",
        &["dialroom.toml:4: trunk.pasword_file: is no setting of Dialroom; did you mean"],
    );
    check_trunk("user = \"88@pbx\"", &["dialroom.toml:4: trunk.user: \"88@pbx\": write the name alone"]);
    check_trunk(
        "transport = \"ws\"",
        &["dialroom.toml:4: trunk.transport: \"ws\" is none of \"udp\", \"tcp\", \"tls\""],
    );
    check_trunk("expires_seconds = 5", &["dialroom.toml:4: trunk.expires_seconds: 5 is out of range"]);
    check_trunk(
        "session_expires_seconds = 30",
        &["dialroom.toml:4: trunk.session_expires_seconds: 30 is out of range"],
    );
    check_trunk("keep_alive_seconds = 0", &[]);
    check_trunk("server = \"sip:pbx\"", &["dialroom.toml:4: trunk.server: \"sip:pbx\": write a name or an address"]);
    check_trunk("codecs = [\"PCMA\", \"G729\"]", &["dialroom.toml:4: trunk.codecs: \"G729\": is none of"]);
    check_trunk("codecs = [\"PCMA\", \"pcma\"]", &["dialroom.toml:4: trunk.codecs: \"pcma\" stands there twice"]);
    check_trunk(
        "identity = [\"Diversion\"]",
        &["dialroom.toml:4: trunk.identity: \"Diversion\": is what somebody would"],
    );
    check_trunk("numbers = [\"room\"]", &["dialroom.toml:4: trunk.numbers: \"room\": write a number"]);
    check_trunk(
        "[[trunk.rewrite]]\nprefix = \"^0\"\nreplce = \"+49\"",
        &[
            "dialroom.toml:5: trunk.rewrite.prefix: \"^0\": write digits",
            "dialroom.toml:6: trunk.rewrite.replce: is no setting of Dialroom; did you mean \"replace\"?",
        ],
    );
    check_trunk("rewrite = \"0\"", &["dialroom.toml:4: trunk.rewrite: is a list of tables; write [[trunk.rewrite]]"]);
    check("[sip]\nadvertised = [\"192.0.2.1\", \"192.0.2.2\"]\n", &["dialroom.toml:2: sip.advertised: names two"]);
    check("[sip]\nstranger_burst = 5\n", &["dialroom.toml:2: sip.stranger_burst: 5 is less than"]);
    check("[dial_in]\ninter_digit_seconds = 1\n", &["dialroom.toml:2: dial_in.inter_digit_seconds: 1 is out of range"]);
}

#[test]
fn a_source_belongs_to_one_trunk() {
    check(
        "[[trunk]]\nname = \"a\"\naddresses = [\"192.0.2.0/24\"]\n[[trunk]]\nname = \"a\"\naddresses = [\"192.0.2.0/24\"]\n",
        &[
            "dialroom.toml:4: trunk.name: \"a\" is another trunk's name already",
            "dialroom.toml:4: trunk.addresses: 192.0.2.0/24 belongs to trunk \"a\" already",
        ],
    );
    // One address out of another trunk's block is meant: the closer block counts.
    check(
        "[[trunk]]\nname = \"a\"\naddresses = [\"192.0.2.0/24\"]\n[[trunk]]\nname = \"b\"\naddresses = [\"192.0.2.7\"]\n",
        &[],
    );
}

#[test]
fn signalling_has_its_defaults_and_its_addresses() {
    let read = |text: &str| Settings::read(Path::new("/etc/dialroom.toml"), text).unwrap().sip;
    let sip = read("");
    assert_eq!(sip.listen, ["127.0.0.1:5060".parse().unwrap()]);
    assert_eq!((sip.max_calls, sip.budgets.stranger_burst, sip.budgets.max_connections), (5000, 60, 2000));
    let sip = read(
        "[sip]\nlisten = []\ntls_listen = [\"[::]:5061\"]\nadvertised = [\"203.0.113.5\", \"2001:db8::5\"]\n\
         tls = { certificate_file = \"c.pem\", key_file = \"/k.pem\" }\n",
    );
    assert!(sip.listen.is_empty());
    assert_eq!(sip.tls.certificate.unwrap().certificate, Path::new("/etc/c.pem"));
    assert_eq!(sip.advertised.instead_of("10.0.0.1".parse().unwrap()).to_string(), "203.0.113.5");
    assert_eq!(sip.advertised.instead_of("fd00::1".parse().unwrap()).to_string(), "2001:db8::5");
}

#[test]
fn what_is_done_to_voices_is_asked_for() {
    let text = "[media]\nnormalize_levels = true\nnoise_gate = true\n";
    let media = Settings::read(Path::new("/etc/dialroom.toml"), text).unwrap().media;
    assert!(media.normalize_levels && media.noise_gate);
    check(
        "[media]\nnoise_gate = \"on\"\nnormalise_levels = true\n",
        &[
            "dialroom.toml:2: media.noise_gate: write true or false",
            "dialroom.toml:3: media.normalise_levels: is no setting of Dialroom; did you mean \"normalize_levels\"?",
        ],
    );
}
