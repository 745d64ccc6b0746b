//! Finding the cluster: a kubeconfig, or the service account of the pod this runs in.

use std::path::PathBuf;
use std::time::Duration;

use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};

use crate::error::{ClusterError, Doing, ErrorKind, chain};

/// Longest wait for a connection.
const CONNECT: Duration = Duration::from_secs(10);

/// Where credentials and address come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Kubeconfig files, merged as kubectl does: the first that says something counts.
    Kubeconfig {
        /// The files.
        paths: Vec<PathBuf>,
        /// The context; `None` is the current one.
        context: Option<String>,
    },
    /// The service account of a pod.
    Pod {
        /// `KUBERNETES_SERVICE_HOST`.
        host: String,
        /// `KUBERNETES_SERVICE_PORT`.
        port: u16,
        /// Folder with `token`, `ca.crt` and `namespace`.
        account: PathBuf,
    },
}

/// A connection to an API server. Cheap to clone.
#[derive(Clone)]
pub struct Cluster {
    pub(crate) client: kube::Client,
    pub(crate) page_size: u32,
    /// Address of the API server.
    pub server: String,
    /// Name of the context, when a kubeconfig was used.
    pub context: Option<String>,
    /// Namespace of the context, or of the pod.
    pub namespace: String,
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Cluster({})", self.server)
    }
}

impl Cluster {
    /// Reads the configuration and makes the client. Nothing is sent yet.
    ///
    /// # Errors
    /// When the configuration is missing, cannot be read, or names no usable cluster.
    pub async fn connect(source: &Source) -> Result<Self, ClusterError> {
        let (mut config, context) = match source {
            Source::Kubeconfig { paths, context } => kubeconfig(paths, context.as_deref()).await?,
            Source::Pod { host, port, account } => (pod(host, *port, account)?, None),
        };
        config.connect_timeout = Some(CONNECT);
        // The client would also repeat what creates something, and for minutes.
        config.default_retry = false;
        let server = config.cluster_url.to_string().trim_end_matches('/').to_owned();
        let namespace = config.default_namespace.clone();
        let doing = Doing { action: "prepare the connection", server: &server };
        let helper = config.auth_info.exec.as_ref().and_then(|exec| exec.command.clone());
        let client = kube::Client::try_from(config).map_err(|error| match &error {
            kube::Error::Auth(_) => {
                let mut failed = doing.failed(&error);
                if let Some(helper) = &helper {
                    failed.message.push_str(&format!(" (login helper {helper:?})"));
                }
                failed
            }
            other => ClusterError::new(
                ErrorKind::Config,
                format!("cannot prepare the connection to {server}: {}", chain(other)),
            )
            .with_hint("certificates and keys of the kubeconfig must be PEM; try the same with kubectl"),
        })?;
        Ok(Self { client, page_size: 500, server, context, namespace })
    }

    /// Asks for lists in pages of this many objects.
    #[must_use]
    pub fn with_page_size(mut self, objects: u32) -> Self {
        self.page_size = objects.max(1);
        self
    }
}

async fn kubeconfig(
    paths: &[PathBuf],
    context: Option<&str>,
) -> Result<(kube::Config, Option<String>), ClusterError> {
    let mut merged: Option<Kubeconfig> = None;
    for path in paths.iter().filter(|path| path.exists()) {
        let next = Kubeconfig::read_from(path).map_err(|error| unreadable(path, &error))?;
        merged = Some(match merged {
            Some(known) => known.merge(next).map_err(|error| unreadable(path, &error))?,
            None => next,
        });
    }
    let Some(merged) = merged else { return Err(no_file(paths)) };
    let name = context.map(str::to_owned).or_else(|| merged.current_context.clone());
    let known: Vec<String> = merged.contexts.iter().map(|context| context.name.clone()).collect();
    let options = KubeConfigOptions { context: name.clone(), ..KubeConfigOptions::default() };
    let config = kube::Config::from_custom_kubeconfig(merged, &options)
        .await
        .map_err(|error| unusable(name.as_deref(), &known, &error))?;
    Ok((config, name))
}

fn no_file(paths: &[PathBuf]) -> ClusterError {
    let names: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
    let message = if names.is_empty() {
        "no cluster to ask: no kubeconfig, and this is not a pod with a service account".to_owned()
    } else {
        format!("no cluster to ask: there is no kubeconfig at {}", names.join(", "))
    };
    ClusterError::new(ErrorKind::Config, message)
        .with_hint("name one with --kubeconfig or KUBECONFIG, or log in to a cluster first")
}

fn unreadable(path: &std::path::Path, error: &KubeconfigError) -> ClusterError {
    ClusterError::new(
        ErrorKind::Config,
        format!("cannot read the kubeconfig {}: {}", path.display(), chain(error)),
    )
    .with_hint("kubectl config view shows what kubectl makes of it")
}

fn unusable(name: Option<&str>, known: &[String], error: &KubeconfigError) -> ClusterError {
    let list = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    let hint = format!("the kubeconfig has the contexts: {list}");
    let message = match (name, error) {
        (None, _) | (_, KubeconfigError::CurrentContextNotSet) => {
            "the kubeconfig has no current context: choose one with --context".to_owned()
        }
        (Some(name), KubeconfigError::LoadContext(_)) => format!("the kubeconfig has no context {name:?}"),
        (Some(name), other) => format!("the context {name:?} is not usable: {}", chain(other)),
    };
    ClusterError::new(ErrorKind::Config, message).with_hint(hint)
}

fn pod(host: &str, port: u16, account: &std::path::Path) -> Result<kube::Config, ClusterError> {
    let read = |name: &str| {
        let path = account.join(name);
        std::fs::read_to_string(&path).map_err(|error| {
            ClusterError::new(
                ErrorKind::Config,
                format!("cannot read the service account of this pod: {}: {error}", path.display()),
            )
            .with_hint(
                "the pod needs automountServiceAccountToken: true; outside of a pod, name a kubeconfig with --kubeconfig",
            )
        })
    };
    let namespace = read("namespace")?.trim().to_owned();
    // Read by the client itself, again and again, because both are rotated; here only to fail early.
    read("token")?;
    read("ca.crt")?;
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    let url = format!("https://{host}:{port}").parse().map_err(|error| {
        ClusterError::new(ErrorKind::Config, format!("{host}:{port} is no address of an API server: {error}"))
            .with_hint("KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are set by the kubelet")
    })?;
    let mut config = kube::Config::new(url);
    config.default_namespace = namespace;
    config.root_cert_file = Some(account.join("ca.crt"));
    config.auth_info.token_file = Some(account.join("token").display().to_string());
    Ok(config)
}
