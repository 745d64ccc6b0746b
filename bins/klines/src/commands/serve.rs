//! `klines serve`: the dashboard.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;

use binance::Client;
use dashboard::{Actions, Config, Failure, FillRequest, Source, Token, VerifyRequest, Work};
use kline::Millis;
use pipeline::{Against, Job, Options, Report, Since, VerifyOptions, VerifyReport};
use store::{KlineStore, Store};
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::Context;
use super::jobs::{self, deliver, open_read_only, wall_clock};
use super::show::masked;
use super::verify;
use crate::args::{FetchArgs, OutputFormat};
use crate::error::CliError;
use crate::observe::{self, Observed};
use crate::settings::Settings;
use crate::signals::Stop;
use crate::ui::progress::Progress;
use crate::ui::{self, Style};

/// Serves the dashboard until told to stop.
pub async fn run(context: &Context, stop: &Stop) -> Result<ExitCode, CliError> {
    let settings = &context.settings;
    let output = settings.output()?;
    let actions = actions(context)?;
    let listener = listen(settings).await?;
    let address = listener
        .local_addr()
        .map_err(|source| CliError::Io { doing: "ask for the address that is listened on".into(), source })?;
    let url = settings.store_url()?;
    let config = Config {
        source: Source::new(&url),
        store_name: masked(&url),
        version: env!("CARGO_PKG_VERSION"),
        since: since(settings)?,
        loopback: address.ip().is_loopback(),
        hosts: settings.allowed_hosts(),
        actions,
    };
    announce(&config, address, output)?;
    dashboard::serve(listener, config, stop.token.clone())
        .await
        .map_err(|source| CliError::Io { doing: format!("serve on {address}"), source })?;
    Ok(ExitCode::from(stop.exit_code().unwrap_or(0)))
}

fn announce(config: &Config, address: SocketAddr, output: OutputFormat) -> Result<(), CliError> {
    let actions = config.actions.is_some();
    if !config.loopback {
        let what = if actions {
            "reading needs no token: whoever reaches this address sees what is stored"
        } else {
            "whoever reaches this address sees what is stored; nothing can be changed"
        };
        tracing::warn!("listening on {address}, which others can reach: {what}");
    }
    if output == OutputFormat::Json {
        let line = serde_json::json!({
            "url": format!("http://{address}"), "store": config.store_name, "actions": actions,
        });
        return ui::out(&format!("{line}\n"));
    }
    let style = Style::stdout();
    let what = if actions { "actions with the token" } else { "reading only" };
    ui::out(&format!(
        "{} {}\n{} {}, {what}; Ctrl-C ends it\n",
        style.bold("dashboard"),
        style.green(&format!("http://{address}")),
        style.bold("store    "),
        config.store_name
    ))
}

/// Where history begins, if that is an instant: `listing` and look-backs differ from series to series.
fn since(settings: &Settings) -> Result<Option<Millis>, CliError> {
    Ok(match settings.since(false)? {
        Since::At(since) | Since::Begin(since) => Some(since),
        _ => None,
    })
}

async fn listen(settings: &Settings) -> Result<TcpListener, CliError> {
    let wanted = settings.listen()?;
    TcpListener::bind(&wanted).await.map_err(|source| {
        let hint = match source.kind() {
            std::io::ErrorKind::AddrInUse => {
                Some("another program listens there: choose another port with --listen, or port 0".to_owned())
            }
            std::io::ErrorKind::PermissionDenied => Some("take a port above 1023".to_owned()),
            _ => Some("write an address of this machine and a port, for example 127.0.0.1:8080".to_owned()),
        };
        CliError::Usage { message: format!("cannot listen on {wanted}: {source}"), hint }
    })
}

/// A token, and what whoever shows it may do.
type Allowed = (Token, Arc<dyn Actions>);

/// What may be done, when there is a token. Wrong settings are reported now, and not when somebody presses a button.
fn actions(context: &Context) -> Result<Option<Allowed>, CliError> {
    let settings = &context.settings;
    let Some(token) = settings.token()? else { return Ok(None) };
    let nats = observe::nats(settings)?;
    let options = jobs::options_of(settings, Job::FillGaps, &FetchArgs::default(), Vec::new(), nats.is_on())?;
    let verify =
        VerifyOptions { most_findings: FINDINGS, ..verify::options(settings, Against::Rest, Vec::new())? };
    let client = Client::new(settings.client()?).map_err(pipeline::JobError::from)?;
    let observed =
        Observed { progress: Progress::new(false, &context.log), metrics: context.metrics.clone() };
    observed.watch(&client);
    let url = settings.store_url()?;
    let jobs = Jobs { url, client, fill: options, verify, nats, observed: Arc::new(observed) };
    Ok(Some((token, Arc::new(jobs))))
}

/// Findings that a comparison keeps of a series: the dashboard shows the first ones and counts the rest.
const FINDINGS: usize = 20;

/// Does for the dashboard what `klines fill-gaps` and `klines verify` do.
#[derive(Clone)]
struct Jobs {
    url: String,
    client: Client,
    fill: Options,
    verify: VerifyOptions,
    nats: events::NatsSettings,
    observed: Arc<Observed>,
}

impl Jobs {
    async fn filled(self, request: FillRequest, stop: CancellationToken) -> Result<Report, CliError> {
        let options = Options {
            series: request.series,
            since: request.since.map_or(self.fill.since, Since::At),
            ..self.fill
        };
        let store = Store::open(&self.url).await?;
        let observed = &*self.observed;
        let run = pipeline::run(&store, &self.client, &options, observed, wall_clock(), &stop).await;
        if let Ok(report) = &run {
            observed.finished(report, &self.client);
            deliver(&store, &self.nats, observed).await;
        }
        store.close().await?;
        Ok(run?)
    }

    async fn compared(
        self,
        request: VerifyRequest,
        stop: CancellationToken,
    ) -> Result<VerifyReport, CliError> {
        let options = VerifyOptions {
            series: request.series,
            since: request.since.map_or(self.verify.since, Since::At),
            until: request.until.or(self.verify.until),
            ..self.verify
        };
        let store = open_read_only(&self.url).await?;
        let report = pipeline::verify(&store, &self.client, &options, &*self.observed, &stop).await;
        store.close().await?;
        Ok(report?)
    }
}

impl Actions for Jobs {
    fn fill(&self, request: FillRequest, stop: CancellationToken) -> Work<Report> {
        let this = self.clone();
        apart(move || this.filled(request, stop))
    }

    fn verify(&self, request: VerifyRequest, stop: CancellationToken) -> Work<VerifyReport> {
        let this = self.clone();
        apart(move || this.compared(request, stop))
    }
}

/// Does a job on a thread of its own: it is not proven to be `Send`, and long series are counted on the way.
fn apart<T, F>(job: impl FnOnce() -> F + Send + 'static) -> Work<T>
where
    T: Send + 'static,
    F: Future<Output = Result<T, CliError>>,
{
    let runtime = Handle::current();
    let work = tokio::task::spawn_blocking(move || runtime.block_on(job()));
    Box::pin(async move {
        match work.await {
            Ok(done) => {
                done.map_err(|error| Failure { message: pipeline::error::chain(&error), hint: error.hint() })
            }
            Err(lost) => {
                let message = format!("the job ended unexpectedly: {lost}");
                Err(Failure { message, hint: Some("the log of `klines serve` may tell more".into()) })
            }
        }
    })
}
