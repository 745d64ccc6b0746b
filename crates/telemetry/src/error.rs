//! What can go wrong at the start.

/// Why telemetry could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// Somebody has installed a logger in this process already.
    #[error("logs and traces of this process are already set up")]
    AlreadySetUp,
}
