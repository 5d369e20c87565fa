//! The peers that `users` calls.

use proto::discussions::CountByUserRequest;

chassis::peer! {
    /// What `users` asks of `discussions` (D9).
    pub(crate) struct Discussions { count_by_user => proto::discussions::DiscussionsCountByUser }
}

impl Discussions {
    /// How many posts a person wrote; `None` when `discussions` does not answer.
    pub(crate) async fn post_count(&self, user_id: i64) -> Option<i64> {
        match self.count_by_user(CountByUserRequest { user_id }).await {
            Ok(count) => Some(count.posts),
            Err(error) => {
                tracing::info!(cause = %error, user.id = user_id, "profile shown without post count");
                None
            }
        }
    }
}
