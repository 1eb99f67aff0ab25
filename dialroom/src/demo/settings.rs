//! The demo's settings: a commented `dialroom.toml`, also a good start for one's own.

use std::fs;
use std::os::unix::fs::OpenOptionsExt as _;

use anyhow::Context as _;
use graph_simulator::Running;

use crate::demo::endpoints::Addresses;
use crate::demo::folder::Folder;
use crate::demo::people;

/// Writes the settings, and the simulated tenant's secret into the file that they name.
///
/// # Errors
/// When the folder cannot be written.
pub(crate) fn write(folder: &Folder, addresses: &Addresses, simulator: &Running) -> anyhow::Result<()> {
    let secret = folder.file("graph.secret");
    let file = fs::File::options().create(true).write(true).truncate(true).mode(0o600).open(&secret);
    let written = file.and_then(|mut file| std::io::Write::write_all(&mut file, simulator.client_secret.as_bytes()));
    written.with_context(|| format!("{} cannot be written", secret.display()))?;
    let text = text(addresses, &simulator.tenant, &simulator.client_id);
    fs::write(folder.settings(), text).with_context(|| format!("{} cannot be written", folder.settings().display()))
}

/// The file's text. Everything in it is ours: addresses, numbers, GUIDs; nothing needs quoting.
fn text(addresses: &Addresses, tenant: &str, client_id: &str) -> String {
    let Addresses { http, sip, control, graph, smtp } = addresses;
    let mailboxes: Vec<_> = people::facts().iter().map(|person| format!("    \"{}\",\n", person.address)).collect();
    let (mailboxes, number, external) = (mailboxes.concat(), people::NUMBER, people::EXTERNAL_NUMBER);
    let (resource, smtp_ip, smtp_port) = (people::RESOURCE, smtp.ip(), smtp.port());
    format!(
        r#"# Settings of this demo; made anew at every start. A good beginning for your own: see the comments.

[store]
data = "."                        # both programs keep their stores, keys and tokens below

[dial_in]
number = "{number}"                     # what people dial inside
external_number = "{external}" # and from outside; stands in invitations
lead_minutes = 10                 # the line opens so long before the start
overrun_minutes = 15              # and closes so long after the end

[conference]
max_participants = 5000           # the demo lifts both limits; the defaults are 100 and 500

[account]
max_participants = 5000

[http]
listen = "{http}"
public_url = "http://{http}"      # by which others reach it: links in invitations, Graph's notifications

[handoff]
listen = "{control}"              # the mixer's control API; the connector hands bookings over here

[sip]
listen = ["{sip}"]

[media]
rtp_ports = "20000-29999"

[mail]
host = "{smtp_ip}"
port = {smtp_port}
tls = "none"                      # this demo's mailbox runs in the same machine; anywhere else use "starttls"
from = "dialroom@contoso.example"

[graph]                           # Microsoft 365; here a simulated tenant
login_url = "http://{graph}"      # leave both URLs out for the real one
base_url = "http://{graph}"
tenant = "{tenant}"
client_id = "{client_id}"
client_secret_file = "graph.secret"
mailboxes = [
{mailboxes}]
resource_mailbox = "{resource}"
notifications = true              # Graph can reach public_url; without, calendars are polled
adopt = true                      # book entries that are older than the first look, too

# Which entries get a telephone line; the first rule that matches wins.
[[rule]]
property = "cecp-7d5c1c1e-2f0e-4c53-9c8e-5f3c7f0f6a11" # the icon in Outlook
[[rule]]
resource = "{resource}"
[[rule]]
category = "Telephone conference"
[[rule]]
category = "Telefonkonferenz"
[[rule]]
keyword = "@dialroom"             # in the location
[[rule]]
keyword = "@telefon"

[[trunk]]                         # whose word on a caller's number counts: your telephone system
name = "demo"
addresses = ["127.0.0.1"]
own_numbers = ["+493023125"]

[directory]
home_region = "DE"                # numbers without a country are from here
time_zone = "Europe/Berlin"
"#
    )
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::path::Path;

    use dialroom_settings::{Rule, Settings};

    use super::*;

    #[test]
    fn what_is_written_is_understood() {
        let at = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let addresses = Addresses { http: at(8080), sip: at(5060), control: at(8070), graph: at(8090), smtp: at(2525) };
        let text = text(&addresses, "0c5a", "77aa");
        let settings = Settings::read(Path::new("/data/dialroom.toml"), &text).unwrap();
        let graph = settings.graph.unwrap();
        assert_eq!((graph.mailboxes.len(), graph.notifications, graph.adopt), (5, true, true));
        assert_eq!(graph.base_url, "http://127.0.0.1:8090");
        assert_eq!(settings.http.token_file, Path::new("/data/./api.token"));
        assert_eq!(settings.trunks[0].addresses, [at(0).ip().into()]);
        assert_eq!(settings.conference.max_participants, 5000);
        assert!(
            settings
                .rules
                .iter()
                .any(|rule| matches!(rule, Rule::Resource(mailbox) if mailbox.as_str() == people::RESOURCE))
        );
        assert_eq!(settings.mail.unwrap().port, 2525);
    }
}
