//! By whom alerts are mailed, and to whom.

use clap::Args;
use serde_json::json;

use crate::template::Values;

/// A mail server of an installation's own; without one, the catcher of a development mesh gets all.
#[derive(Args, Clone, Default)]
pub struct Server {
    /// Host of the mail server that sends alerts.
    #[arg(long, env = "ALERT_SMTP_HOST", requires_all = ["username", "password", "from", "pages", "tickets"])]
    host: Option<String>,
    /// Its port; it has to speak STARTTLS.
    #[arg(long, env = "ALERT_SMTP_PORT", default_value_t = 587)]
    port: u16,
    /// User there.
    #[arg(long, env = "ALERT_SMTP_USERNAME")]
    username: Option<String>,
    /// Password there.
    #[arg(long, env = "ALERT_SMTP_PASSWORD", hide_env_values = true)]
    password: Option<String>,
    /// The sender of alerts.
    #[arg(long, env = "ALERT_FROM")]
    from: Option<String>,
    /// Who has to look now.
    #[arg(long, env = "ALERT_PAGES")]
    pages: Option<String>,
    /// Who has to look in the coming days.
    #[arg(long, env = "ALERT_TICKETS")]
    tickets: Option<String>,
}

impl Server {
    /// Says what Alertmanager's settings ask for, where there is such a server.
    pub fn fill(&self, values: &mut Values) {
        let Some(host) = &self.host else {
            return;
        };
        let texts = [
            ("server", Some(format!("{host}:{}", self.port))),
            ("username", self.username.clone()),
            ("password", self.password.clone()),
            ("from", self.from.clone()),
            ("pages", self.pages.clone()),
            ("tickets", self.tickets.clone()),
        ];
        for (name, text) in texts {
            insert(values, name, &text.unwrap_or_default());
        }
        values.insert("alert.tls".to_owned(), json!(true));
    }
}

/// Says it of a catcher, which wants neither encryption nor a password.
pub fn catcher(host: &str, port: u16, values: &mut Values) {
    for (name, text) in [
        ("server", format!("{host}:{port}").as_str()),
        ("username", ""),
        ("password", ""),
        ("from", "alerts@plaza.example"),
        ("pages", "pager@plaza.example"),
        ("tickets", "tickets@plaza.example"),
    ] {
        insert(values, name, text);
    }
    values.insert("alert.tls".to_owned(), json!(false));
}

/// A text of JSON is one of YAML, whatever is in it.
fn insert(values: &mut Values, name: &str, text: &str) {
    values.insert(format!("alert.{name}"), json!(json!(text).to_string()));
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::template;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        server: Server,
    }

    #[test]
    fn s3_38_a_server_of_ones_own_takes_the_place_of_the_catcher() {
        let arguments = "x --host=mail.example.com --username=u --from=a@b.example --pages=p@b.example --tickets=t@b.example";
        let arguments = arguments
            .split(' ')
            .chain(["--password=it's \"secret\": #1"]);
        let mut values = Values::new();
        catcher("mail", 1025, &mut values);

        Command::try_parse_from(arguments)
            .unwrap()
            .server
            .fill(&mut values);

        let text = "${alert.server} ${alert.tls} ${alert.password}";
        let filled = template::fill_text(text, &values).unwrap();
        assert_eq!(
            filled,
            r#""mail.example.com:587" true "it's \"secret\": #1""#
        );
    }

    #[test]
    fn a_server_without_a_receiver_is_refused() {
        assert!(Command::try_parse_from(["x", "--host=mail.example.com"]).is_err());
        assert!(Command::try_parse_from(["x"]).is_ok());
    }
}
