//! The peers that `likes` calls.

use chassis::{Code, Error, clock};
use proto::{timelines::GetRequest, users::FindRequest};

use crate::store::Store;

chassis::peer! {
    /// What `likes` asks of `timelines` (S2-36).
    pub(crate) struct Timelines { get => proto::timelines::TimelinesGet }
}

chassis::peer! {
    /// What `likes` asks of `users`: whether somebody without likes exists at all.
    pub(crate) struct Users { find => proto::users::UsersFind }
}

/// What is known of a liked post.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Known {
    /// It exists, and this person wrote it.
    By(i64),
    /// There is no such post; all likes up to this version of it are of nothing.
    Missing(i64),
    /// Nobody likes it any more, so that nothing depends on it.
    Unliked,
}

impl Timelines {
    /// Whose post this is; `timelines` is asked unless it was a short while ago.
    ///
    /// # Errors
    /// 503 when `timelines` does not answer.
    pub(crate) async fn look_up(&self, store: &Store, post_id: i64) -> Result<Known, Error> {
        let post = store.find_post(post_id).await?;
        let Some(post) = post.filter(|post| !post.deleted && post.likes > 0) else {
            return Ok(Known::Unliked);
        };
        if let Some(author) = post.believed_author(clock::now()) {
            return Ok(Known::By(author));
        }
        match self.get(GetRequest { post_id }).await {
            Ok(found) => {
                store.update_author(post_id, found.user_id).await?;
                Ok(Known::By(found.user_id))
            }
            // The version is of before the question: a post that is written meanwhile keeps its likes.
            Err(error) if error.code() == Code::NotFound => Ok(Known::Missing(post.version)),
            Err(error) => Err(error),
        }
    }
}

/// Who has a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Person {
    /// Somebody, who writes it like this.
    Named(String),
    /// Nobody.
    Nobody,
    /// `users` does not say.
    Unknown,
}

impl Users {
    /// Who has a name.
    pub(crate) async fn who(&self, username: &str) -> Person {
        let username = username.to_owned();
        match self.find(FindRequest { username }).await {
            Ok(user) => Person::Named(user.username),
            Err(error) if error.code() == Code::NotFound => Person::Nobody,
            Err(error) => {
                tracing::info!(cause = %error, "likes shown without asking users");
                Person::Unknown
            }
        }
    }
}
