//! Who follows whom (S2-17 to S2-19).

use std::sync::Arc;

use chassis::{Answer, Error, Page, Request};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    Users,
    store::{Direction, FollowKey, Person},
};

type Answered<T> = Result<Answer<T>, Error>;

#[derive(Debug, Serialize, ToSchema)]
#[schema(title = "Follow")]
pub(super) struct FollowResponse {
    /// `ok`, or `already_following` and `not_following` when nothing had to change.
    status: &'static str,
}

/// S2-17
pub(super) async fn follow(users: Arc<Users>, request: Request) -> Answered<FollowResponse> {
    let followee = users.by_username(&request).await?;
    let follower_id = request.caller()?.user_id;
    if followee.id == follower_id {
        return Err(Error::malformed("Nobody can follow themselves"));
    }
    let new = users.store.insert_follow(follower_id, followee.id).await?;
    Ok(FollowResponse {
        status: if new { "ok" } else { "already_following" },
    }
    .into())
}

/// S2-18
pub(super) async fn unfollow(users: Arc<Users>, request: Request) -> Answered<FollowResponse> {
    let followee = users.by_username(&request).await?;
    let was = users
        .store
        .remove_follow(request.caller()?.user_id, followee.id)
        .await?;
    Ok(FollowResponse {
        status: if was { "ok" } else { "not_following" },
    }
    .into())
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(title = "Person")]
pub(super) struct PersonResponse {
    user_id: i64,
    username: String,
}

impl From<Person> for PersonResponse {
    fn from(person: Person) -> Self {
        Self {
            user_id: person.id,
            username: person.username,
        }
    }
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct FolloweesResponse {
    followees: Vec<PersonResponse>,
}

/// S2-19
pub(super) async fn followees(users: Arc<Users>, request: Request) -> Answered<FolloweesResponse> {
    let (page, people) = users.follows(&request, Direction::Followees).await?;
    page.wrapped(&request, people, key, |people| FolloweesResponse {
        followees: shown(people),
    })
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct FollowersResponse {
    followers: Vec<PersonResponse>,
}

/// D17
pub(super) async fn followers(users: Arc<Users>, request: Request) -> Answered<FollowersResponse> {
    let (page, people) = users.follows(&request, Direction::Followers).await?;
    page.wrapped(&request, people, key, |people| FollowersResponse {
        followers: shown(people),
    })
}

fn key(person: &Person) -> FollowKey {
    (person.since.into(), person.id)
}

fn shown(people: Vec<Person>) -> Vec<PersonResponse> {
    people.into_iter().map(PersonResponse::from).collect()
}

impl Users {
    async fn follows(
        &self,
        request: &Request,
        direction: Direction,
    ) -> Result<(Page<FollowKey>, Vec<Person>), Error> {
        let page = request.page()?;
        let user = self.by_username(request).await?;
        let people = self.store.list_follows(user.id, direction, &page).await?;
        Ok((page, people))
    }
}
