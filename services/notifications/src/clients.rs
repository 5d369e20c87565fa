//! The peers that `notifications` calls.

use chassis::{Call, Code, Context, Error};
use proto::{discussions::SubscribersRequest, users::GetRequest};

use crate::{
    jobs::SubscribersDue,
    model::{Carrier, Recipient},
};

chassis::peer! {
    /// Where mail for a person goes.
    struct Users { contact => proto::users::UsersContact }
}

chassis::peer! {
    /// Who subscribed to a model of car (D10).
    struct Discussions { subscribers => proto::discussions::DiscussionsSubscribers }
}

/// Subscribers that are told in one go.
pub(crate) const PAGE: u32 = 100;

/// Somebody who can be mailed.
#[derive(Debug, Clone)]
pub(crate) struct Contact {
    pub(crate) user_id: i64,
    pub(crate) username: String,
    pub(crate) address: Recipient,
}

/// The people to be told.
#[derive(Debug, Clone)]
pub(crate) struct People {
    users: Users,
    discussions: Discussions,
}

/// The calls that telling people needs.
pub(crate) fn calls() -> Vec<Call> {
    [Users::CALLS, Discussions::CALLS].concat()
}

impl People {
    pub(crate) fn connect(context: &Context) -> anyhow::Result<Self> {
        Ok(Self {
            users: Users::connect(context)?,
            discussions: Discussions::connect(context)?,
        })
    }

    /// How a person is reached; `None` for somebody who has no account any more, or no address that
    /// mail could go to.
    ///
    /// # Errors
    /// 503 while `users` is away.
    pub(crate) async fn contact(&self, user_id: i64) -> Result<Option<Contact>, Error> {
        let found = match self.users.contact(GetRequest { id: user_id }).await {
            Ok(found) => found,
            Err(error) if error.code() == Code::NotFound => {
                tracing::info!(user.id = user_id, "nobody to tell: the account is gone");
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let Ok(address) = Recipient::new(Carrier::Email, &found.email) else {
            tracing::warn!(
                user.id = user_id,
                "nobody to tell: mail cannot go to the address"
            );
            return Ok(None);
        };
        Ok(Some(Contact {
            user_id,
            username: found.username,
            address,
        }))
    }

    /// The next subscribers to tell, by growing id.
    ///
    /// # Errors
    /// 503 while `discussions` is away.
    pub(crate) async fn subscribers(&self, due: &SubscribersDue) -> Result<Vec<i64>, Error> {
        let request = SubscribersRequest {
            car_model: due.car_model.clone(),
            after_user_id: due.after_user_id,
            limit: PAGE,
        };
        Ok(self.discussions.subscribers(request).await?.user_ids)
    }
}
