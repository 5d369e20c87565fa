//! `discussions` owns posts about cars, their comments, and who wants to hear of which car.
//!
//! Its contract is S0-06 to S0-10, S0-12, S0-13 and S0-15 with decisions D7 to D10. Documents
//! are its store: MongoDB, or the embedded one that speaks its protocol.

mod clients;
mod directory;
mod grpc;
mod herald;
mod http;
mod leaver;
pub mod model;
mod recent;
mod store;

use std::sync::Arc;

use chassis::{
    Call, Context, Error, Operations, Repeatable, Route, Service, clock, documents::Database, redis,
};
use messaging::{Broker, Subscription, farewell};
use secrecy::{ExposeSecret as _, SecretString};

use crate::{
    clients::Authors,
    directory::Directory,
    herald::Herald,
    leaver::Leaver,
    model::{Comment, NewComment, PostId},
    store::Store,
};

/// Settings of this service alone.
#[derive(Debug, Clone, clap::Args)]
pub struct Settings {
    /// URL of the document store
    #[arg(
        long,
        env = "MONGODB_URL",
        hide_env_values = true,
        default_value = "mongodb://documents.service.consul/"
    )]
    pub documents_url: SecretString,
    /// Name of the database in the document store
    #[arg(long, env = "DISCUSSIONS_DATABASE", default_value = "discussions")]
    pub documents_db: String,
    /// Where events go and come from.
    #[command(flatten)]
    pub messaging: messaging::Settings,
    /// Where new comments are told, for those who listen.
    #[command(flatten)]
    pub redis: redis::Settings,
    /// Newest posts that lists and counts know without the store, about 200 bytes each
    #[arg(long, env = "DISCUSSIONS_RECENT_POSTS", default_value_t = 100_000)]
    pub recent_posts: usize,
}

/// The service.
#[derive(Debug)]
pub struct Discussions {
    store: Store,
    directory: Arc<Directory>,
    authors: Authors,
    herald: Arc<Herald>,
    operations: Operations,
}

impl Discussions {
    /// The documents, where tests count what something costs.
    pub fn database(&self) -> &Database {
        self.store.database()
    }

    /// Stores a comment by somebody who exists on a post that does, and tells those who listen.
    async fn comment(&self, post: PostId, new: NewComment) -> Result<Comment, Error> {
        let post = self.store.posts.get(post).await?;
        self.authors.require(new.user_id).await?;
        let comments = &self.store.comments;
        let comment = comments.append(post.id, new, clock::now()).await?;
        self.herald.tell(&comment).await;
        Ok(comment)
    }
}

impl Repeatable for Discussions {
    fn operations(&self) -> &Operations {
        &self.operations
    }
}

impl Service for Discussions {
    const NAME: &'static str = "discussions";
    const DESCRIPTION: &'static str = "Posts about cars, comments and topics";
    type Settings = Settings;

    fn routes() -> Vec<Route<Self>> {
        http::routes()
    }

    fn calls() -> Vec<Call> {
        Authors::CALLS.to_vec()
    }

    fn subscriptions() -> Vec<Subscription> {
        vec![farewell::DELETED]
    }

    async fn declare(settings: &Settings, context: &Context) -> anyhow::Result<()> {
        let broker = Broker::new(Self::NAME, &settings.messaging, context)?;
        messaging::declare(&broker, &Self::subscriptions()).await
    }

    async fn build(settings: Settings, context: &Context) -> anyhow::Result<Self> {
        let authors = Authors::connect(context)?;
        let url = settings.documents_url.expose_secret();
        let broker = Broker::new(Self::NAME, &settings.messaging, context)?;
        let store = Store::open(context, url, &settings.documents_db, &broker).await?;
        let directory =
            Directory::open(store.clone(), settings.recent_posts, context.tasks.clone());
        let directory = Arc::new(directory.await?);
        context.spawn(Arc::clone(&directory).keep_current());
        let herald = Arc::new(Herald::connect(&settings.redis, context).await);
        let leaver = Leaver::new(&store, &directory, &herald);
        farewell::listen(&broker, context, move |gone| {
            let leaver = leaver.clone();
            async move { leaver.forget(gone.user_id).await }
        });
        Ok(Self {
            operations: Operations::in_documents(store.database(), context),
            herald,
            store,
            directory,
            authors,
        })
    }

    fn grpc(self: &Arc<Self>) -> Option<tonic::service::Routes> {
        Some(grpc::routes(self))
    }

    async fn ready(&self) -> Result<(), Error> {
        self.store.ping().await
    }
}
