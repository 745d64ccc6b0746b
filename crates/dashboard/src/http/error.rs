//! Errors as clients see them: `{"error": …, "hint": …}`.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use store::StoreError;

use crate::source::{Away, words};

/// An answer that is none.
#[derive(Debug)]
pub(crate) struct ApiError {
    status: StatusCode,
    error: String,
    hint: Option<String>,
}

#[derive(Serialize)]
struct Body {
    error: String,
    hint: Option<String>,
}

impl ApiError {
    pub fn new(status: StatusCode, error: impl Into<String>) -> Self {
        Self { status, error: error.into(), hint: None }
    }

    pub fn bad(error: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, error)
    }

    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl From<Away> for ApiError {
    fn from(away: Away) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, format!("the store cannot be read: {away}"))
            .hint("`klines doctor` says what is in the way; this page tries again by itself")
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        Away(words(&error)).into()
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        (self.status, Json(Body { error: self.error, hint: self.hint })).into_response()
    }
}

/// A known path, asked in another way than it answers to.
pub(super) async fn method_not_allowed() -> ApiError {
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "this path does not answer to this method")
        .hint("/api/openapi.json describes every path")
}
