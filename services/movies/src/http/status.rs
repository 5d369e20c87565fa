//! Whether the store answers (S3-03, S3-04).

use std::sync::Arc;

use chassis::{Answer, Request};
use http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use super::Answered;
use crate::Movies;

#[derive(Debug, Serialize, ToSchema)]
#[schema(title = "DatabaseStatus")]
pub(super) struct StatusResponse {
    status: &'static str,
    database: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// S3-03, S3-04
pub(super) async fn status(movies: Arc<Movies>, _: Request) -> Answered<StatusResponse> {
    Ok(match movies.store.ping().await {
        Ok(()) => StatusResponse {
            status: "OK",
            database: "Connected",
            error: None,
        }
        .into(),
        Err(error) => Answer::from(StatusResponse {
            status: "ERROR",
            database: "Not connected",
            error: Some(error.message().to_owned()),
        })
        .status(StatusCode::INTERNAL_SERVER_ERROR),
    })
}
