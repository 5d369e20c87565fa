//! Giving a mail to a mail server, in two steps: what can be undone, and the one that cannot.

use std::{borrow::Cow, fmt, time::Duration};

use anyhow::{Context as _, ensure};
use chassis::{Context, is_mailable};
use clap::ValueEnum;
use discovery::Dns;
use lettre::{
    Address, Message,
    address::Envelope,
    message::{
        Mailbox, MultiPart,
        header::{HeaderName, HeaderValue},
    },
    transport::smtp::{
        Error as SmtpError,
        authentication::{Credentials, Mechanism},
        client::{AsyncSmtpConnection, TlsParameters},
        commands::{Data, Mail, Rcpt},
        extension::{ClientId, Extension, MailBodyParameter, MailParameter},
    },
};
use secrecy::{ExposeSecret as _, SecretString};
use tracing::{Instrument as _, Span, field::Empty, info_span};

use crate::{header, model::Notification};

/// What connecting may take.
const CONNECT_DEADLINE: Duration = Duration::from_secs(10);
/// What saying goodbye may take.
const FAREWELL: Duration = Duration::from_secs(2);
/// The longest reason that is kept, in characters.
const LONGEST_REASON: usize = 300;

/// Which encryption mail goes out with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Encryption {
    /// Where the server offers it (RFC 7435): its certificate is not checked, since the
    /// alternative would be none at all.
    Opportunistic,
    /// `STARTTLS` with a certificate that is good for the host, or nothing is sent.
    Required,
    /// TLS from the first byte, with a certificate that is good for the host.
    Implicit,
}

/// Where mail goes, and how.
#[derive(Debug, Clone, clap::Args)]
#[group(id = "smtp")]
pub struct Settings {
    /// Host of the mail server; one in Consul's zone is looked up there, with its port
    #[arg(long, env = "SMTP_HOST", default_value = "localhost")]
    pub smtp_host: String,
    /// Port of the mail server
    #[arg(long, env = "SMTP_PORT", default_value_t = 25)]
    pub smtp_port: u16,
    /// Encryption
    #[arg(
        long,
        env = "SMTP_TLS",
        value_enum,
        ignore_case = true,
        default_value = "opportunistic"
    )]
    pub smtp_tls: Encryption,
    /// User at the mail server; needs encryption that is not merely opportunistic
    #[arg(long, env = "SMTP_USERNAME", requires = "smtp_password")]
    pub smtp_username: Option<String>,
    /// Password at the mail server
    #[arg(
        long,
        env = "SMTP_PASSWORD",
        hide_env_values = true,
        requires = "smtp_username"
    )]
    pub smtp_password: Option<SecretString>,
    /// Seconds that the mail server may take to take a mail
    #[arg(long, env = "SMTP_TIMEOUT_SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub smtp_timeout_seconds: u64,
    /// Who mails are from
    #[arg(
        long,
        env = "MAIL_FROM",
        default_value = "Plaza <no-reply@plaza.example>"
    )]
    pub mail_from: Mailbox,
}

/// Why a mail did not go out.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Trouble {
    /// Another time it may.
    #[error("{0}")]
    Temporary(String),
    /// The server will never take this mail.
    #[error("{0}")]
    Permanent(String),
    /// The server may have it or not.
    #[error("{0}")]
    Unclear(String),
}

/// The way to the mail server. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Mailer {
    dns: Dns,
    host: String,
    port: u16,
    encryption: Encryption,
    tls: TlsParameters,
    credentials: Option<Credentials>,
    timeout: Duration,
    from: Mailbox,
    hello: ClientId,
}

// No password gets into a log by `{:?}`.
impl fmt::Debug for Mailer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Mailer({}:{})", self.host, self.port)
    }
}

/// A mail that the server waits for: nothing is sent until [`Ready::send`], and nothing is if this
/// is dropped.
pub(crate) struct Ready {
    connection: AsyncSmtpConnection,
    mail: Vec<u8>,
    timeout: Duration,
}

impl Mailer {
    /// Nothing is connected yet: a mail server that is away is no reason not to start.
    ///
    /// # Errors
    /// When a password would travel over a link that anybody could have answered.
    pub(crate) fn new(settings: &Settings, context: &Context) -> anyhow::Result<Self> {
        let credentials = match (&settings.smtp_username, &settings.smtp_password) {
            (Some(user), Some(password)) => Some(Credentials::new(
                user.clone(),
                password.expose_secret().to_owned(),
            )),
            _ => None,
        };
        let encryption = settings.smtp_tls;
        ensure!(
            credentials.is_none() || encryption != Encryption::Opportunistic,
            "SMTP_PASSWORD needs SMTP_TLS=required or implicit: it would go to whoever answers"
        );
        let tls = TlsParameters::builder(settings.smtp_host.clone())
            .dangerous_accept_invalid_certs(encryption == Encryption::Opportunistic)
            .dangerous_accept_invalid_hostnames(encryption == Encryption::Opportunistic)
            .build()
            .context("SMTP_HOST")?;
        Ok(Self {
            dns: context.dns.clone(),
            host: settings.smtp_host.clone(),
            port: settings.smtp_port,
            encryption,
            tls,
            credentials,
            timeout: Duration::from_secs(settings.smtp_timeout_seconds),
            hello: ClientId::Domain(settings.mail_from.email.domain().to_owned()),
            from: settings.mail_from.clone(),
        })
    }

    /// The longest that a mail takes which is being sent.
    pub(crate) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Does everything but the last step.
    ///
    /// # Errors
    /// What is wrong; never [`Trouble::Unclear`].
    pub(crate) async fn prepare(&self, notification: &Notification) -> Result<Ready, Trouble> {
        let mail = self.mail(notification)?;
        let preparing = tokio::time::timeout(self.timeout, self.offer(mail));
        let offered = async {
            let slow = |_| Trouble::Temporary("the mail server is too slow".into());
            noted(preparing.await.map_err(slow).flatten())
        };
        offered.instrument(client_span("smtp.offer")).await
    }

    fn mail(&self, notification: &Notification) -> Result<Message, Trouble> {
        let content = &notification.content;
        let never = |error: &dyn std::fmt::Display| {
            Trouble::Permanent(format!("the mail cannot be written: {error}"))
        };
        let to = destination(content.recipient.as_str())?;
        // Of the headers it would be read back out of texts, by other rules.
        let envelope = Envelope::new(Some(self.from.email.clone()), vec![to.clone()]);
        let envelope = envelope.map_err(|error| never(&error))?;
        let automatic = HeaderValue::new(
            HeaderName::new_from_ascii_str("Auto-Submitted"),
            "auto-generated".to_owned(),
        );
        // The same each time that it is sent, so that whoever gets it twice can tell.
        let id = format!("<{}@{}>", content.id, self.from.email.domain());
        Message::builder()
            .envelope(envelope)
            .from(self.from.clone())
            .to(Mailbox::new(None, to))
            .raw_header(header::text("Subject", content.subject.as_str()))
            .date(notification.created_at.into())
            .message_id(Some(id))
            .raw_header(automatic)
            .multipart(MultiPart::alternative_plain_html(
                content.body.text.clone(),
                content.body.html.clone(),
            ))
            .map_err(|error| never(&error))
    }

    /// Connects and says from whom and to whom; the server then waits for the mail itself.
    async fn offer(&self, mail: Message) -> Result<Ready, Trouble> {
        let mut connection = self.connect().await?;
        let envelope = mail.envelope();
        let bytes = mail.formatted();
        let mut addresses = envelope.to().iter().chain(envelope.from());
        let foreign = addresses.any(|address| !AsRef::<str>::as_ref(address).is_ascii());
        let parameters = parameters(&connection, foreign, &bytes)?;
        let from = Mail::new(envelope.from().cloned(), parameters);
        refusable(connection.command(from).await)?;
        for to in envelope.to() {
            refusable(connection.command(Rcpt::new(to.clone(), Vec::new())).await)?;
        }
        refusable(connection.command(Data).await)?;
        Ok(Ready {
            connection,
            mail: bytes,
            timeout: self.timeout,
        })
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, Trouble> {
        let address = self.address().await?;
        let implicit = (self.encryption == Encryption::Implicit).then(|| self.tls.clone());
        let mut connection = AsyncSmtpConnection::connect_tokio1(
            address.as_ref(),
            Some(CONNECT_DEADLINE),
            &self.hello,
            implicit,
            None,
        )
        .await
        .map_err(later)?;
        if self.encryption == Encryption::Required || connection.can_starttls() {
            connection
                .starttls(self.tls.clone(), &self.hello)
                .await
                .map_err(later)?;
        }
        if let Some(credentials) = &self.credentials {
            let known = [Mechanism::Plain, Mechanism::Login];
            connection.auth(&known, credentials).await.map_err(later)?;
        }
        Ok(connection)
    }

    /// Where the server is now, as host and port.
    async fn address(&self) -> Result<Cow<'_, str>, Trouble> {
        let url = format!("smtp://{}", self.host);
        let found = self.dns.resolve_url(&url).await;
        let found = found.map_err(|error| Trouble::Temporary(error.to_string()))?;
        let found = found.trim_start_matches("smtp://");
        // What Consul knows comes with its port.
        Ok(if found == self.host {
            format!("{found}:{}", self.port).into()
        } else {
            found.to_owned().into()
        })
    }
}

impl Ready {
    /// Sends the mail. From here on it cannot be taken back.
    ///
    /// # Errors
    /// What is wrong; [`Trouble::Unclear`] when the server's answer did not arrive.
    pub(crate) async fn send(mut self) -> Result<(), Trouble> {
        let sending = self.connection.message(&self.mail);
        let sending = tokio::time::timeout(self.timeout, sending);
        let span = client_span("smtp.send");
        let sent = sending.instrument(span.clone()).await;
        let goodbye = async move {
            let _ = tokio::time::timeout(FAREWELL, self.connection.quit()).await;
        };
        let sent = match sent {
            Ok(Ok(_)) => {
                tokio::spawn(goodbye);
                Ok(())
            }
            Ok(Err(error)) if error.status().is_some() => refusable::<()>(Err(error)),
            Ok(Err(error)) => Err(Trouble::Unclear(text(&error))),
            Err(_) => Err(Trouble::Unclear("the mail server is too slow".into())),
        };
        span.in_scope(|| noted(sent))
    }
}

fn client_span(name: &str) -> Span {
    info_span!(
        "smtp",
        otel.name = name,
        otel.kind = "client",
        otel.status_code = Empty,
        error.message = Empty,
    )
}

/// Writes down in the current span what went wrong.
fn noted<T>(result: Result<T, Trouble>) -> Result<T, Trouble> {
    if let Err(trouble) = &result {
        let span = Span::current();
        span.record("otel.status_code", "ERROR");
        span.record("error.message", trouble.to_string());
    }
    result
}

/// Where a mail goes. What was taken before the rule for addresses was what it is fails here.
fn destination(recipient: &str) -> Result<Address, Trouble> {
    let address = recipient.parse().ok().filter(|_| is_mailable(recipient));
    address.ok_or_else(|| Trouble::Permanent("mail cannot go to this address".into()))
}

/// What has to be said of a mail that is not all ASCII.
fn parameters(
    connection: &AsyncSmtpConnection,
    foreign: bool,
    mail: &[u8],
) -> Result<Vec<MailParameter>, Trouble> {
    let mut parameters = Vec::new();
    let server = connection.server_info();
    for (needed, feature, parameter) in [
        (
            foreign,
            Extension::SmtpUtfEight,
            MailParameter::SmtpUtfEight,
        ),
        (
            !mail.is_ascii(),
            Extension::EightBitMime,
            MailParameter::Body(MailBodyParameter::EightBitMime),
        ),
    ] {
        if needed && !server.supports_feature(feature) {
            let reason = "the mail server takes no addresses beyond ASCII";
            return Err(Trouble::Permanent(reason.into()));
        }
        if needed {
            parameters.push(parameter);
        }
    }
    Ok(parameters)
}

/// What the server says to this mail: `5xx` is its last word.
fn refusable<T>(answer: Result<T, SmtpError>) -> Result<(), Trouble> {
    match answer {
        Ok(_) => Ok(()),
        Err(error) if error.is_permanent() => Err(Trouble::Permanent(text(&error))),
        Err(error) => Err(later(error)),
    }
}

/// What the server says to us, or nothing says at all: it has nothing to do with this mail.
#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn later(error: SmtpError) -> Trouble {
    Trouble::Temporary(text(&error))
}

fn text(error: &SmtpError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    crate::model::line(&text, LONGEST_REASON)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Carrier, Recipient};

    #[test]
    fn every_address_that_is_taken_is_one_that_mail_is_sent_to() {
        for taken in [
            "a@b.c",
            "ada+x@example.com",
            "o'neil@example.co.uk",
            "#!$%&'*+-/=^_`{|}~@example.com",
            "jürgen@bücher.example",
            "ada@localhost",
        ] {
            let recipient = Recipient::new(Carrier::Email, taken).unwrap();
            let to = destination(recipient.as_str()).unwrap();
            let envelope = Envelope::new(None, vec![to]).unwrap();
            assert_eq!(envelope.to()[0].to_string(), taken);
        }
    }

    #[test]
    fn an_address_of_before_that_mail_cannot_go_to_fails_at_once_and_says_why() {
        for old in ["\"a b\"@example.com", "=?utf-8?q?a?=@example.com", "nobody"] {
            let refused = destination(old).unwrap_err();
            let reason = "mail cannot go to this address".to_owned();
            assert_eq!(refused, Trouble::Permanent(reason), "{old}");
        }
    }
}
