//! Network policies tried with real packets in Linux network namespaces.
//!
//! A verdict about a policy is a claim about a kernel. This crate checks the claim: [`compile`] turns policies into
//! nftables rules, knowing nothing of the engine that gives the verdicts, and [`run()`] builds a network namespace per
//! pod and peer, loads the rules where a cluster would have them (on the pods' links at the node) and tries every
//! connection between real sockets.
//!
//! ```text
//!   asker ── Plan ──> world (owns all namespaces, first process of a PID namespace)
//!                       ├── agent in n0 (pod)        servers and attempts
//!                       ├── agent in n1 (resolver)   answers DNS over UDP and TCP
//!                       └── agent in n2 (internet)   all external addresses
//! ```
//!
//! Everything that is made dies with the world process, and that dies with the asker.

mod agent;
pub mod compile;
mod plan;
mod run;
mod scenario;
mod task;
pub mod trial;
mod world;

pub use plan::{Ended, Listen, Node, Outcome, Plan, Probe, Results, Round, Task, Transport};
pub use run::{Launcher, ProofError, Rights, helper_main, rights, run};
pub use scenario::Scenario;
