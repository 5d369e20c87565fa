//! Accounts that are deleted: their end here, and what the other services answer.

use std::{collections::BTreeMap, time::Duration};

use chassis::{Context, Error};
use messaging::{Broker, farewell};
use metrics::{counter, gauge};

use crate::{
    Users,
    model::User,
    store::{Store, Unanswered},
};

/// How often open deletions are looked at, at most.
const PACE: Duration = Duration::from_mins(1);

impl Users {
    /// Ends an account: once, whoever else does so at the same time.
    ///
    /// # Errors
    /// 401 when it is gone already, as at the next login.
    pub(crate) async fn delete(&self, user: &User) -> Result<(), Error> {
        let ends = self.sessions.last_end();
        if !self.store.delete_user(user, ends).await? {
            return Err(Error::unauthenticated("Invalid email or password"));
        }
        // Were this process to die here, each instance would find it in the store within a second.
        self.sessions.ended_all(user.id, ends);
        counter!("accounts_deleted_total").increment(1);
        tracing::info!(user.id = user.id, "account deleted");
        Ok(())
    }

    /// Names who has not answered, for operators.
    pub(crate) async fn report_deletions(&self) -> Result<(), Error> {
        let open = self.store.unanswered().await?;
        tracing::info!(deletions = open.len(), "deletions that are not finished");
        for deletion in open {
            let Unanswered {
                user_id,
                deleted_at,
                services,
            } = deletion;
            let waits_for = services.join(", ");
            tracing::info!(user.id = user_id, %deleted_at, waits_for, "a deletion is not finished");
        }
        Ok(())
    }
}

/// Collects what services answer.
pub(crate) fn collect(store: &Store, broker: &Broker, context: &Context) {
    let store = store.clone();
    farewell::collect(broker, context, move |service, answer| {
        let store = store.clone();
        async move {
            if store.note_farewell(service, &answer).await? {
                tracing::info!(user.id = answer.user_id, "account forgotten by all");
            }
            Ok(())
        }
    });
}

/// Tells services a second time, measures who has not answered, and forgets what is long over. Endless.
pub(crate) async fn keep_house(store: Store, sweep: Duration) {
    let mut ticks = tokio::time::interval(sweep.min(PACE));
    loop {
        ticks.tick().await;
        if let Err(error) = look(&store, sweep).await {
            tracing::warn!(cause = %error, "deletions are looked at later");
        }
    }
}

async fn look(store: &Store, sweep: Duration) -> Result<(), Error> {
    store.tell_again(sweep).await?;
    let mut missing: BTreeMap<&str, u32> = farewell::SERVICES.map(|name| (name, 0)).into();
    for service in store
        .unanswered()
        .await?
        .iter()
        .flat_map(|one| &one.services)
    {
        *missing.entry(service).or_default() += 1;
    }
    for (service, deletions) in missing {
        gauge!("account_deletions_unanswered", "service" => service).set(deletions);
    }
    store.prune_deletions().await
}
