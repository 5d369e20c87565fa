//! The route table of `notifications` (S1-05, D13).

use std::sync::Arc;

use chassis::{Answer, Auth, Code, Error, Page, Request, Route, Text, clock};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    Notifications,
    letters::Letter,
    model::{
        self, Body, Carrier, Kind, LONGEST_SMS, Message, NewNotification, Recipient, Status,
        Subject,
    },
    store::Key,
};

type Answered<T> = Result<Answer<T>, Error>;

/// The subject of a mail whose sender named none.
const SUBJECT: &str = "Notification";

pub(crate) fn routes() -> Vec<Route<Notifications>> {
    vec![
        Route::post("/notifications/send", send)
            .idempotent()
            .answers(StatusCode::ACCEPTED)
            .fails(&[Code::TooManyRequests])
            .id("sendNotification")
            .summary("Sends a mail or a text message to one recipient; ten a minute"),
        Route::get("/notifications", list)
            .auth(Auth::Required)
            .paged()
            .id("listNotifications")
            .summary("One's own notifications: asked for, or told of events"),
        Route::get("/notifications/{id}", by_id)
            .auth(Auth::Required)
            .id("getNotification")
            .place::<Text<1, 64>>("id", "The notification")
            .summary("What became of a notification of one's own"),
    ]
}

#[derive(Debug, Deserialize, ToSchema)]
#[schema(title = "NotificationRequest")]
#[schema(examples(json!({
    "type": "email",
    "recipient": "ada@example.com",
    "subject": "Your car",
    "message": "It is ready to be fetched.",
})))]
pub(crate) struct SendRequest {
    /// `email` or `sms`, in any case.
    #[serde(rename = "type")]
    carrier: Carrier,
    /// One e-mail address, or one phone number.
    #[schema(min_length = 1, max_length = 254)]
    recipient: String,
    /// What is said; 1600 characters at most in an SMS.
    message: Message,
    /// The subject of a mail, 1 to 200 characters in one line.
    #[schema(min_length = 1, max_length = 200)]
    subject: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(title = "QueuedNotification")]
pub(crate) struct SendResponse {
    message: String,
    notification: NotificationResponse,
}

/// A notification as its sender is answered.
#[derive(Debug, Serialize, ToSchema)]
#[schema(title = "Notification")]
pub(crate) struct NotificationResponse {
    id: String,
    #[serde(rename = "type")]
    kind: Kind,
    /// An e-mail address, a phone number, or the reader of a note.
    recipient: String,
    /// `queued`, `sent` or `failed`.
    status: &'static str,
}

/// A notification with its fate.
#[derive(Debug, Serialize, ToSchema)]
#[schema(title = "NotificationFate")]
pub(crate) struct FateResponse {
    #[serde(flatten)]
    notification: NotificationResponse,
    subject: String,
    message: String,
    /// Why it is not sent, or not yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    attempts: i32,
    #[schema(format = DateTime)]
    created_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    sent_at: Option<String>,
}

impl NotificationResponse {
    fn of(content: NewNotification, status: Status) -> Self {
        Self {
            id: content.id,
            kind: content.kind,
            recipient: content.recipient.as_str().to_owned(),
            status: status.shown(),
        }
    }
}

impl From<model::Notification> for FateResponse {
    fn from(notification: model::Notification) -> Self {
        let content = notification.content;
        Self {
            subject: content.subject.as_str().to_owned(),
            message: content.message.clone(),
            notification: NotificationResponse::of(content, notification.status),
            reason: notification.reason,
            attempts: notification.attempts,
            created_at: clock::text(notification.created_at),
            sent_at: notification.sent_at.map(clock::text),
        }
    }
}

/// S1-05, D13
async fn send(
    notifications: Arc<Notifications>,
    request: Request,
    body: SendRequest,
) -> Answered<SendResponse> {
    let carrier = body.carrier;
    let new = notifications.asked(&request, body)?;
    notifications.store.insert_asked(&new).await?;
    let message = format!(
        "{} notification sent to {}",
        carrier.name(),
        new.recipient.as_str()
    );
    Ok(SendResponse {
        message,
        notification: NotificationResponse::of(new, Status::Queued),
    }
    .into())
}

impl Notifications {
    /// What a request asks for, if it may.
    fn asked(&self, request: &Request, body: SendRequest) -> Result<NewNotification, Error> {
        let caller = request.caller()?;
        let carrier = body.carrier;
        let recipient = Recipient::new(carrier, &body.recipient)
            .map_err(|wrong| Error::unacceptable(wrong).at("/recipient"))?;
        let subject = body.subject.as_deref().map_or_else(
            || Ok(Subject::of(SUBJECT)),
            |subject| {
                Subject::new(subject).map_err(|wrong| Error::unacceptable(wrong).at("/subject"))
            },
        )?;
        let message = body.message.into_string();
        let body = match carrier {
            Carrier::Email => {
                let letter = Letter::Message {
                    subject: &subject,
                    message: &message,
                    sender: &caller.username,
                };
                self.letters.write(&letter, &caller.username)?.body
            }
            Carrier::Sms if message.chars().count() > LONGEST_SMS => {
                let message =
                    format!("message must have at most {LONGEST_SMS} characters in an SMS");
                return Err(Error::unacceptable(message).at("/message"));
            }
            Carrier::Sms => Body::default(),
        };
        Ok(NewNotification {
            id: request.operation().to_string(),
            user_id: caller.user_id,
            kind: carrier.into(),
            recipient,
            subject,
            message,
            body,
            source: None,
        })
    }
}

/// D13
async fn list(notifications: Arc<Notifications>, request: Request) -> Answered<Vec<FateResponse>> {
    let page: Page<Key> = request.page()?;
    let user_id = request.caller()?.user_id;
    let rows = notifications.store.list(user_id, &page).await?;
    let key = |row: &model::Notification| (row.created_at.into(), row.content.id.clone());
    page.answer(&request, rows, key, FateResponse::from)
}

/// D13
async fn by_id(notifications: Arc<Notifications>, request: Request) -> Answered<FateResponse> {
    let id: Text<1, 64> = request.param("id")?;
    let user_id = request.caller()?.user_id;
    let found = notifications.store.find(id.as_str()).await?;
    // Whose it is not does not learn that it exists.
    let own = found.filter(|found| found.content.user_id == user_id);
    let own = own.ok_or_else(|| Error::not_found("There is no such notification of yours"))?;
    Ok(FateResponse::from(own).into())
}
