//! What the commands on a live cluster share: which cluster, which namespace, and how waiting is done.

use std::future::Future;
use std::path::{Path, PathBuf};

use cluster::{Cluster, ClusterError, Source};

use crate::failure::Failure;

/// Where Kubernetes mounts the service account of a pod.
const SERVICE_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// Which cluster and which namespace.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct ClusterArgs {
    /// Context of the kubeconfig [default: its current one].
    #[arg(long, value_name = "NAME", help_heading = "Cluster")]
    pub context: Option<String>,
    /// The kubeconfig [default: $KUBECONFIG, then ~/.kube/config, then the service account of the pod].
    #[arg(long, value_name = "FILE", help_heading = "Cluster")]
    pub kubeconfig: Option<PathBuf>,
    /// The namespace [default: that of the context].
    #[arg(long, short, value_name = "NS", help_heading = "Cluster")]
    pub namespace: Option<String>,
    /// All namespaces.
    #[arg(long, short = 'A', conflicts_with = "namespace", help_heading = "Cluster")]
    pub all_namespaces: bool,
}

impl ClusterArgs {
    /// Where address and credentials come from.
    pub fn source(&self) -> Source {
        let context = self.context.clone();
        if let Some(path) = &self.kubeconfig {
            return Source::Kubeconfig { paths: vec![path.clone()], context };
        }
        let named = std::env::var_os("KUBECONFIG").filter(|value| !value.is_empty());
        let paths: Vec<PathBuf> = match named {
            Some(list) => std::env::split_paths(&list).collect(),
            None => std::env::home_dir().map(|home| home.join(".kube/config")).into_iter().collect(),
        };
        if context.is_none() && !paths.iter().any(|path| path.exists()) {
            let host = std::env::var("KUBERNETES_SERVICE_HOST").ok();
            let port = std::env::var("KUBERNETES_SERVICE_PORT").ok().and_then(|port| port.parse().ok());
            if let (Some(host), Some(port)) = (host, port) {
                return Source::Pod { host, port, account: Path::new(SERVICE_ACCOUNT).to_path_buf() };
            }
        }
        Source::Kubeconfig { paths, context }
    }

    /// The namespace that is meant; `None` is all.
    pub fn scope<'a>(&'a self, cluster: &'a Cluster) -> Option<&'a str> {
        match self.all_namespaces {
            true => None,
            false => Some(self.namespace.as_deref().unwrap_or(&cluster.namespace)),
        }
    }
}

/// `namespace apps of https://... (context prod)`.
pub fn place(cluster: &Cluster, scope: Option<&str>) -> String {
    let scope = scope.map_or("all namespaces".to_owned(), |scope| format!("namespace {scope}"));
    let context =
        cluster.context.as_ref().map_or_else(String::new, |context| format!(" (context {context})"));
    format!("{scope} of {}{context}", cluster.server)
}

/// Runs what has to wait for the network.
pub fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime =
        runtime.map_err(|error| Failure::new(format!("cannot start the network runtime: {error}")))?;
    let result = runtime.block_on(work);
    // A request that nobody waits for any more must not hold up the end of the program.
    runtime.shutdown_background();
    result
}

impl From<ClusterError> for Failure {
    fn from(error: ClusterError) -> Self {
        let failure = Self::new(error.message);
        match error.hint {
            Some(hint) => failure.with_hint(hint),
            None => failure,
        }
    }
}
