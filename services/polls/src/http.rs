//! The REST face: the route table and its handlers.

use std::sync::Arc;

use chassis::{Answer, Code, Error, Request, Route, clock};
use http::{HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    Polls,
    model::{NewBallot, Options, Poll, PollId, Question},
    store::Voted,
};

type Answered<T> = Result<Answer<T>, Error>;

pub(crate) fn routes() -> Vec<Route<Polls>> {
    vec![
        Route::post("/polls", create)
            .id("createPoll")
            .located()
            .summary("Starts a poll")
            .idempotent(),
        Route::get("/polls/{poll_id}", show)
            .id("getPoll")
            .uuid("poll_id", "The poll")
            .summary("Shows a poll with its counts"),
        Route::post("/polls/{poll_id}/vote", vote)
            .id("voteInPoll")
            .uuid("poll_id", "The poll")
            .summary("Votes, once a user")
            .answers(StatusCode::OK)
            .fails(&[Code::Conflict])
            .idempotent(),
        Route::get("/polls/{poll_id}/results", show)
            .id("getPollResults")
            .uuid("poll_id", "The poll")
            .summary("Shows the results of a poll"),
    ]
}

#[derive(Debug, Deserialize, ToSchema)]
#[schema(examples(json!({
    "question": "Where do we meet?",
    "options": ["At the lake", "In town"],
})))]
struct CreatePollRequest {
    question: Question,
    options: Options,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(title = "Poll")]
struct PollResponse {
    #[schema(format = "uuid")]
    poll_id: String,
    question: String,
    options: Vec<String>,
    /// Votes for each option, in the order of the options.
    counts: Vec<i64>,
    /// The username of who asks.
    created_by: String,
    #[schema(format = DateTime)]
    created_at: String,
}

impl PollResponse {
    fn new(poll: &Poll, counts: Vec<i64>) -> Self {
        Self {
            poll_id: poll.id.to_string(),
            question: poll.question.clone(),
            options: poll.options.clone(),
            counts,
            created_by: poll.created_by.clone(),
            created_at: clock::text(poll.created_at),
        }
    }
}

/// S2-31
async fn create(
    polls: Arc<Polls>,
    request: Request,
    body: CreatePollRequest,
) -> Answered<PollResponse> {
    let creator = &request.caller()?.username;
    let id = PollId::from(request.operation());
    let poll = Poll::new(id, body.question, body.options, creator, clock::now());
    let poll = polls.store.insert(poll).await?;
    let location = HeaderValue::try_from(format!("/polls/{}", poll.id)).map_err(Error::internal)?;
    let created = PollResponse::new(&poll, poll.no_votes());
    Ok(Answer::from(created).header(header::LOCATION, location))
}

/// S2-32 and S2-34: the results are the poll (D17).
async fn show(polls: Arc<Polls>, request: Request) -> Answered<PollResponse> {
    let poll = polls.store.get(poll_id(&request)?).await?;
    let counts = polls.store.counts(&poll).await?;
    Ok(PollResponse::new(&poll, counts).into())
}

#[derive(Debug, Deserialize, ToSchema)]
#[schema(examples(json!({ "choice_index": 0 })))]
struct VoteRequest {
    /// The place of the option, counted from 0.
    #[schema(minimum = 0, maximum = 3)]
    choice_index: i64,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(title = "Voted")]
struct VotedResponse {
    status: &'static str,
    poll: PollResponse,
}

/// S2-33
async fn vote(polls: Arc<Polls>, request: Request, body: VoteRequest) -> Answered<VotedResponse> {
    let voter = request.caller()?.user_id;
    let poll = polls.store.get(poll_id(&request)?).await?;
    let choice = poll.choice(body.choice_index)?;
    let ballot = NewBallot {
        user_id: voter,
        choice,
        operation: request.operation().to_string(),
    };
    match polls.store.vote(Arc::clone(&poll), ballot).await? {
        Voted::Now(counts) => Ok(VotedResponse {
            status: "ok",
            poll: PollResponse::new(&poll, counts),
        }
        .into()),
        Voted::Before => Err(Error::conflict("You have voted in this poll already")),
    }
}

/// The poll that the path names; 404 when it cannot be an id.
fn poll_id(request: &Request) -> Result<PollId, Error> {
    request
        .param("poll_id")
        .map_err(|_| Error::not_found("Poll not found"))
}
