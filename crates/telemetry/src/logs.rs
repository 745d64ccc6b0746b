//! Log lines on stderr.

use std::fmt;
use std::io::{self, Write};
use std::sync::{Arc, PoisonError, RwLock};

use opentelemetry::trace::TraceContextExt;
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter};
use tracing_subscriber::registry::LookupSpan;

type Consumer = Arc<dyn Fn(&[u8]) + Send + Sync>;

/// Where log lines go: to stderr, until somebody redirects them. Whoever draws on the terminal (a progress display)
/// redirects them to itself while it does, so that lines and drawing do not tear each other.
#[derive(Clone, Default)]
pub struct LogSink(Arc<RwLock<Option<Consumer>>>);

impl LogSink {
    /// From now on hands every line, with its line feed, to `consumer`. A consumer must not log.
    pub fn redirect(&self, consumer: impl Fn(&[u8]) + Send + Sync + 'static) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(consumer));
    }

    /// Back to stderr.
    pub fn restore(&self) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn write(&self, line: &[u8]) {
        let consumer = self.0.read().unwrap_or_else(PoisonError::into_inner).clone();
        match consumer {
            Some(consumer) => consumer(line),
            // A log that cannot be written cannot be complained about.
            None => drop(io::stderr().lock().write_all(line)),
        }
    }
}

impl fmt::Debug for LogSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LogSink")
    }
}

impl MakeWriter<'_> for LogSink {
    type Writer = LogLine;

    fn make_writer(&self) -> LogLine {
        LogLine { sink: self.clone(), line: Vec::new() }
    }
}

/// One line in the making; goes out as a whole when dropped.
pub struct LogLine {
    sink: LogSink,
    line: Vec<u8>,
}

impl Write for LogLine {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.line.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for LogLine {
    fn drop(&mut self) {
        if !self.line.is_empty() {
            self.sink.write(&self.line);
        }
    }
}

/// JSON lines that name the trace they belong to: `trace_id` and `span_id` come first.
pub(crate) struct WithTrace<F>(pub(crate) F);

impl<S, N, F> FormatEvent<S, N> for WithTrace<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut out: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let current = opentelemetry::Context::current();
        let span = current.span().span_context().clone();
        if !span.is_valid() {
            return self.0.format_event(context, out, event);
        }
        let mut line = String::new();
        self.0.format_event(context, Writer::new(&mut line), event)?;
        match line.strip_prefix('{') {
            Some(rest) => {
                write!(
                    out,
                    "{{\"trace_id\":\"{}\",\"span_id\":\"{}\",{rest}",
                    span.trace_id(),
                    span.span_id()
                )
            }
            None => out.write_str(&line),
        }
    }
}
