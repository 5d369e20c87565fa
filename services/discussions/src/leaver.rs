//! What somebody wrote whose account is deleted.

use std::sync::Arc;

use chassis::Error;

use crate::{
    directory::Directory,
    herald::Herald,
    store::{Filter, Store},
};

/// Posts, and comments, that are looked at together.
const BATCH: u64 = 100;

/// Removes all that a person wrote, as they could have done themselves. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Leaver {
    store: Store,
    directory: Arc<Directory>,
    herald: Arc<Herald>,
}

impl Leaver {
    pub(crate) fn new(store: &Store, directory: &Arc<Directory>, herald: &Arc<Herald>) -> Self {
        Self {
            store: store.clone(),
            directory: Arc::clone(directory),
            herald: Arc::clone(herald),
        }
    }

    /// Removes posts with their discussions, comments elsewhere, whose places stay, and subscriptions. Done again, it goes on
    /// where it was.
    pub(crate) async fn forget(&self, user_id: i64) -> Result<(), Error> {
        self.store.subscriptions.remove_of(user_id).await?;
        self.forget_posts(user_id).await?;
        self.forget_comments(user_id).await
    }

    async fn forget_posts(&self, user_id: i64) -> Result<(), Error> {
        let filter = Filter {
            user_id: Some(user_id),
            ..Filter::default()
        };
        // Not by the lists in memory: those may be behind, and what is gone is gone.
        loop {
            let posts = self.store.posts.list(&filter, None, BATCH).await?;
            if posts.is_empty() {
                return Ok(());
            }
            for post in posts {
                self.directory.remove(post.id).await?;
            }
        }
    }

    async fn forget_comments(&self, user_id: i64) -> Result<(), Error> {
        loop {
            let comments = self.store.comments.list_of(user_id, BATCH).await?;
            if comments.is_empty() {
                return Ok(());
            }
            for comment in comments {
                self.store.comments.remove(comment.id).await?;
                // Whoever has the discussion open is told, as of any other that is deleted.
                self.herald.tell_changed(&comment.emptied()).await;
            }
        }
    }
}
