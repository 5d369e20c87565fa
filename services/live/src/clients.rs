//! The peer that `live` calls.

chassis::peer! {
    /// Who stores comments and says in which order they stand (D8).
    pub(crate) struct Discussions {
        add_comment => proto::discussions::DiscussionsAddComment,
        comments_after => proto::discussions::DiscussionsCommentsAfter,
    }
}
