//! The gRPC contracts between services, and a type for each method ([`Rpc`]).
//!
//! A service calls a method only through its marker type, so that the types a client is made
//! of say what the service may call: the intentions are generated from them.

/// A gRPC method, as a type.
pub trait Rpc: Send + Sync + 'static {
    /// The Consul service that answers.
    const SERVICE: &'static str;
    /// The HTTP/2 path, `/package.Service/Method`.
    const PATH: &'static str;
    /// What is sent.
    type Request: prost::Message + Default + Clone + 'static;
    /// What comes back: once, or as the items of a stream.
    type Response: prost::Message + Default + 'static;
}

/// The contract of `users`.
pub mod users {
    #![expect(
        missing_docs,
        clippy::allow_attributes,
        clippy::pedantic,
        reason = "generated"
    )]
    tonic::include_proto!("plaza.users.v1");
}

/// The contract of `discussions`.
pub mod discussions {
    #![expect(
        missing_docs,
        clippy::allow_attributes,
        clippy::pedantic,
        reason = "generated"
    )]
    tonic::include_proto!("plaza.discussions.v1");

    /// The Redis channel on which each [`CommentStored`] is said.
    pub const COMMENTS_CHANNEL: &str = "discussions:comments";
}

/// The contract of `timelines`.
pub mod timelines {
    #![expect(
        missing_docs,
        clippy::allow_attributes,
        clippy::pedantic,
        reason = "generated"
    )]
    tonic::include_proto!("plaza.timelines.v1");
}

/// The contract of `products`.
pub mod products {
    #![expect(
        missing_docs,
        clippy::allow_attributes,
        clippy::pedantic,
        reason = "generated"
    )]
    tonic::include_proto!("plaza.products.v1");
}
