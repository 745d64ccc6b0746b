//! OpenTelemetry and logs: set-up, names, flush at exit.
