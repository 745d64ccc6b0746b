//! The trace that is being written, for those who carry it elsewhere.

use opentelemetry::trace::{SpanContext, TraceContextExt};
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// The current span as a W3C `traceparent`, for the header of a message; `None` when no trace is being written.
pub fn current_traceparent() -> Option<String> {
    let context = tracing::Span::current().context();
    traceparent_of(context.span().span_context())
}

fn traceparent_of(span: &SpanContext) -> Option<String> {
    span.is_valid().then(|| {
        let sampled = u8::from(span.is_sampled());
        format!("00-{}-{}-{sampled:02x}", span.trace_id(), span.span_id())
    })
}
