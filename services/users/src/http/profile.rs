//! Profiles: one's own, and those of others.

use std::sync::Arc;

use chassis::{Answer, Error, Request};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::register::Message;
use crate::{
    Users,
    model::{AvatarUrl, Bio, Name, User},
};

type Answered<T> = Result<Answer<T>, Error>;

#[derive(Debug, Serialize, ToSchema)]
#[schema(title = "ProfileDetails")]
pub(super) struct Details {
    bio: String,
    avatar_url: String,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(title = "Profile")]
pub(super) struct ProfileResponse {
    user_id: i64,
    username: String,
    name: String,
    /// Only for those who are signed in (D5).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = Email)]
    email: Option<String>,
    profile: Details,
    /// Posts in car discussions; absent while these do not answer (D9).
    #[serde(skip_serializing_if = "Option::is_none")]
    post_count: Option<i64>,
}

/// S0-03
pub(super) async fn me(users: Arc<Users>, request: Request) -> Answered<ProfileResponse> {
    let id = request.caller()?.user_id;
    users.profile(id, &request).await
}

/// S0-05
pub(super) async fn by_id(users: Arc<Users>, request: Request) -> Answered<ProfileResponse> {
    users.profile(request.param("user_id")?, &request).await
}

#[derive(Debug, Deserialize, ToSchema)]
#[schema(title = "ProfileChange")]
#[schema(examples(json!({
    "name": "Ada",
    "bio": "Drives a Zoe.",
    "avatar_url": "https://example.com/ada.png",
})))]
pub(super) struct UpdateProfileRequest {
    name: Option<Name>,
    bio: Option<Bio>,
    avatar_url: Option<AvatarUrl>,
}

/// S0-04: what is not sent stays as it is.
pub(super) async fn update(
    users: Arc<Users>,
    request: Request,
    body: UpdateProfileRequest,
) -> Answered<Message> {
    let id = request.caller()?.user_id;
    users
        .store
        .update_profile(
            id,
            body.name.as_ref(),
            body.bio.as_ref(),
            body.avatar_url.as_ref(),
        )
        .await?;
    Ok(Message {
        message: "Profile updated successfully.",
    }
    .into())
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(title = "MicroblogProfile")]
pub(super) struct MicroblogProfileResponse {
    user_id: i64,
    username: String,
    /// Only for those who are signed in (D5).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = Email)]
    email: Option<String>,
    bio: String,
    followers: u64,
    followees: u64,
}

/// S2-16
pub(super) async fn by_username(
    users: Arc<Users>,
    request: Request,
) -> Answered<MicroblogProfileResponse> {
    let user = users.by_username(&request).await?;
    let counts = users.store.follow_counts(user.id).await?;
    Ok(MicroblogProfileResponse {
        user_id: user.id,
        username: user.username,
        email: request.identity().map(|_| user.email),
        bio: user.bio,
        followers: counts.followers,
        followees: counts.followees,
    }
    .into())
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(title = "DatabaseStatus")]
pub(super) struct StatusResponse {
    status: &'static str,
    database: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// S3-01, S3-02
pub(super) async fn status(users: Arc<Users>, _: Request) -> Answered<StatusResponse> {
    Ok(match users.store.ping().await {
        Ok(()) => StatusResponse {
            status: "OK",
            database: "Connected",
            error: None,
        }
        .into(),
        Err(error) => {
            let error = Some(error.message().to_owned());
            let down = StatusResponse {
                status: "ERROR",
                database: "Not connected",
                error,
            };
            Answer::from(down).status(StatusCode::INTERNAL_SERVER_ERROR)
        }
    })
}

impl Users {
    async fn profile(&self, id: i64, request: &Request) -> Answered<ProfileResponse> {
        let user = self.store.find_by_id(id).await?.ok_or_else(no_such_user)?;
        let post_count = self.discussions.post_count(id).await;
        Ok(ProfileResponse {
            user_id: user.id,
            username: user.username,
            name: user.name,
            email: request.identity().map(|_| user.email),
            profile: Details {
                bio: user.bio,
                avatar_url: user.avatar_url,
            },
            post_count,
        }
        .into())
    }

    /// The person whom the path names.
    pub(super) async fn by_username(&self, request: &Request) -> Result<User, Error> {
        let username: String = request.param("username")?;
        if username.contains('\0') {
            return Err(no_such_user());
        }
        self.store
            .find_by_username(&username)
            .await?
            .ok_or_else(no_such_user)
    }
}

fn no_such_user() -> Error {
    Error::not_found("User not found")
}
