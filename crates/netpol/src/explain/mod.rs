//! One connection, explained: the verdict, every policy that has a say in it, every rule and why it does or does
//! not match, and the label that is off.
//!
//! Start with [`explain`]. The result is text in a tree, ready for JSON; [`human`] lays it out for people.

mod connect;
mod find;
mod human;
mod side;

pub use find::{FindError, find_workload};
pub use human::human;

use serde::Serialize;

use crate::model::{Model, WorkloadId};
use crate::needs::WorkloadNeeds;

/// Everything there is to say about one connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// The sender, `Kind namespace/name`.
    pub from: String,
    /// Where the sender's pods are described, `file:line:column`.
    pub from_at: String,
    /// The receiver, as asked for.
    pub to: String,
    /// `allowed`, `denied` or `unknown`, over all steps that must work.
    pub verdict: String,
    /// How DNS and the network plugin were taken to behave.
    pub profile: String,
    /// Namespaces in which a default-deny was assumed.
    pub assumed_default_deny: Vec<String>,
    /// What has to work, in the order in which a client tries it.
    pub steps: Vec<Step>,
    /// Policies that almost select the sender, when something is denied; the closest first.
    pub closest: Vec<Closest>,
    /// What to do next.
    pub hints: Vec<String>,
}

/// One connection that has to work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Step {
    /// What it is for.
    pub what: String,
    /// Transport protocol.
    pub protocol: String,
    /// The port that the client names; 0 when every port was asked for.
    pub port: u16,
    /// Its verdict.
    pub verdict: String,
    /// Whether the whole fails without it.
    pub required: bool,
    /// Where packets may end.
    pub routes: Vec<RouteText>,
    /// Remarks.
    pub notes: Vec<String>,
}

/// One receiver of a step's packets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RouteText {
    /// The receiver.
    pub to: String,
    /// Protocol and port at the receiver: what policies see.
    pub port: String,
    /// The verdict.
    pub verdict: String,
    /// The sending end; `null` when the sender is no pod.
    pub egress: Option<End>,
    /// The receiving end; `null` when the receiver is no pod.
    pub ingress: Option<End>,
}

/// What one end of a connection says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct End {
    /// Its verdict.
    pub verdict: String,
    /// Why, in one word: `not-isolated`, `policy-rule`, `isolated`, ...
    pub reason: &'static str,
    /// Why, in a sentence.
    pub summary: String,
    /// Policies that are about the pod in this direction, with their rules.
    pub policies: Vec<PolicyText>,
    /// NetworkPolicies of the namespace and direction that do not select the pod.
    pub not_selecting: Vec<NotSelecting>,
}

/// A policy that is about a pod.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PolicyText {
    /// `namespace/name`.
    pub name: String,
    /// `file:line:column`; empty for an assumed policy.
    pub location: String,
    /// `yes`, or `maybe` when the input does not tell.
    pub selects: &'static str,
    /// Its rules in this direction.
    pub rules: Vec<RuleText>,
}

/// A rule of a policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RuleText {
    /// Number in its list, from 1.
    pub number: usize,
    /// `file:line:column`.
    pub location: String,
    /// `allow`, `deny` or `pass`.
    pub action: &'static str,
    /// `yes`, `no` or `maybe`.
    pub matches: &'static str,
    /// Why not, or why that is open.
    pub why: Vec<String>,
}

/// A policy that is not about a pod.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NotSelecting {
    /// `namespace/name`.
    pub name: String,
    /// `file:line:column` of its selector.
    pub location: String,
    /// The requirements that are not met.
    pub why: String,
}

/// A policy that was probably meant for the sender.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Closest {
    /// `namespace/name`.
    pub policy: String,
    /// Where the policy's selector says something else, `file:line:column`.
    pub location: String,
    /// Where the pod's label stands.
    pub label_location: Option<String>,
    /// The comparison in words.
    pub difference: String,
    /// How many other workloads the policy selects.
    pub selects: usize,
}

/// Explains the connection from a workload to `to`: `HOST:PORT`, `WORKLOAD[:PORT]`, the label of a need
/// (`mysql:3306`), or `dns`. `needs` are those of all workloads.
///
/// # Errors
/// When `to` cannot be understood or names several things.
pub fn explain(
    model: &Model<'_>,
    needs: &[WorkloadNeeds],
    from: WorkloadId,
    to: &str,
) -> Result<Explanation, FindError> {
    let input = model.input();
    let workload = &input.workloads[from];
    let namespace = workload.meta.namespace_or(&model.options().default_namespace);
    let own = needs.get(from).map(|needs| needs.needs.as_slice()).unwrap_or_default();
    let steps = connect::steps(model, from, namespace, own, to)?;
    let verdict = connect::overall(&steps);
    let blocked = steps.iter().any(|step| step.verdict != "allowed");
    let closest = if blocked { side::closest(model, from) } else { Vec::new() };
    let hints = hints(&verdict, &closest, &steps);
    Ok(Explanation {
        from: format!("{} {namespace}/{}", workload.kind, workload.meta.name),
        from_at: input.locate(workload.meta.name.span).to_string(),
        to: to.to_owned(),
        verdict,
        profile: model.options().profile.name.clone(),
        assumed_default_deny: model.options().assume_default_deny.clone(),
        steps,
        closest,
        hints,
    })
}

fn hints(verdict: &str, closest: &[Closest], steps: &[Step]) -> Vec<String> {
    let mut hints = Vec::new();
    if verdict == "denied" {
        hints.push(match closest.first() {
            Some(near) => format!(
                "either the pod's label or the selector of {} is probably a slip; netpol fix shows both ways out",
                near.policy
            ),
            None => "netpol fix proposes the least policy that allows it".to_owned(),
        });
    }
    let dns_over_tcp = steps.iter().any(|step| !step.required && step.verdict == "denied");
    if verdict != "denied" && dns_over_tcp {
        hints.push("answers too long for UDP will fail: allow 53/TCP beside 53/UDP".to_owned());
    }
    hints
}
