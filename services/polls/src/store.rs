//! The only place with document queries: inserts and reads by `_id`, but for what a deleted account leaves.
//!
//! A vote is two inserts. The ballot, `<poll>/<user>`, settles that it is the only one. The vote
//! itself, `<poll>.<n>`, counts it: it carries the counts of all options, so that the last one of
//! a poll is its result. Votes of a poll are a chain: [`Chains`].
//!
//! Whoever is killed between the two leaves a ballot that does not count. The next one who asks
//! for it counts it, and nobody twice: to be added, a vote has to pass by every vote behind
//! [`Ballot::after`], and its own is among those if it was added before.

use std::{sync::Arc, time::Duration};

use chassis::{
    Context, Error,
    documents::{self, Chains, Collection, Database, Link, turn},
};
use futures_util::TryStreamExt as _;
use messaging::events::UserDeleted;
use moka::sync::Cache;
use mongodb::bson::doc;
use serde::Deserialize;
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

use crate::model::{Ballot, NewBallot, Poll, PollId, Vote};

/// Polls that are remembered, with their last vote.
const REMEMBERED: u64 = 10_000;

/// After this time a poll is read again: its author may have deleted their account.
const KNOWN_FOR: Duration = Duration::from_mins(1);
/// What a walk over all polls, or all ballots, may take; the embedded store needs 40 µs for each.
const WALK_DEADLINE: Duration = Duration::from_mins(1);

/// What became of somebody's wish to vote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Voted {
    /// It counts; these are the counts with it.
    Now(Vec<i64>),
    /// They have voted before.
    Before,
}

/// The collections. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    database: Database,
    polls: Collection<Poll>,
    ballots: Collection<Ballot>,
    votes: Chains<Vote>,
    known: Cache<PollId, Arc<Poll>>,
    tasks: TaskTracker,
}

impl Store {
    pub(crate) async fn open(context: &Context, url: &str, name: &str) -> anyhow::Result<Self> {
        let database = documents::connect(context, url, name).await?;
        Ok(Self {
            polls: database.collection("polls"),
            ballots: database.collection("ballots"),
            votes: Chains::new(&database, "votes", REMEMBERED),
            known: Cache::builder()
                .max_capacity(REMEMBERED)
                .time_to_live(KNOWN_FOR)
                .build(),
            tasks: context.tasks.clone(),
            database,
        })
    }

    pub(crate) fn database(&self) -> &Database {
        &self.database
    }

    pub(crate) async fn ping(&self) -> Result<(), Error> {
        self.database.ping().await
    }

    /// Inserts a poll. The id is that of the request: where it is taken, an earlier try of the
    /// same one was cut off, and the poll that it made is the answer.
    pub(crate) async fn insert(&self, poll: Poll) -> Result<Arc<Poll>, Error> {
        if self.polls.insert("polls.insert", &poll).await? {
            Ok(Arc::new(poll))
        } else {
            self.get(poll.id).await
        }
    }

    /// The poll, or 404.
    pub(crate) async fn get(&self, id: PollId) -> Result<Arc<Poll>, Error> {
        if let Some(poll) = self.known.get(&id) {
            return Ok(poll);
        }
        let found = self.polls.find("polls.find", &id).await?;
        let poll = Arc::new(found.ok_or_else(|| Error::not_found("Poll not found"))?);
        self.known.insert(id, Arc::clone(&poll));
        Ok(poll)
    }

    /// How many votes each option has.
    pub(crate) async fn counts(&self, poll: &Poll) -> Result<Vec<i64>, Error> {
        let latest = self.votes.latest(&poll.id.to_string()).await?;
        Ok(latest.map_or_else(|| poll.no_votes(), |latest| latest.state.counts.clone()))
    }

    /// Votes, to the end, even when the client goes away meanwhile: a ballot shall count.
    pub(crate) async fn vote(&self, poll: Arc<Poll>, new: NewBallot) -> Result<Voted, Error> {
        let store = self.clone();
        let work = async move { store.settle(&poll, &new).await };
        let work = self.tasks.spawn(work.in_current_span());
        work.await.map_err(Error::internal)?
    }

    async fn settle(&self, poll: &Poll, new: &NewBallot) -> Result<Voted, Error> {
        let key = poll.id.to_string();
        let turns = self.votes.turns(&key);
        let _turn = turn(&turns).await?;
        let latest = self.votes.latest(&key).await?;
        let (last, counts) = match latest {
            Some(latest) => (latest.number, latest.state.counts.clone()),
            None => (0, poll.no_votes()),
        };
        let ballot = Ballot::new(poll.id, new, last);
        if self.ballots.insert("ballots.insert", &ballot).await? {
            let counts = self.count(&key, new.user_id, &ballot, counts).await?;
            return Ok(Voted::Now(counts));
        }
        self.complete(poll, new, &ballot.id).await
    }

    /// Counts the ballot of somebody who has one, unless that is done.
    async fn complete(&self, poll: &Poll, new: &NewBallot, id: &str) -> Result<Voted, Error> {
        let key = poll.id.to_string();
        let ballot = self.ballots.find("ballots.find", &id).await?;
        let ballot = ballot.ok_or_else(vanished)?;
        let before = match ballot.after {
            0 => None,
            after => self.votes.find(&key, after).await?,
        };
        let counts = before.map_or_else(|| poll.no_votes(), |vote| vote.counts);
        let counts = self.count(&key, new.user_id, &ballot, counts).await?;
        if ballot.operation == new.operation {
            return Ok(Voted::Now(counts));
        }
        Ok(Voted::Before)
    }

    /// Counts a ballot, unless that is done; `counts` are those of the vote it comes after.
    ///
    /// Returns the counts with it.
    async fn count(
        &self,
        key: &str,
        user_id: i64,
        ballot: &Ballot,
        mut counts: Vec<i64>,
    ) -> Result<Vec<i64>, Error> {
        let mut number = ballot.after + 1;
        loop {
            let vote = Vote::after(&counts, user_id, ballot.choice);
            if self.votes.append(key, number, vote.clone()).await? {
                return Ok(vote.counts);
            }
            let other = self.votes.find(key, number).await?.ok_or_else(vanished)?;
            (counts, number) = (other.counts, number + 1);
            if other.user_id == user_id {
                return Ok(counts);
            }
        }
    }
}

impl Store {
    /// Takes the name of somebody whose account is deleted from the polls that they began, and their number from their votes.
    /// Polls and counts stay: others have voted there, and a count is nobody's. Done again, it goes on where it was.
    pub(crate) async fn forget(&self, gone: &UserDeleted) -> Result<(), Error> {
        let name = gone.username.replace('.', "\\.");
        let theirs = doc! { "created_by": { "$regex": format!("^{name}$"), "$options": "i" } };
        let find = |polls: mongodb::Collection<Named>| async move {
            let found = polls.find(theirs).projection(doc! { "_id": 1 });
            found.await?.try_collect::<Vec<_>>().await
        };
        let polls = self.polls.with_type::<Named>();
        for poll in polls
            .run_within(WALK_DEADLINE, "polls.find_of", find)
            .await?
        {
            let nobody = doc! { "created_by": "" };
            self.polls.set("polls.forget", &poll.id, nobody).await?;
            if let Ok(id) = poll.id.parse::<PollId>() {
                self.known.invalidate(&id);
            }
        }
        self.forget_votes(gone.user_id).await
    }

    async fn forget_votes(&self, user_id: i64) -> Result<(), Error> {
        let theirs = doc! { "_id": { "$regex": format!("/{user_id}$") } };
        let find = |ballots: mongodb::Collection<Ballot>| async move {
            ballots.find(theirs).await?.try_collect::<Vec<_>>().await
        };
        let ballots = self
            .ballots
            .run_within(WALK_DEADLINE, "ballots.find_of", find);
        for ballot in ballots.await? {
            if let Some((key, _)) = ballot.id.split_once('/') {
                self.forget_vote(key, user_id, ballot.after).await?;
            }
            self.ballots.remove("ballots.forget", &ballot.id).await?;
        }
        Ok(())
    }

    /// A vote of nobody counts as before. It is behind `after`, where it was counted at all.
    async fn forget_vote(&self, key: &str, user_id: i64, after: u64) -> Result<(), Error> {
        let mut number = after + 1;
        while let Some(vote) = self.votes.find(key, number).await? {
            if vote.user_id == user_id {
                let id = Link::<Vote>::id(key, number);
                let nobody = doc! { "state.user_id": 0_i64 };
                let votes = self.votes.collection();
                votes.set("votes.forget", &id, nobody).await?;
                return Ok(());
            }
            number += 1;
        }
        Ok(())
    }
}

/// A poll, for its id alone.
#[derive(Debug, Deserialize)]
struct Named {
    #[serde(rename = "_id")]
    id: String,
}

fn vanished() -> Error {
    Error::internal(anyhow::anyhow!("a document vanished that nobody removes"))
}
