//! What several rules say in the same words.

use crate::findings::{Finding, NeedRef, ObjectId};
use crate::model::{
    JOB_NAME_LABELS, Miss, Note, PolicyRef, Reason, RuleOutcome, SideDecision, Unmet, Verdict, WorkloadId,
};
use crate::nearmiss::{NearPolicy, similar};
use crate::needs::{Need, Target};
use crate::object::{Direction, Label, LabelSelector, Labels, Operator, Protocol, Tri, WorkloadKind};
use crate::source::Span;

use super::context::Check;

/// Why a need is blocked; each kind is the business of one rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Block {
    /// NP101: the workload's own policies.
    Egress,
    /// NP202: DNS over TCP alone.
    DnsOverTcp,
    /// NP301: a policy names the Service's port instead of the pod's.
    PortMapping { service_port: u16, pod_port: u16, direction: Direction },
    /// NP306: the Service does not have the port.
    NotExposed,
    /// NP303: the port is allowed with another protocol.
    Protocol,
    /// NP307: the receiver's policies.
    Ingress,
}

/// Why a need of a workload is blocked, if it is.
pub(crate) fn block(check: &Check<'_>, workload: WorkloadId, index: usize) -> Option<Block> {
    let need = &check.needs[workload].needs[index];
    let judged = &check.judged[workload][index];
    if judged.verdict != Verdict::Denied {
        return None;
    }
    if judged.port_not_exposed() {
        return Some(Block::NotExposed);
    }
    let decision = judged.decision()?;
    let denied = |side: &&SideDecision| side.verdict == Verdict::Denied;
    let egress = decision.egress.as_ref().filter(denied);
    let ingress = decision.ingress.as_ref().filter(denied);
    if need.target == Target::Dns && need.protocol == Protocol::Tcp {
        let needs = check.needs[workload].needs.iter().zip(&check.judged[workload]);
        let udp = needs.filter(|(other, _)| other.target == Target::Dns && other.protocol == Protocol::Udp);
        if udp.map(|(_, judged)| judged.verdict).all(|verdict| verdict != Verdict::Denied) {
            return Some(Block::DnsOverTcp);
        }
    }
    let mapped = judged.notes.iter().find_map(|note| match note {
        Note::PortMapped { service_port, pod_port } => Some((*service_port, *pod_port)),
        _ => None,
    });
    if let Some((service_port, pod_port)) = mapped {
        let side = egress.or(ingress);
        if let Some(side) = side
            && side.ports.may.contains(need.protocol, service_port)
        {
            return Some(Block::PortMapping { service_port, pod_port, direction: side.direction });
        }
    }
    if let Some(side) = egress.or(ingress)
        && need.target != Target::Dns
        && Protocol::ALL
            .iter()
            .any(|other| *other != need.protocol && side.ports.must.contains(*other, need.port))
        && crate::needs::only_protocol(need.port).is_some()
    {
        return Some(Block::Protocol);
    }
    if egress.is_some() { Some(Block::Egress) } else { ingress.map(|_| Block::Ingress) }
}

/// Needs of a workload that are blocked in one way.
pub(crate) fn blocked<'c>(
    check: &'c Check<'_>,
    workload: WorkloadId,
    wanted: impl Fn(Block) -> bool + 'c,
) -> impl Iterator<Item = (usize, &'c Need, Block)> + 'c {
    let needs = check.needs[workload].needs.iter().enumerate();
    needs.filter_map(move |(index, need)| {
        let block = block(check, workload, index).filter(|block| wanted(*block))?;
        Some((index, need, block))
    })
}

/// A need for a finding.
pub(crate) fn need_ref(need: &Need, verdict: Verdict, in_headline: bool) -> NeedRef {
    NeedRef { need: need.clone(), verdict, in_headline }
}

/// The object of a workload, pointing at the label that the near miss is about, else at its pods' labels, else at its
/// name.
pub(crate) fn workload_object(
    check: &Check<'_>,
    workload: WorkloadId,
    near: Option<&NearPolicy>,
) -> ObjectId {
    let own = &check.input.workloads[workload];
    let mut object = check.object(&own.meta);
    let labels = &own.pod.labels;
    if let Some(near) = near
        && let Some(span) = near.comparison.differences.iter().find_map(|difference| {
            labels.get(&difference.key).map(|pair| pair.key.span).or(difference.found_span)
        })
    {
        object.span = span;
    } else if let Some(pair) = telling(labels) {
        object.span = pair.key.span;
    }
    object
}

/// The label that says most about what the pods are.
fn telling(labels: &Labels) -> Option<&Label> {
    let keys =
        ["app.kubernetes.io/component", "component", "app.kubernetes.io/name", "app", "k8s-app", "name"];
    keys.iter().find_map(|key| labels.get(key)).or(labels.pairs.first())
}

/// The policy that was probably meant for a workload: it allows something in this direction, and almost selects it.
pub(crate) fn near(check: &Check<'_>, workload: WorkloadId, direction: Direction) -> Option<NearPolicy> {
    let all = check.near_policies(workload);
    let near = all.iter().find(|near| {
        let policy = &check.input.policies[near.policy];
        policy.applies_to(direction) && !policy.rules(direction).is_empty()
    });
    near.cloned()
}

/// Adds the near miss to a finding.
pub(crate) fn with_near(finding: Finding, check: &Check<'_>, near: Option<&NearPolicy>) -> Finding {
    let Some(near) = near else { return finding };
    let policy = &check.input.policies[near.policy];
    let name = &policy.meta.name;
    let first = near.comparison.differences.first();
    let span = first.map_or(name.span, |difference| difference.wanted_span);
    let mut what = near.comparison.parts().join(",\n");
    if let Some((theirs, ours)) = &near.namespaces {
        what = format!("all its labels match, but it is in namespace {theirs} and the pod in {ours}");
    }
    let mut finding = finding.note_at(format!("closest policy: {name} ({{}}): {what}"), span);
    finding.causes.push(crate::findings::Cause {
        kind: "near-miss",
        policy: Some(check.model.policy_name(PolicyRef::Network(near.policy))),
        rule: None,
        text: what.replace('\n', " "),
        span: Some(span),
    });
    finding
}

/// Says which policies deny, in the direction, what the workload needs.
pub(crate) fn deny_note(check: &Check<'_>, workload: WorkloadId, direction: Direction) -> String {
    let selecting: Vec<PolicyRef> =
        check.selecting(workload, direction).iter().map(|(policy, _)| *policy).collect();
    let has_rules = |policy: &PolicyRef| match policy {
        PolicyRef::Network(index) => {
            check.input.policies.get(*index).is_some_and(|policy| !policy.rules(direction).is_empty())
        }
        _ => false,
    };
    let names = |list: &[&PolicyRef]| {
        let names: Vec<String> = list.iter().map(|policy| short_name(check, **policy)).collect();
        names.join(", ")
    };
    let (allowing, denying): (Vec<&PolicyRef>, Vec<&PolicyRef>) =
        selecting.iter().partition(|policy| has_rules(policy));
    let assumed = match denying.iter().any(|policy| matches!(policy, PolicyRef::Assumed(_))) {
        true => " (assumed to be there: --assume-default-deny)",
        false => "",
    };
    let verb = |list: &[&PolicyRef]| if list.len() == 1 { "policy" } else { "policies" };
    match (denying.len(), allowing.len()) {
        (0, 0) => format!("no policy selects this pod for {direction}"),
        (count, 0) => format!(
            "{} {} {} all {direction} of this pod, and no other policy selects it{assumed}",
            verb(&denying),
            names(&denying),
            if count == 1 { "denies" } else { "deny" },
        ),
        (0, _) => {
            let selects = if allowing.len() == 1 { "selects" } else { "select" };
            let (policies, names) = (verb(&allowing), names(&allowing));
            format!("{policies} {names} {selects} this pod for {direction}, and no rule allows this")
        }
        _ => format!(
            "{} {} denies all {direction} of this pod, and no rule of {} allows this{assumed}",
            verb(&denying),
            names(&denying),
            names(&allowing),
        ),
    }
}

/// The name of a policy inside a sentence about one namespace.
pub(crate) fn short_name(check: &Check<'_>, policy: PolicyRef) -> String {
    match (policy, check.model.policy_meta(policy)) {
        (PolicyRef::Assumed(_), _) => "default-deny-all".to_owned(),
        (_, Some(meta)) => meta.name.value.clone(),
        (_, None) => check.model.policy_name(policy),
    }
}

/// Adds which policies isolate the workload, for machines.
pub(crate) fn with_isolation(
    mut finding: Finding,
    check: &Check<'_>,
    workload: WorkloadId,
    direction: Direction,
) -> Finding {
    for (policy, _) in check.selecting(workload, direction) {
        finding.causes.push(crate::findings::Cause {
            kind: "isolated-by",
            policy: Some(check.model.policy_name(*policy)),
            rule: None,
            text: format!("selects the pod for {direction}"),
            span: check.model.policy_meta(*policy).map(|meta| meta.name.span),
        });
    }
    finding
}

/// The rule that comes closest to allowing a connection, in words, with its place.
pub(crate) fn closest_rule(check: &Check<'_>, side: &SideDecision) -> Option<(String, Option<Span>)> {
    if side.reason == Reason::AdminRule || side.reason == Reason::BaselineRule {
        let rule = side.deciding.first()?;
        let text = format!("rule {} of {} denies it", rule.index + 1, check.model.policy_name(rule.policy));
        return Some((format!("{text} ({{}})"), check.model.rule_span(*rule)));
    }
    let close =
        |rule: &&RuleOutcome| rule.subject == Tri::Yes && (rule.port != Tri::No) != (rule.peer != Tri::No);
    let rule = side.rules.iter().filter(close).max_by_key(|rule| rule.port)?;
    let name = short_name(check, rule.rule.policy);
    let place = check.model.rule_span(rule.rule);
    let number = rule.rule.index + 1;
    let direction = side.direction;
    if rule.port == Tri::No {
        let text = match rule.unresolved.first() {
            Some(port) => format!("its port {port:?} is the name of no container port there"),
            None => format!("it allows {} only", rule.ports.may),
        };
        return Some((
            format!("{direction} rule {number} of {name} ({{}}) is about this peer, but {text}"),
            place,
        ));
    }
    let miss = rule.peers.iter().flat_map(|peer| &peer.misses).next()?;
    Some((
        format!("{direction} rule {number} of {name} ({{}}) allows the port, but {}", describe_miss(miss)),
        place,
    ))
}

fn describe_miss(miss: &Miss) -> String {
    match miss {
        Miss::Label(unmet) => format!("its podSelector {}", describe_unmet(unmet, "the pod")),
        Miss::NamespaceLabel(unmet) => {
            format!("its namespaceSelector {}", describe_unmet(unmet, "the namespace"))
        }
        Miss::OtherNamespace { policy, pod: Some(pod) } => {
            format!("without a namespaceSelector it looks in {policy} alone, and the pod is in {pod}")
        }
        Miss::OtherNamespace { policy, pod: None } => {
            format!("without a namespaceSelector it looks in {policy} alone")
        }
        Miss::Outside { cidr, .. } => format!("the address is not in {cidr}"),
        Miss::RangeForPod => "under this profile an ipBlock never matches a pod".to_owned(),
        Miss::SelectorForAddress => "a selector never matches an address outside the cluster".to_owned(),
        Miss::Nodes => "it is about nodes".to_owned(),
        Miss::Name(names) => format!("it names {} only", names.join(", ")),
        Miss::HostNetwork => "the pod uses the network of its node".to_owned(),
        Miss::Invalid => "its peer cannot be understood".to_owned(),
    }
}

fn describe_unmet(unmet: &Unmet, what: &str) -> String {
    let key = &unmet.key;
    let wanted = match unmet.operator {
        Operator::In => format!("wants {key}: {}", unmet.values.join(" or ")),
        Operator::NotIn => format!("does not want {key}: {}", unmet.values.join(" or ")),
        Operator::Exists => format!("wants a label {key}"),
        Operator::DoesNotExist => format!("wants no label {key}"),
        Operator::Unknown => format!("has an unknown operator on {key}"),
    };
    match (&unmet.actual, unmet.open) {
        (Some(actual), _) => format!("{wanted}, {what} has {actual}"),
        (None, true) => format!("{wanted}, and the labels of {what} are not known"),
        (None, false) => format!("{wanted}, {what} has no such label"),
    }
}

/// The command that proposes a policy for a workload: `netpol fix k8s/ --write k8s/network-policy-gap-filler.yaml`.
pub(crate) fn fix_command(check: &Check<'_>, workload: WorkloadId, near: Option<&NearPolicy>) -> String {
    let own = &check.input.workloads[workload];
    let near_file = near.map(|near| check.input.policies[near.policy].meta.span.file);
    let file = near_file
        .filter(|file| (file.0 as usize) < check.options.checked_files)
        .unwrap_or(own.meta.span.file);
    let file = check.input.files.get(file.0 as usize).map_or("", |file| file.name());
    let command = &check.options.fix_command;
    if file.is_empty() || file.starts_with('<') {
        return command.clone();
    }
    let folder = file.rfind('/').map_or("", |at| file.get(..=at).unwrap_or(""));
    format!(
        "{command} --write {folder}network-policy-{}.yaml",
        policy_word(&own.pod.labels, &own.meta.name.value, near)
    )
}

/// What tells the workload from those the closest policy is about.
fn policy_word(labels: &Labels, name: &str, near: Option<&NearPolicy>) -> String {
    let off = near.and_then(|near| near.comparison.differences.first());
    if let Some((found, wanted)) = off.and_then(|off| Some((off.found.as_ref()?, &off.wanted))) {
        return similar::distinguishing(found, wanted);
    }
    let value = telling(labels).map(|pair| pair.value.value.as_str()).filter(|value| !value.contains('{'));
    value.unwrap_or(name).to_owned()
}

/// The remark on a selector that wants the pods of a CronJob by the name of the CronJob.
pub(crate) fn job_name_note(
    check: &Check<'_>,
    selector: &LabelSelector,
    namespaces: &[&str],
) -> Option<String> {
    let wanted = selector.requirements().find(|one| JOB_NAME_LABELS.contains(&one.key()))?;
    let cron_job = check.input.workloads.iter().find(|workload| {
        workload.kind == WorkloadKind::CronJob
            && namespaces.contains(&check.namespace(&workload.meta))
            && wanted.values().any(|value| value == workload.meta.name.value)
    })?;
    let (key, name) = (wanted.key(), &cron_job.meta.name);
    Some(format!(
        "pods of CronJob {name} carry {key}: {name}-NUMBER, another one in every run: select them by a label of the pod \
         template"
    ))
}

/// `a`, `a and b`, `a, b and c`.
pub(crate) fn and_list(words: &[String]) -> String {
    match words {
        [] => String::new(),
        [one] => one.clone(),
        [head @ .., last] => format!("{} and {last}", head.join(", ")),
    }
}

/// How the headline names blocked DNS: `DNS, 53/UDP and 53/TCP`.
pub(crate) fn dns_words(needs: &[&Need]) -> Option<String> {
    let dns: Vec<&&Need> = needs.iter().filter(|need| need.target == Target::Dns).collect();
    let udp = dns.iter().any(|need| need.protocol == Protocol::Udp);
    udp.then(|| {
        let ports: Vec<String> = dns.iter().map(|need| format!("{}/{}", need.port, need.protocol)).collect();
        format!("DNS, {}", and_list(&ports))
    })
}
