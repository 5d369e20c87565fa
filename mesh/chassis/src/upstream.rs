//! Calls to other services: gRPC through the own sidecar's listener, each with its deadline.

use std::{path::PathBuf, time::Duration};

use http::{HeaderMap, uri::PathAndQuery};
use hyper_util::rt::TokioIo;
use metrics::{counter, histogram};
use proto::Rpc;
use serde::Serialize;
use tokio::{net::UnixStream, time::Instant};
use tonic::{
    Request, Status, Streaming,
    client::Grpc,
    metadata::MetadataMap,
    transport::{Channel, Endpoint, Uri},
};
use tonic_prost::ProstCodec;
use tracing::Instrument as _;

use crate::Error;

/// What a unary call may take, all in all, unless its caller says otherwise.
pub const DEFAULT_DEADLINE: Duration = Duration::from_millis(800);

/// A method that a service calls: what its intention has to allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Call {
    /// The Consul service that answers.
    pub service: &'static str,
    /// `/package.Service/Method`
    pub path: &'static str,
}

impl Call {
    /// The call of method `R`.
    pub const fn of<R: Rpc>() -> Self {
        Self {
            service: R::SERVICE,
            path: R::PATH,
        }
    }
}

/// Where a peer is reached: the listener that the own sidecar keeps for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// A Unix socket, on one machine.
    Socket(PathBuf),
    /// A URL, on Kubernetes.
    Url(String),
}

/// A connection to one peer; cheap to clone, connects when first used and again when lost.
#[derive(Debug, Clone)]
pub struct Upstream {
    channel: Channel,
}

impl Upstream {
    /// Prepares a connection; nothing is opened yet.
    ///
    /// # Errors
    /// When the address is a URL that is none.
    pub fn new(address: &Address) -> anyhow::Result<Self> {
        let tuned = |endpoint: Endpoint| {
            endpoint
                .connect_timeout(Duration::from_millis(500))
                // Notices a peer that hangs rather than ends.
                .http2_keep_alive_interval(Duration::from_secs(10))
                .keep_alive_timeout(Duration::from_secs(3))
                .keep_alive_while_idle(true)
        };
        let channel = match address {
            Address::Url(url) => tuned(Endpoint::from_shared(url.clone())?).connect_lazy(),
            Address::Socket(path) => {
                let path = path.clone();
                let connector = tower::service_fn(move |_: Uri| {
                    let path = path.clone();
                    async move { UnixStream::connect(path).await.map(TokioIo::new) }
                });
                tuned(Endpoint::from_static("http://sidecar"))
                    .connect_with_connector_lazy(connector)
            }
        };
        Ok(Self { channel })
    }

    /// Calls method `R` once.
    ///
    /// # Errors
    /// 503 when the peer does not answer within [`DEFAULT_DEADLINE`]; else what the peer says.
    pub async fn call<R: Rpc>(&self, message: R::Request) -> Result<R::Response, Error> {
        let started = Instant::now();
        let span = client_span::<R>();
        let call = async {
            let mut request = Request::new(message);
            request.set_timeout(DEFAULT_DEADLINE);
            inject(request.metadata_mut());
            let mut grpc = Grpc::new(self.channel.clone());
            grpc.ready()
                .await
                .map_err(|error| Status::unavailable(error.to_string()))?;
            let answer = grpc
                .unary(request, PathAndQuery::from_static(R::PATH), codec::<R>())
                .await?;
            Ok(answer.into_inner())
        };
        let call = tokio::time::timeout(DEFAULT_DEADLINE, call.instrument(span.clone()));
        let result = call
            .await
            .unwrap_or_else(|_| Err(Status::deadline_exceeded("no answer in time")));
        record::<R>(started, &span, result.as_ref().err());
        result.map_err(Error::from)
    }

    /// Calls method `R`, which answers with a stream; only its opening has a deadline.
    ///
    /// # Errors
    /// As [`Upstream::call`].
    pub async fn stream<R: Rpc>(
        &self,
        message: R::Request,
    ) -> Result<Streaming<R::Response>, Error> {
        let open = async {
            let mut request = Request::new(message);
            inject(request.metadata_mut());
            let mut grpc = Grpc::new(self.channel.clone());
            grpc.ready()
                .await
                .map_err(|error| Status::unavailable(error.to_string()))?;
            grpc.server_streaming(request, PathAndQuery::from_static(R::PATH), codec::<R>())
                .await
        };
        match tokio::time::timeout(DEFAULT_DEADLINE, open).await {
            Ok(opened) => Ok(opened?.into_inner()),
            Err(_) => Err(Status::deadline_exceeded("no answer in time").into()),
        }
    }
}

fn codec<R: Rpc>() -> ProstCodec<R::Request, R::Response> {
    ProstCodec::default()
}

fn client_span<R: Rpc>() -> tracing::Span {
    tracing::info_span!(
        "grpc.client",
        otel.name = R::PATH.trim_start_matches('/'),
        otel.kind = "client",
        otel.status_code = tracing::field::Empty,
        rpc.system = "grpc",
        peer.service = R::SERVICE,
        error.message = tracing::field::Empty,
    )
}

fn record<R: Rpc>(started: Instant, span: &tracing::Span, failure: Option<&Status>) {
    let code = failure.map_or(tonic::Code::Ok, Status::code);
    if let Some(status) = failure {
        span.record("otel.status_code", "ERROR");
        span.record("error.message", format!("{code:?}: {}", status.message()));
        tracing::info!(
            peer.service = R::SERVICE,
            rpc.method = R::PATH,
            ?code,
            cause = status.message(),
            "call failed"
        );
    }
    let labels = [
        ("peer", R::SERVICE.to_owned()),
        ("method", R::PATH.to_owned()),
        ("code", format!("{code:?}")),
    ];
    counter!("grpc_client_requests_total", &labels).increment(1);
    histogram!("grpc_client_duration_seconds", "peer" => R::SERVICE, "method" => R::PATH)
        .record(started.elapsed());
}

fn inject(metadata: &mut MetadataMap) {
    let mut headers = HeaderMap::new();
    telemetry::propagation::inject(&mut headers);
    for (name, value) in &headers {
        if let (Ok(name), Ok(value)) = (
            tonic::metadata::AsciiMetadataKey::from_bytes(name.as_str().as_bytes()),
            tonic::metadata::AsciiMetadataValue::try_from(value.as_bytes()),
        ) {
            metadata.insert(name, value);
        }
    }
}

/// Declares what one service calls of another: a client with exactly these methods.
///
/// ```
/// mesh_chassis::peer! {
///     /// What discussions asks of `users`.
///     pub struct Users { get => proto::users::UsersGet, get_many => proto::users::UsersGetMany }
/// }
/// assert_eq!(Users::CALLS[0].service, "users");
/// ```
///
/// `CALLS` is what the intention of the peer is generated from: a method that is not declared
/// here cannot be called in code, and is refused by the peer's sidecar if somebody tries.
#[macro_export]
macro_rules! peer {
    ($(#[$doc:meta])* $visibility:vis struct $name:ident { $($method:ident => $rpc:path),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone)]
        $visibility struct $name($crate::Upstream);

        impl $name {
            /// The calls that this client can make.
            pub const CALLS: &'static [$crate::Call] = &[$($crate::Call::of::<$rpc>()),+];

            /// The client, over the sidecar's listener for the peer.
            ///
            /// # Errors
            /// When no such listener is configured.
            pub fn connect(context: &$crate::Context) -> ::anyhow::Result<Self> {
                Ok(Self(context.upstream(Self::CALLS[0].service)?))
            }

            $(
                #[doc = concat!("Calls `", stringify!($rpc), "`.")]
                pub async fn $method(
                    &self,
                    request: <$rpc as $crate::Rpc>::Request,
                ) -> ::std::result::Result<<$rpc as $crate::Rpc>::Response, $crate::Error> {
                    self.0.call::<$rpc>(request).await
                }
            )+
        }
    };
}
