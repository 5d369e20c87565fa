//! The role `mail`: sends what is queued, each notification at most once.
//!
//! Two things are written down around the one step that cannot be undone: before it, that this
//! process sends (`sending`); after it, that it is sent. Whoever finds a notification `sending`
//! with nobody left who could be doing that leaves it to a person, by way of the dead letters
//! (`docs/adr/0015`).

use std::{sync::Arc, time::Duration};

use chassis::{Context, Error, clock};
use chrono::TimeDelta;
use messaging::{Broker, Consumer, Event as _, Failure, Received, Subscription};
use tokio::time::Instant;
use tracing::Instrument as _;

use crate::{
    jobs::Queued,
    metrics,
    model::{Kind, Notification, Status, Step},
    smtp::{Mailer, Ready, Trouble},
    store::Store,
};

/// In the sender, when the server waits for the mail and nothing is written down yet.
pub const BEFORE_CLAIM: &str = "mail-before-claim";
/// In the sender, when it is written down and the mail is not sent yet.
pub const BEFORE_SEND: &str = "mail-before-send";
/// In the sender, when the server has the mail and that is not written down yet.
pub const BEFORE_SENT: &str = "mail-before-sent";

/// What is to be sent.
pub(crate) const MAILS: Subscription = Subscription::new("mail", &[Queued::TYPE]).shared();
/// Notifications that are sent at once.
const AT_ONCE: u16 = 16;
/// The pause between two tries to write down what is sent.
const PAUSE: Duration = Duration::from_millis(250);
/// What is known where a process left a notification `sending`.
const ENDED: &str = "the process that sent it ended just then";
/// Why it may or may not have arrived.
const UNCLEAR: &str = "whether it was sent is not known";

/// Sends notifications.
#[derive(Debug)]
pub(crate) struct Sender {
    store: Store,
    mailer: Mailer,
    broker: Broker,
    context: Context,
}

impl Sender {
    /// Starts to send what is queued.
    pub(crate) async fn start(store: Store, mailer: Mailer, broker: &Broker, context: &Context) {
        // Asking, sending, writing it down.
        let deadline = mailer.timeout() * 3 + PAUSE;
        let sender = Arc::new(Self {
            store,
            mailer,
            broker: broker.clone(),
            context: context.clone(),
        });
        Consumer::of(&MAILS)
            .on::<Queued, _, _>(move |job| Arc::clone(&sender).handle(job))
            .prefetch(AT_ONCE)
            .deadline(deadline)
            .start(broker, context)
            .await;
    }

    async fn handle(self: Arc<Self>, job: Received<Queued>) -> Result<(), Failure> {
        let id = &job.data.notification_id;
        let Some(notification) = self.store.find(id).await? else {
            tracing::warn!(notification.id = id, "nothing to send: it was forgotten");
            return Ok(());
        };
        match notification.step(job.replayed, self.patience(), clock::now()) {
            Step::Done => Ok(()),
            Step::Wait if !job.last => Err(again("another process is sending it")),
            Step::Wait | Step::Doubt => match &notification.reason {
                // It was left to a person before, and the broker says it again.
                Some(reason) if notification.status == Status::Unclear => {
                    Err(Failure::reject(reason))
                }
                _ => self.doubt(&notification, ENDED).await,
            },
            Step::Send => match notification.content.kind {
                Kind::Email => self.mail(notification, job.last).await,
                Kind::Sms => self.simulate(&notification).await,
                // It is where it belongs from the beginning.
                Kind::Note => Ok(()),
            },
        }
    }

    /// The longest that a process which is alive leaves a notification `sending`.
    fn patience(&self) -> TimeDelta {
        // Sending, and writing it down.
        TimeDelta::from_std(self.mailer.timeout() * 2).unwrap_or(TimeDelta::MAX)
    }

    /// S1-08: an SMS goes no farther than the log, which does not say to whom.
    async fn simulate(&self, notification: &Notification) -> Result<(), Failure> {
        let begun = Instant::now();
        let id = &notification.content.id;
        if self.store.claim(notification).await? {
            tracing::info!(notification.id = id, "sms sent (simulated)");
            self.store.sent(id).await?;
            metrics::tried(Kind::Sms, "sent", begun.elapsed());
        }
        Ok(())
    }

    async fn mail(self: Arc<Self>, notification: Notification, last: bool) -> Result<(), Failure> {
        let begun = Instant::now();
        let ready = match self.mailer.prepare(&notification).await {
            Ok(ready) => ready,
            Err(trouble) => {
                return self
                    .conclude(&notification, last, begun, Err(trouble))
                    .await;
            }
        };
        self.broker.failpoints().reach(BEFORE_CLAIM).await;
        if !self.store.claim(&notification).await? {
            return Err(again("another process is sending it"));
        }
        self.broker.failpoints().reach(BEFORE_SEND).await;
        // Whatever becomes of this delivery: what is begun is written down.
        let finishing = Arc::clone(&self).finish(notification, ready, last, begun);
        match self.context.tasks.spawn(finishing.in_current_span()).await {
            Ok(finished) => finished,
            Err(error) => Err(Failure::of(error)),
        }
    }

    async fn finish(
        self: Arc<Self>,
        notification: Notification,
        ready: Ready,
        last: bool,
        begun: Instant,
    ) -> Result<(), Failure> {
        let sent = ready.send().await;
        if sent.is_ok() {
            self.broker.failpoints().reach(BEFORE_SENT).await;
        }
        self.conclude(&notification, last, begun, sent).await
    }

    /// Writes down what became of a try, and says what shall become of the delivery.
    async fn conclude(
        &self,
        notification: &Notification,
        last: bool,
        begun: Instant,
        sent: Result<(), Trouble>,
    ) -> Result<(), Failure> {
        let id = &notification.content.id;
        let (result, ended) = match sent {
            Ok(()) => {
                self.record(id).await?;
                ("sent", Ok(()))
            }
            Err(Trouble::Permanent(reason)) => {
                tracing::info!(notification.id = id, reason, "mail refused");
                self.not_sent(notification, Status::Failed, &reason).await?;
                ("failed", Ok(()))
            }
            Err(Trouble::Temporary(reason)) if last => {
                self.not_sent(notification, Status::Failed, &reason).await?;
                ("failed", Err(again(&reason)))
            }
            Err(Trouble::Temporary(reason)) => {
                self.not_sent(notification, Status::Queued, &reason).await?;
                ("retried", Err(again(&reason)))
            }
            Err(Trouble::Unclear(reason)) => ("unclear", self.doubt(notification, &reason).await),
        };
        metrics::tried(Kind::Email, result, begun.elapsed());
        ended
    }

    async fn not_sent(
        &self,
        notification: &Notification,
        status: Status,
        reason: &str,
    ) -> Result<(), Error> {
        let attempts = notification.attempts + 1;
        self.store
            .not_sent(&notification.content.id, status, attempts, reason)
            .await
    }

    /// Leaves it to a person: it fails, and its dead letter sends it again when replayed.
    async fn doubt(&self, notification: &Notification, reason: &str) -> Result<(), Failure> {
        let reason = format!("{UNCLEAR}: {reason}");
        let attempts = notification.attempts.max(1);
        self.store
            .not_sent(&notification.content.id, Status::Unclear, attempts, &reason)
            .await?;
        Err(Failure::reject(reason))
    }

    /// Writes down that it is sent: a store that is away for a moment must not make that unclear.
    async fn record(&self, id: &str) -> Result<(), Failure> {
        let deadline = Instant::now() + self.mailer.timeout();
        loop {
            match self.store.sent(id).await {
                Ok(()) => return Ok(()),
                Err(error) if Instant::now() > deadline => return Err(Failure::of(error)),
                Err(error) => {
                    tracing::warn!(cause = %error, notification.id = id, "sent, but not written down yet");
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

fn again(reason: &str) -> Failure {
    Failure::Retry(anyhow::anyhow!("{reason}"))
}
