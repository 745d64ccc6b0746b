//! Binance's error answers, word for word where they are known.

/// An error as the exchange sends it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ApiError {
    pub(crate) status: u16,
    pub(crate) code: i32,
    pub(crate) message: String,
}

impl ApiError {
    fn bad_request(code: i32, message: impl Into<String>) -> Self {
        Self { status: 400, code, message: message.into() }
    }

    pub(crate) fn illegal(param: &str, range: &str) -> Self {
        Self::bad_request(
            -1100,
            format!("Illegal characters found in parameter '{param}'; legal range is '{range}'."),
        )
    }

    pub(crate) fn duplicate(param: &str) -> Self {
        Self::bad_request(-1101, format!("Duplicate values for parameter '{param}' detected."))
    }

    pub(crate) fn missing(param: &str) -> Self {
        Self::bad_request(
            -1102,
            format!("Mandatory parameter '{param}' was not sent, was empty/null, or malformed."),
        )
    }

    pub(crate) fn unread(read: usize, sent: usize) -> Self {
        Self::bad_request(
            -1104,
            format!("Not all sent parameters were read; read '{read}' parameter(s) but was sent '{sent}'."),
        )
    }

    pub(crate) fn empty(param: &str) -> Self {
        Self::bad_request(-1105, format!("Parameter '{param}' was empty."))
    }

    pub(crate) fn invalid(param: &str) -> Self {
        Self::bad_request(-1130, format!("Data sent for parameter '{param}' is not valid."))
    }

    pub(crate) fn invalid_interval() -> Self {
        Self::bad_request(-1120, "Invalid interval.")
    }

    pub(crate) fn invalid_symbol() -> Self {
        Self::bad_request(-1121, "Invalid symbol.")
    }

    pub(crate) fn start_after_end() -> Self {
        Self::bad_request(-1023, "Start time is greater than end time.")
    }

    pub(crate) fn window_too_long() -> Self {
        Self::bad_request(-4088, "Maximum time interval is 200 days.")
    }

    pub(crate) fn no_such_path(path: &str, method: &str) -> Self {
        Self { status: 404, code: -5000, message: format!("Path {path}, Method {method} is invalid") }
    }

    pub(crate) fn too_many(ip: &str, limit: u32, spot: bool) -> Self {
        let message = if spot {
            format!(
                "Too much request weight used; current limit is {limit} request weight per 1 MINUTE. \
                 Please use WebSocket Streams for live updates to avoid polling the API."
            )
        } else {
            format!(
                "Too many requests; current limit of IP({ip}) is {limit} requests per minute. \
                 Please use the websocket for live updates to avoid polling the API."
            )
        };
        Self { status: 429, code: -1003, message }
    }

    pub(crate) fn banned(until_ms: i64) -> Self {
        let message = format!(
            "Way too much request weight used; IP banned until {until_ms}. \
             Please use WebSocket Streams for live updates to avoid bans."
        );
        Self { status: 418, code: -1003, message }
    }

    pub(crate) fn restricted() -> Self {
        let message = "Service unavailable from a restricted location according to 'b. Eligibility' in \
                       https://www.binance.com/en/terms. Please contact customer service if you believe you \
                       received this message in error.";
        Self { status: 451, code: 0, message: message.to_owned() }
    }

    /// A server error, with the code Binance gives with that status.
    pub(crate) fn server(status: u16) -> Self {
        let (code, message) = match status {
            503 => (
                -1008,
                "Server is currently overloaded with other requests. Please try again in a few minutes.",
            ),
            504 => (
                -1007,
                "Timeout waiting for response from backend server. Send status unknown; execution status unknown.",
            ),
            500 => (-1001, "Internal error; unable to process your request. Please try again."),
            _ => (-1000, "An unknown error occurred while processing the request."),
        };
        Self { status, code, message: message.to_owned() }
    }

    /// The body.
    pub(crate) fn body(&self) -> String {
        serde_json::json!({ "code": self.code, "msg": self.message }).to_string()
    }
}
