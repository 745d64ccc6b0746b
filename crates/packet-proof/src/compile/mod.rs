//! From policies to kernel rules, straight from what was written.
//!
//! Nothing of the engine's evaluation is used here, on purpose: the two are checked against each other, and a
//! mistake in something they shared would not be seen. The shape of the rules:
//!
//! ```text
//! forward ── established? accept
//!         ── by incoming interface: egress_I (pod I sends) ──┐ return = this end agrees
//!         ── by outgoing interface: ingress_I (pod I gets) ──┘ reject = this end does not
//!
//! egress_I: cluster-wide rules of the Admin tier ── accept: return ── deny: reject ── pass: policies_I
//!           policies_I: any policy selects the pod? its rules: return ... then reject
//!           baseline_I: cluster-wide rules of the Baseline tier
//! ```

mod admin;
mod matches;
mod policy;
mod select;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::IpAddr;

use netpol::object::{AdminPolicy, Direction, NetworkPolicy};

use crate::plan::Transport;
use matches::{Match, PodSets};

/// A pod as the compiler sees it.
#[derive(Clone, Debug, Default)]
pub struct Pod {
    /// Index of its node in the plan.
    pub node: usize,
    /// Namespace.
    pub namespace: String,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Named ports: name, protocol, number.
    pub ports: Vec<(String, Transport, u16)>,
    /// Addresses.
    pub addresses: Vec<IpAddr>,
}

/// The pods there are, and the labels of their namespaces.
#[derive(Clone, Debug, Default)]
pub struct Cluster {
    /// Pods.
    pub pods: Vec<Pod>,
    /// Labels of namespaces; `kubernetes.io/metadata.name` is added by itself.
    pub namespaces: BTreeMap<String, BTreeMap<String, String>>,
    /// Whether an `ipBlock` matches the addresses of pods.
    pub ip_block_matches_pods: bool,
}

impl Cluster {
    /// Labels of a namespace, with the one that the control plane sets on all.
    fn namespace_labels(&self, name: &str) -> BTreeMap<String, String> {
        let mut labels = self.namespaces.get(name).cloned().unwrap_or_default();
        labels.insert("kubernetes.io/metadata.name".to_owned(), name.to_owned());
        labels
    }
}

/// The policies to compile.
#[derive(Clone, Debug, Default)]
pub struct Policies<'a> {
    /// NetworkPolicies.
    pub policies: &'a [NetworkPolicy],
    /// Cluster-wide policies of all kinds.
    pub admin: &'a [AdminPolicy],
    /// Namespace of policies that name none.
    pub default_namespace: &'a str,
    /// Namespaces with a default-deny for both directions that is not among the policies.
    pub default_deny: &'a [String],
}

/// A part of a policy that no kernel rule can stand for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unsupported {
    /// The policy.
    pub policy: String,
    /// What could not be compiled, and how it was treated.
    pub what: String,
}

/// Compiled rules, and what is not in them.
#[derive(Clone, Debug, Default)]
pub struct Ruleset {
    /// A file for `nft -f`.
    pub text: String,
    /// What could not be compiled.
    pub unsupported: Vec<Unsupported>,
}

/// Compiles all policies for all pods of the cluster.
#[must_use]
pub fn compile(cluster: &Cluster, policies: &Policies<'_>) -> Ruleset {
    let sets = PodSets::new(cluster);
    let mut unsupported = Vec::new();
    let mut chains = String::new();
    for pod in &cluster.pods {
        for direction in [Direction::Egress, Direction::Ingress] {
            let mut scope = Scope { cluster, pod, direction, unsupported: &mut unsupported };
            chains.push_str(&scope.chains(policies));
        }
    }
    unsupported.sort();
    unsupported.dedup();
    let mut text = "table inet netpol {\n".to_owned();
    text.push_str(&sets.declarations());
    text.push_str(&chains);
    text.push_str("  chain forward {\n    type filter hook forward priority 0; policy accept;\n");
    text.push_str("    ct state established,related accept\n");
    for (key, direction) in [("iifname", Direction::Egress), ("oifname", Direction::Ingress)] {
        let jumps = cluster.pods.iter().map(|pod| format!("\"n{0}\" : jump {direction}_{0}", pod.node));
        let jumps: Vec<String> = jumps.collect();
        if !jumps.is_empty() {
            let _ = writeln!(text, "    {key} vmap {{ {} }}", jumps.join(", "));
        }
    }
    text.push_str("  }\n}\n");
    Ruleset { text, unsupported }
}

/// One pod in one direction.
struct Scope<'a> {
    cluster: &'a Cluster,
    pod: &'a Pod,
    direction: Direction,
    unsupported: &'a mut Vec<Unsupported>,
}

impl Scope<'_> {
    fn chains(&mut self, policies: &Policies<'_>) -> String {
        let (node, direction) = (self.pod.node, self.direction);
        let accept = "return".to_owned();
        let deny = "reject with icmpx type admin-prohibited".to_owned();
        let pass = format!("goto policies_{direction}_{node}");
        let baseline = format!("baseline_{direction}_{node}");
        let mut text = String::new();
        let tier = self.admin_rules(policies.admin, netpol::object::Tier::Baseline);
        Self::write_chain(&mut text, &baseline, &render(&tier, &accept, &deny, "return"), "return");
        let (isolated, rules) = self.policy_rules(policies);
        let last = if isolated { deny.clone() } else { format!("goto {baseline}") };
        let name = format!("policies_{direction}_{node}");
        let rules: Vec<String> =
            rules.iter().flat_map(|rule| rule.lines()).map(|line| format!("{line} return")).collect();
        Self::write_chain(&mut text, &name, &rules, &last);
        let tier = self.admin_rules(policies.admin, netpol::object::Tier::Admin);
        let name = format!("{direction}_{node}");
        Self::write_chain(&mut text, &name, &render(&tier, &accept, &deny, &pass), &pass);
        text
    }

    fn write_chain(text: &mut String, name: &str, rules: &[String], last: &str) {
        let _ = writeln!(text, "  chain {name} {{");
        for rule in rules {
            let _ = writeln!(text, "    {rule}");
        }
        let _ = writeln!(text, "    {last}\n  }}");
    }

    fn unsupported(&mut self, policy: &str, what: impl Into<String>) {
        self.unsupported.push(Unsupported { policy: policy.to_owned(), what: what.into() });
    }
}

/// What a rule of a cluster-wide policy does.
enum Effect {
    Accept,
    Deny,
    Pass,
}

fn render(rules: &[(Effect, Match)], accept: &str, deny: &str, pass: &str) -> Vec<String> {
    let mut lines = Vec::new();
    for (effect, rule) in rules {
        let verdict = match effect {
            Effect::Accept => accept,
            Effect::Deny => deny,
            Effect::Pass => pass,
        };
        lines.extend(rule.lines().into_iter().map(|line| format!("{line} {verdict}")));
    }
    lines
}
