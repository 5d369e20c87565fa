//! Polls, votes and their rules.

use std::{fmt, str::FromStr};

use chassis::{Error, Text};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// How many options a poll has (D17).
const OPTIONS: std::ops::RangeInclusive<usize> = 2..=4;

/// What is asked.
pub type Question = Text<1, 500>;
/// One possible answer.
pub type OptionText = Text<1, 200>;

/// A text that is no id: there is no poll of that name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoId;

impl fmt::Display for NoId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("this is no id of a poll")
    }
}

/// The id of a poll.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct PollId(Uuid);

impl fmt::Display for PollId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(formatter)
    }
}

impl FromStr for PollId {
    type Err = NoId;

    /// Takes the one spelling that is given out: a thing has one address.
    fn from_str(text: &str) -> Result<Self, NoId> {
        let id = Self(Uuid::try_parse(text).map_err(|_| NoId)?);
        if id.to_string() == text {
            Ok(id)
        } else {
            Err(NoId)
        }
    }
}

impl From<Uuid> for PollId {
    fn from(id: Uuid) -> Self {
        Self(id)
    }
}

impl From<PollId> for String {
    fn from(id: PollId) -> Self {
        id.to_string()
    }
}

impl TryFrom<String> for PollId {
    type Error = NoId;

    fn try_from(text: String) -> Result<Self, NoId> {
        text.parse()
    }
}

/// The answers that a poll offers: 2 to 4. Equal ones are as good as others: a vote names a place.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, ToSchema)]
#[schema(title = "PollOptions")]
#[serde(try_from = "Vec<OptionText>")]
#[schema(value_type = Vec<OptionText>, min_items = 2, max_items = 4)]
pub struct Options(Vec<String>);

impl TryFrom<Vec<OptionText>> for Options {
    type Error = String;

    fn try_from(options: Vec<OptionText>) -> Result<Self, String> {
        if !OPTIONS.contains(&options.len()) {
            let (least, most) = (OPTIONS.start(), OPTIONS.end());
            return Err(format!(
                "a poll has {least} to {most} options, this one has {}",
                options.len()
            ));
        }
        Ok(Self(
            options.into_iter().map(OptionText::into_string).collect(),
        ))
    }
}

/// A poll: one document, which never changes. Its counts are in its [`Vote`]s.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Poll {
    /// The id.
    #[serde(rename = "_id")]
    pub id: PollId,
    /// What is asked.
    pub question: String,
    /// What can be answered.
    pub options: Vec<String>,
    /// The username of who asks.
    pub created_by: String,
    /// Since when.
    pub created_at: DateTime<Utc>,
}

impl Poll {
    /// A new poll of the user `created_by`.
    pub fn new(
        id: PollId,
        question: Question,
        options: Options,
        created_by: &str,
        now: DateTime<Utc>,
    ) -> Self {
        Self {
            id,
            question: question.into_string(),
            options: options.0,
            created_by: created_by.to_owned(),
            created_at: now,
        }
    }

    /// The option at `index`, as a place in the counts.
    ///
    /// # Errors
    /// 400 when there is none.
    pub fn choice(&self, index: i64) -> Result<usize, Error> {
        let choice = usize::try_from(index).ok();
        choice
            .filter(|choice| *choice < self.options.len())
            .ok_or_else(|| {
                let last = self.options.len() - 1;
                Error::malformed(format!("choice_index must be a number from 0 to {last}"))
            })
    }

    /// The counts before the first vote.
    pub fn no_votes(&self) -> Vec<i64> {
        vec![0; self.options.len()]
    }
}

/// A vote that counts, with all counts up to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vote {
    /// Whose.
    pub user_id: i64,
    /// The place of each option's count is the option's.
    pub counts: Vec<i64>,
}

impl Vote {
    /// The vote of `user_id` for `choice`, after those in `counts`.
    pub fn after(counts: &[i64], user_id: i64, choice: usize) -> Self {
        let mut counts = counts.to_vec();
        if let Some(count) = counts.get_mut(choice) {
            *count += 1;
        }
        Self { user_id, counts }
    }
}

/// That somebody votes: the one vote that they have in a poll.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ballot {
    /// `<poll>/<user_id>`, so that nobody votes twice.
    #[serde(rename = "_id")]
    pub id: String,
    /// For what.
    pub choice: usize,
    /// How many votes there were before it at least: it is counted behind those.
    pub after: u64,
    /// The request that brought it: a repetition is told what the first one would have been.
    #[serde(default)]
    pub operation: String,
}

/// A wish to vote.
#[derive(Debug, Clone)]
pub struct NewBallot {
    /// Whose.
    pub user_id: i64,
    /// For what.
    pub choice: usize,
    /// The number of the request.
    pub operation: String,
}

impl Ballot {
    /// The ballot of somebody who votes when there are `after` votes.
    pub fn new(poll: PollId, new: &NewBallot, after: u64) -> Self {
        Self {
            id: format!("{poll}/{}", new.user_id),
            choice: new.choice,
            after,
            operation: new.operation.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use chassis::clock;

    use super::*;

    fn options(texts: &[&str]) -> Result<Options, String> {
        let texts = texts.iter().map(|text| OptionText::new(text).unwrap());
        Options::try_from(texts.collect::<Vec<_>>())
    }

    #[test]
    fn d17_a_poll_has_two_to_four_options() {
        for good in [
            &["a", "b"][..],
            &["a", "b", "c", "d"],
            &["a", "a"],
            &["a", " A "],
        ] {
            assert!(options(good).is_ok(), "{good:?}");
        }
        for bad in [&["a"][..], &[], &["a", "b", "c", "d", "e"]] {
            assert!(options(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn d17_a_choice_is_one_of_the_options() {
        let question = Question::new("?").unwrap();
        let id = PollId(clock::id());
        let poll = Poll::new(
            id,
            question,
            options(&["a", "b"]).unwrap(),
            "ada",
            clock::now(),
        );
        assert_eq!(poll.choice(0).unwrap(), 0);
        assert_eq!(poll.choice(1).unwrap(), 1);
        for bad in [-1, 2, i64::MIN, i64::MAX] {
            assert!(poll.choice(bad).is_err(), "{bad}");
        }
        let vote = Vote::after(&poll.no_votes(), 7, 1);
        assert_eq!(Vote::after(&vote.counts, 8, 1).counts, [0, 2]);
    }

    #[test]
    fn an_id_has_one_spelling() {
        let id = PollId(clock::id());
        assert_eq!(id.to_string().parse(), Ok(id));
        for bad in [
            "",
            "x",
            "1",
            &id.to_string().to_uppercase(),
            &format!("{{{id}}}"),
        ] {
            assert_eq!(bad.parse::<PollId>(), Err(NoId), "{bad}");
        }
    }
}
