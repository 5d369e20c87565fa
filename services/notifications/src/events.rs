//! The role `events`: what happens elsewhere becomes mails, one for each whom it concerns.
//!
//! Nothing is remembered of an event but the mails themselves: each carries the event's id and whom
//! it is told (its source), and there is one of each. So an event may come any number of times.

use std::sync::Arc;

use chassis::{Context, Error, clock};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use messaging::{
    Broker, Consumer, Event as _, Failure, Received, Subscription,
    events::{CarPostCreated, ItemAdded, ItemBought, LikesNoticed, OrderPlaced, UserRegistered},
};

use crate::{
    clients::{Contact, PAGE, People},
    jobs::SubscribersDue,
    letters::{Letter, Letters},
    model::{Kind, NewNotification, Recipient},
    store::Store,
};

/// Addresses that are asked for at once.
const AT_ONCE: usize = 8;

/// What concerns somebody by itself.
pub(crate) const CONCERNED: Subscription = Subscription::new(
    "events",
    &[
        UserRegistered::TYPE,
        LikesNoticed::TYPE,
        ItemAdded::TYPE,
        ItemBought::TYPE,
        OrderPlaced::TYPE,
    ],
)
.shared();
/// What people subscribed to.
pub(crate) const SUBSCRIBED: Subscription =
    Subscription::new("subscribers", &[CarPostCreated::TYPE, SubscribersDue::TYPE]).shared();

/// Tells people what happened.
#[derive(Debug)]
pub(crate) struct Teller {
    store: Store,
    people: People,
    letters: Arc<Letters>,
}

impl Teller {
    /// Starts to tell.
    pub(crate) async fn start(
        store: Store,
        letters: Arc<Letters>,
        broker: &Broker,
        context: &Context,
    ) -> anyhow::Result<()> {
        let teller = Arc::new(Self {
            store,
            people: People::connect(context)?,
            letters,
        });
        teller.concerned().start(broker, context).await;
        // A queue of its own: while discussions is away, the others get their mails.
        teller.subscribed().start(broker, context).await;
        Ok(())
    }

    /// Those whom an event concerns by itself.
    fn concerned(self: &Arc<Self>) -> Consumer {
        let (joined, likes, added) = (self.of(), self.of(), self.of());
        let (bought, placed) = (self.of(), self.of());
        Consumer::of(&CONCERNED)
            // S1-18
            .on::<UserRegistered, _, _>(move |event| {
                let teller = joined();
                async move { teller.welcome(event).await }
            })
            // S2-37, D18
            .on::<LikesNoticed, _, _>(move |event| {
                let teller = likes();
                async move {
                    let letter = Letter::Likes(&event.data);
                    let author = (event.data.author_id, "author", letter);
                    teller.tell(&event.id, vec![author]).await
                }
            })
            // S4-13
            .on::<ItemAdded, _, _>(move |event| {
                let teller = added();
                async move {
                    let letter = Letter::ItemAdded(&event.data);
                    let seller = (event.data.seller_id, "seller", letter);
                    teller.tell(&event.id, vec![seller]).await
                }
            })
            // S4-13, D27
            .on::<ItemBought, _, _>(move |event| {
                let teller = bought();
                async move {
                    let (sold, bought) = (
                        Letter::ItemSold(&event.data),
                        Letter::ItemBought(&event.data),
                    );
                    let seller = (event.data.seller_id, "seller", sold);
                    let buyer = (event.data.buyer_id, "buyer", bought);
                    teller.tell(&event.id, vec![seller, buyer]).await
                }
            })
            // D14
            .on::<OrderPlaced, _, _>(move |event| {
                let teller = placed();
                async move {
                    let letter = Letter::Order(&event.data);
                    let customer = (event.data.user_id, "customer", letter);
                    teller.tell(&event.id, vec![customer]).await
                }
            })
    }

    /// Those who subscribed to what it is about (D10).
    fn subscribed(self: &Arc<Self>) -> Consumer {
        let (first, next) = (self.of(), self.of());
        Consumer::of(&SUBSCRIBED)
            .on::<CarPostCreated, _, _>(move |event| {
                let teller = first();
                async move { teller.tell_subscribers(&due(event)).await }
            })
            .on::<SubscribersDue, _, _>(move |job| {
                let teller = next();
                async move { teller.tell_subscribers(&job.data).await }
            })
    }

    fn of(self: &Arc<Self>) -> impl Fn() -> Arc<Self> + Send + Sync + use<> {
        let teller = Arc::clone(self);
        move || Arc::clone(&teller)
    }

    /// Leaves a note for somebody who is new: whoever types an address in a form that is not theirs
    /// sends nobody a mail (`docs/adr/0024`).
    async fn welcome(&self, event: Received<UserRegistered>) -> Result<(), Failure> {
        let newcomer = event.data;
        let written = self.letters.write(&Letter::Welcome, &newcomer.username)?;
        let note = NewNotification {
            id: clock::id().to_string(),
            user_id: newcomer.user_id,
            kind: Kind::Note,
            recipient: Recipient::person(&newcomer.username),
            subject: written.subject,
            message: written.body.text.clone(),
            body: written.body,
            source: Some(format!("{}/newcomer", event.id)),
        };
        Ok(self.store.insert_told(&[note], None).await?)
    }

    /// Tells each of these people in their role in the event.
    async fn tell(
        &self,
        event_id: &str,
        told: Vec<(i64, &'static str, Letter<'_>)>,
    ) -> Result<(), Failure> {
        let mut mails = Vec::new();
        for (user_id, role, letter) in told {
            if let Some(contact) = self.people.contact(user_id).await? {
                mails.push(self.mail(format!("{event_id}/{role}"), &contact, &letter)?);
            }
        }
        Ok(self.store.insert_told(&mails, None).await?)
    }

    /// Tells the next subscribers, and has those after them told: however many there are, each try
    /// is short.
    async fn tell_subscribers(&self, due: &SubscribersDue) -> Result<(), Failure> {
        let subscribers = self.people.subscribers(due).await?;
        let next = (subscribers.len() >= PAGE as usize)
            .then(|| subscribers.last())
            .flatten()
            .map(|last| SubscribersDue {
                after_user_id: *last,
                ..due.clone()
            });
        // Who wrote it knows of it.
        let others = subscribers.into_iter().filter(|id| *id != due.author_id);
        let contacts: Vec<Option<Contact>> = stream::iter(others)
            .map(|id| self.people.contact(id))
            .buffered(AT_ONCE)
            .try_collect()
            .await?;
        let letter = Letter::CarPost(due);
        let mails: Result<Vec<_>, Error> = contacts
            .iter()
            .flatten()
            .map(|contact| {
                let source = format!("{}/subscriber/{}", due.event_id, contact.user_id);
                self.mail(source, contact, &letter)
            })
            .collect();
        Ok(self.store.insert_told(&mails?, next.as_ref()).await?)
    }

    fn mail(
        &self,
        source: String,
        contact: &Contact,
        letter: &Letter<'_>,
    ) -> Result<NewNotification, Error> {
        let written = self.letters.write(letter, &contact.username)?;
        Ok(NewNotification {
            id: clock::id().to_string(),
            user_id: contact.user_id,
            kind: Kind::Email,
            recipient: contact.address.clone(),
            subject: written.subject,
            message: written.body.text.clone(),
            body: written.body,
            source: Some(source),
        })
    }
}

fn due(event: Received<CarPostCreated>) -> SubscribersDue {
    SubscribersDue {
        event_id: event.id,
        post_id: event.data.post_id,
        author_id: event.data.user_id,
        title: event.data.title,
        car_model: event.data.car_model,
        after_user_id: 0,
    }
}
