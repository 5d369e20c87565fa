//! A mail server that takes mails, or does what a test says.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
};

use testkit::eventually;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
};

/// What the server does with a mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    Takes,
    /// `451` to the recipient.
    Greylists,
    /// `452` once it has the whole mail.
    IsFull,
    /// `550` to the recipient.
    Refuses,
    /// `554` once it has the whole mail.
    RefusesAfterReading,
    /// Takes the mail and ends the connection without a word.
    HangsUp,
    /// Takes the mail and says nothing.
    IsSilent,
}

/// A mail as it arrived.
#[derive(Debug, Clone)]
pub struct Mail {
    pub from: String,
    pub to: Vec<String>,
    /// With lines ended by `\n` and dots unstuffed.
    pub source: String,
}

impl Mail {
    /// A header, unfolded.
    pub fn header(&self, name: &str) -> String {
        let head = self
            .source
            .split("\n\n")
            .next()
            .unwrap()
            .replace("\n ", " ");
        let wanted = format!("{}:", name.to_lowercase());
        let mut lines = head.lines();
        let line = lines.find(|line| line.to_lowercase().starts_with(&wanted));
        line.map(|line| line[wanted.len()..].trim().to_owned())
            .unwrap_or_default()
    }

    /// All of it with quoted-printable undone, as far as ASCII needs.
    pub fn text(&self) -> String {
        self.source.replace("=\n", "").replace("=3D", "=")
    }
}

/// The server. It ends with the test.
#[derive(Debug, Clone)]
pub struct Smtp {
    pub port: u16,
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug)]
struct Inner {
    /// What it does with the next mails; then it takes them.
    moods: Vec<Mood>,
    mails: Vec<Mail>,
    connections: usize,
}

impl Smtp {
    pub async fn start() -> Self {
        Self::closed(0).open().await
    }

    /// One that nobody can reach yet.
    pub fn closed(port: u16) -> Self {
        let inner = Inner {
            moods: Vec::new(),
            mails: Vec::new(),
            connections: 0,
        };
        Self {
            port,
            inner: Arc::new(Mutex::new(inner)),
        }
    }

    /// Starts to listen.
    pub async fn open(mut self) -> Self {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        let listener = TcpListener::bind(address).await.unwrap();
        self.port = listener.local_addr().unwrap().port();
        let accepting = self.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                accepting.inner.lock().unwrap().connections += 1;
                let server = accepting.clone();
                // Whoever hangs up in the middle does not disturb the others.
                tokio::spawn(async move { drop(server.serve(stream).await) });
            }
        });
        self
    }

    /// What it does with the next mails, one after the other.
    pub fn moods(&self, moods: &[Mood]) {
        self.inner.lock().unwrap().moods = moods.to_vec();
    }

    pub fn mails(&self) -> Vec<Mail> {
        self.inner.lock().unwrap().mails.clone()
    }

    pub fn mails_to(&self, address: &str) -> Vec<Mail> {
        let mut mails = self.mails();
        mails.retain(|mail| mail.to.iter().any(|to| to == address));
        mails
    }

    pub fn connections(&self) -> usize {
        self.inner.lock().unwrap().connections
    }

    /// The first mail to an address, as soon as there is one.
    pub async fn mail_to(&self, address: &str) -> Mail {
        eventually("a mail", || async {
            let mails = self.mails_to(address);
            mails
                .first()
                .cloned()
                .ok_or_else(|| format!("{:?}", self.mails()))
        })
        .await
    }

    fn mood(&self) -> Mood {
        let mut inner = self.inner.lock().unwrap();
        if inner.moods.is_empty() {
            Mood::Takes
        } else {
            inner.moods.remove(0)
        }
    }

    async fn serve(self, stream: TcpStream) -> std::io::Result<()> {
        let mut stream = BufReader::new(stream);
        stream.write_all(b"220 test\r\n").await?;
        let (mut from, mut to, mut mood) = (String::new(), Vec::new(), Mood::Takes);
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).await? == 0 {
                return Ok(());
            }
            let line = line.trim_end();
            let (verb, rest) = line.split_at(line.len().min(4));
            let address = || rest.split(['<', '>']).nth(1).unwrap_or_default().to_owned();
            let answer: &[u8] = match verb.to_uppercase().as_str() {
                "EHLO" => b"250-test\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n",
                "MAIL" => {
                    from = address();
                    to.clear();
                    mood = self.mood();
                    b"250 ok\r\n"
                }
                "RCPT" => match mood {
                    Mood::Greylists => b"451 4.7.1 later\r\n",
                    Mood::Refuses => b"550 5.1.1 no such user\r\n",
                    _ => {
                        to.push(address());
                        b"250 ok\r\n"
                    }
                },
                "DATA" => {
                    stream.write_all(b"354 go\r\n").await?;
                    let Some(source) = read_mail(&mut stream).await? else {
                        return Ok(());
                    };
                    match mood {
                        Mood::IsFull => b"452 4.3.1 full\r\n",
                        Mood::RefusesAfterReading => b"554 5.6.0 spam\r\n",
                        _ => {
                            let (from, to) = (from.clone(), to.clone());
                            let mail = Mail { from, to, source };
                            self.inner.lock().unwrap().mails.push(mail);
                            match mood {
                                Mood::HangsUp => return Ok(()),
                                Mood::IsSilent => std::future::pending().await,
                                _ => b"250 ok\r\n",
                            }
                        }
                    }
                }
                "QUIT" => b"221 bye\r\n",
                _ => b"502 what\r\n",
            };
            stream.write_all(answer).await?;
        }
    }
}

/// A mail up to its end; nothing when the link ended before.
async fn read_mail(stream: &mut BufReader<TcpStream>) -> std::io::Result<Option<String>> {
    let mut source = String::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(None);
        }
        let line = line.trim_end_matches(['\r', '\n']);
        if line == "." {
            return Ok(Some(source));
        }
        source.push_str(line.strip_prefix('.').unwrap_or(line));
        source.push('\n');
    }
}
