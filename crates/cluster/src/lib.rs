//! A live Kubernetes cluster: what is in it for the policy engine, how its CronJobs are doing, and trial runs of them.
//!
//! Everything but [`smoke`] only reads. Requests are the API's documented ones and objects stay JSON; address, credentials and
//! TLS are the business of the `kube` client. What the server refuses is handed on in words, with what is not known because of
//! it: nothing is silently left out.
//!
//! * [`Cluster::connect`]: from a kubeconfig or the service account of a pod;
//! * [`snapshot::take`]: every object that says something about policies, as documents for [`netpol::Input`];
//! * [`drift`]: where manifests and cluster differ;
//! * [`status`]: success and failure, missed and next runs of CronJobs;
//! * [`smoke`]: a Job from a CronJob, followed to its end, explained when it fails, removed.
//!
//! The library prints nothing and reads no environment.

mod api;
mod connect;
pub mod drift;
mod error;
mod fixes;
pub mod schedule;
pub mod smoke;
pub mod snapshot;
pub mod status;
mod value;

pub use api::{CRON_JOBS, JOBS, Listing, NAMESPACES, PODS, Resource, Select};
pub use connect::{Cluster, Source};
pub use error::{ClusterError, ErrorKind};
pub use fixes::{fix_command, write_here};
pub use jiff_kube::{SignedDuration, Timestamp};
