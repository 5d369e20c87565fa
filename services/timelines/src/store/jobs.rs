//! Jobs: posts that are made behind.

use std::time::Duration;

use chassis::{Error, Text, clock};
use messaging::Event;
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait as _, Condition, DatabaseTransaction, EntityTrait as _, QueryFilter as _,
    QueryOrder as _, QuerySelect as _,
    sea_query::{Expr, OnConflict},
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Store, entity::job};
use crate::model::{Job, JobState, NewPost, RepostUrl};

/// How long the fate of a job can be asked for.
const KEPT: Duration = Duration::from_hours(7 * 24);
/// How often older ones are forgotten.
const PRUNING: Duration = Duration::from_hours(1);

/// A job that waits for longer has lost its message.
const OVERDUE: Duration = Duration::from_mins(1);
/// Jobs that are looked for at once.
const BATCH: u64 = 100;

const QUEUED: &str = "queued";
const DONE: &str = "done";
const FAILED: &str = "failed";

/// Somebody wants a post to be made: a message of this service to itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PostQueued {
    /// The job, whose row says everything else.
    pub(crate) job_id: Uuid,
}

/// A job that waits for its turn.
#[derive(Debug, Clone)]
pub(crate) struct Waiting {
    pub(crate) user_id: i64,
    /// Ids of jobs that have one turn, as all from before there were turns, are in the order of time.
    job_id: Uuid,
    turn: i64,
}

impl Event for PostQueued {
    const TYPE: &'static str = "timelines.queued";

    fn subject(&self) -> String {
        self.job_id.to_string()
    }
}

impl Store {
    /// Notes a post to be made, and queues it, unless that was done before.
    pub(crate) async fn insert_job(&self, new: &NewPost, job_id: Uuid) -> Result<(), Error> {
        let row = job::ActiveModel {
            job_id: Set(job_id.to_string()),
            user_id: Set(new.user_id),
            username: Set(new.username.clone()),
            text: Set(new.text.as_str().to_owned()),
            repost_original_url: Set(new
                .repost_original_url
                .as_ref()
                .map(|url| url.as_str().to_owned())),
            state: Set(QUEUED.into()),
            post_id: Set(None),
            reason: Set(None),
            created_at: Set(clock::now()),
            finished_at: Set(None),
            turn: Set(0),
        };
        let transaction = self.connection.begin().await?;
        // Whoever asks after an answer comes after it: that one is committed. Of two that ask at
        // once, which have no order, both may have one turn.
        let row = job::ActiveModel {
            turn: Set(last_turn(&transaction, new.user_id).await? + 1),
            ..row
        };
        let once = OnConflict::column(job::Column::JobId)
            .do_nothing()
            .to_owned();
        let inserted = job::Entity::insert(row)
            .on_conflict(once)
            .exec_without_returning(&transaction)
            .await?;
        if inserted > 0 {
            self.outbox
                .insert(&transaction, &PostQueued { job_id })
                .await?;
            self.outbox.commit(transaction).await?;
        }
        Ok(())
    }

    /// The job with this id.
    pub(crate) async fn find_job(&self, id: Uuid) -> Result<Option<Job>, Error> {
        let row = job::Entity::find_by_id(id.to_string())
            .one(&self.connection)
            .await?;
        Ok(row.map(|row| Job {
            id,
            user_id: row.user_id,
            state: match (row.state.as_str(), row.post_id) {
                (DONE, Some(post_id)) => JobState::Done { post_id },
                (FAILED, _) => JobState::Failed {
                    reason: row.reason.unwrap_or_default(),
                },
                _ => JobState::Queued,
            },
        }))
    }

    /// A job, if it waits.
    pub(crate) async fn waiting_job(&self, id: Uuid) -> Result<Option<Waiting>, Error> {
        let row = job::Entity::find_by_id(id.to_string())
            .filter(job::Column::State.eq(QUEUED))
            .one(&self.connection)
            .await?;
        Ok(row.map(|row| Waiting {
            user_id: row.user_id,
            job_id: id,
            turn: row.turn,
        }))
    }

    /// The first of those that wait of one author, up to a job.
    pub(crate) async fn next_job(&self, last: &Waiting) -> Result<Option<Uuid>, Error> {
        let same_turn = Condition::all()
            .add(job::Column::Turn.eq(last.turn))
            .add(job::Column::JobId.lte(last.job_id.to_string()));
        let up_to = Condition::any()
            .add(job::Column::Turn.lt(last.turn))
            .add(same_turn);
        let first = job::Entity::find()
            .select_only()
            .column(job::Column::JobId)
            .filter(job::Column::UserId.eq(last.user_id))
            .filter(job::Column::State.eq(QUEUED))
            .filter(up_to)
            .order_by_asc(job::Column::Turn)
            .order_by_asc(job::Column::JobId)
            .into_tuple::<String>()
            .one(&self.connection)
            .await?;
        Ok(first.and_then(|id| id.parse().ok()))
    }

    /// Makes the post of a job; the state that the job is in then, `None` when it was done
    /// before or is unknown.
    ///
    /// The row of the job is its own inbox: whoever takes it out of `queued` makes the post, in
    /// the same transaction, so that there is one however often the message comes.
    pub(crate) async fn run_job(&self, id: Uuid) -> Result<Option<JobState>, Error> {
        let transaction = self.connection.begin().await?;
        if !finish(&transaction, id, DONE).await? {
            return Ok(None);
        }
        let row = job::Entity::find_by_id(id.to_string())
            .one(&transaction)
            .await?;
        let Some(row) = row else { return Ok(None) };
        let state = match wanted(row) {
            Ok(new) => {
                let post_id = self.insert_post_in(&transaction, &new, id).await?.id;
                let post = [(job::Column::PostId, Expr::value(post_id))];
                update(&transaction, id, post).await?;
                JobState::Done { post_id }
            }
            Err(reason) => {
                let failure = [
                    (job::Column::State, Expr::value(FAILED)),
                    (job::Column::Reason, Expr::value(reason.as_str())),
                ];
                update(&transaction, id, failure).await?;
                JobState::Failed { reason }
            }
        };
        self.outbox.commit(transaction).await?;
        Ok(Some(state))
    }

    /// The oldest jobs that have waited for too long.
    pub(crate) async fn overdue_jobs(&self) -> Result<Vec<Uuid>, Error> {
        let ids = job::Entity::find()
            .select_only()
            .column(job::Column::JobId)
            .filter(job::Column::FinishedAt.is_null())
            .filter(job::Column::CreatedAt.lt(clock::now() - OVERDUE))
            .order_by_asc(job::Column::CreatedAt)
            .limit(BATCH)
            .into_tuple::<String>()
            .all(&self.connection)
            .await?;
        Ok(ids.iter().filter_map(|id| id.parse().ok()).collect())
    }

    /// Gives a job up.
    pub(crate) async fn fail_job(&self, id: Uuid, reason: &str) -> Result<(), Error> {
        let transaction = self.connection.begin().await?;
        if finish(&transaction, id, FAILED).await? {
            let reason = [(job::Column::Reason, Expr::value(reason))];
            update(&transaction, id, reason).await?;
        }
        Ok(transaction.commit().await?)
    }

    /// Forgets jobs that ended long ago. Endless.
    pub(super) async fn prune_jobs(self) {
        loop {
            let past = job::Column::FinishedAt.lt(clock::now() - KEPT);
            let pruned = job::Entity::delete_many().filter(past);
            if let Err(error) = pruned.exec(&self.connection).await {
                tracing::warn!(cause = %error, "jobs not pruned");
            }
            tokio::time::sleep(PRUNING).await;
        }
    }
}

/// The last turn of an author's jobs that wait; 0 where none does.
async fn last_turn(transaction: &DatabaseTransaction, user_id: i64) -> Result<i64, Error> {
    let last = job::Entity::find()
        .select_only()
        .column(job::Column::Turn)
        .filter(job::Column::UserId.eq(user_id))
        .filter(job::Column::State.eq(QUEUED))
        .order_by_desc(job::Column::Turn)
        .into_tuple::<i64>()
        .one(transaction);
    Ok(last.await?.unwrap_or_default())
}

/// The post that a job asks for, checked again: rules may have changed since.
fn wanted(row: job::Model) -> Result<NewPost, String> {
    Ok(NewPost {
        user_id: row.user_id,
        username: row.username,
        text: Text::new(&row.text)?,
        repost_original_url: row
            .repost_original_url
            .map(RepostUrl::try_from)
            .transpose()?,
    })
}

/// Takes a job out of `queued`; `false` when somebody did before.
async fn finish(transaction: &DatabaseTransaction, id: Uuid, state: &str) -> Result<bool, Error> {
    let finished = job::Entity::update_many()
        .filter(job::Column::JobId.eq(id.to_string()))
        .filter(job::Column::State.eq(QUEUED))
        .col_expr(job::Column::State, Expr::value(state))
        .col_expr(job::Column::FinishedAt, Expr::value(clock::now()))
        .exec(transaction)
        .await?;
    Ok(finished.rows_affected > 0)
}

async fn update(
    transaction: &DatabaseTransaction,
    id: Uuid,
    values: impl IntoIterator<Item = (job::Column, Expr)>,
) -> Result<(), Error> {
    let own = job::Entity::update_many().filter(job::Column::JobId.eq(id.to_string()));
    let update = values.into_iter().fold(own, |update, (column, value)| {
        update.col_expr(column, value)
    });
    update.exec(transaction).await?;
    Ok(())
}
