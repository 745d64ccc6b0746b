//! What the rules look at, and where their findings go.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::findings::{Finding, Ignore, NeedRef, ObjectId, Severity, Suppression, suppress_decisions};
use crate::model::{Model, NAMESPACE_NAME_LABEL, Peer, PolicyRef, Target as DnsTarget, Verdict, WorkloadId};
use crate::nearmiss::{self, NearPolicy};
use crate::needs::env::Configs;
use crate::needs::names::Names;
use crate::needs::{Confidence, Judged, NeedsFile, Target, WorkloadNeeds, derive};
use crate::object::{
    Direction, Label, LabelSelector, Labels, Meta, NetworkPolicy, PolicyRule, Protocol, Tri, Workload,
};
use crate::parallel;
use crate::read::Input;
use crate::source::{Problem, ProblemKind, Span, Text};

use super::overlay::Replaced;
use super::report::Report;
use super::{ALL, Rule};

/// How to check.
#[derive(Clone, Debug)]
pub struct CheckOptions {
    /// Files of the input under check are those before this index; the others are context: known, not reported on.
    pub checked_files: usize,
    /// Severities by rule id; `None` switches a rule off. The last one counts.
    pub severities: Vec<(String, Option<Severity>)>,
    /// Findings that are accepted.
    pub ignores: Vec<Ignore>,
    /// Objects of the context that the checked files replace (see [`super::overlay`]), for the comparison with a live cluster.
    pub replaced: Option<Replaced>,
    /// The command that proposes fixes for the same input, for hints.
    pub fix_command: String,
}

impl Default for CheckOptions {
    fn default() -> Self {
        Self {
            checked_files: usize::MAX,
            severities: Vec::new(),
            ignores: Vec::new(),
            replaced: None,
            fix_command: "netpol fix".to_owned(),
        }
    }
}

/// Runs every rule.
#[must_use]
pub fn check(model: &Model<'_>, needs: &NeedsFile, options: &CheckOptions) -> Report {
    let check = Check::new(model, needs, options);
    let mut report = Report { findings: Vec::new(), problems: check.problems() };
    let decisions = check.decisions(&mut report.problems);
    let (first, others) = ALL.split_at(EXPLAINING);
    for rule in first {
        report.findings.append(&mut run(rule, &check, &decisions));
    }
    for mut found in parallel::each(others, |rule| run(rule, &check, &decisions)) {
        report.findings.append(&mut found);
    }
    report.findings.sort_by(|a, b| {
        let key = |finding: &Finding| (std::cmp::Reverse(finding.severity), finding.rule, finding.span);
        key(a).cmp(&key(b))
    });
    report
}

/// The rules at the head of the list that note what they explain ([`Check::explain`]); the others ask, and so come after.
const EXPLAINING: usize = 2;

/// The findings of one rule, unless it is switched off.
fn run(rule: &'static Rule, check: &Check<'_>, decisions: &Decisions<'_>) -> Vec<Finding> {
    let severity = match check.configured(rule) {
        Some(None) => return Vec::new(),
        Some(severity) => severity,
        None => None,
    };
    let (groups, known) = (HashMap::new(), HashMap::new());
    let mut sink = Sink { rule, severity, check, decisions, found: Vec::new(), groups, known };
    (rule.check)(check, &mut sink);
    sink.found
}

/// What a rule that panicked left is as good as before.
fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Everything a rule may look at. Rules look at the same time.
pub(crate) struct Check<'a> {
    pub(crate) model: &'a Model<'a>,
    pub(crate) input: &'a Input,
    pub(crate) options: &'a CheckOptions,
    pub(crate) needs_file: &'a NeedsFile,
    /// By workload.
    pub(crate) needs: Vec<WorkloadNeeds>,
    /// By workload and need.
    pub(crate) judged: Vec<Vec<Judged>>,
    /// By policy: the workloads it selects, for sure or perhaps.
    pub(crate) selected: Vec<Vec<WorkloadId>>,
    /// By workload: the policies that select it for ingress and for egress.
    selecting: Vec<[Vec<(PolicyRef, Tri)>; 2]>,
    known_namespaces: BTreeSet<&'a str>,
    /// Namespaces with workloads.
    inhabited: HashSet<&'a str>,
    /// Labels of the namespaces that the input defines, the name label included.
    namespace_labels: HashMap<&'a str, Labels>,
    pub(crate) names: Names<'a>,
    pub(crate) configs: Configs<'a>,
    /// Verdicts on the resolver, by workload and protocol: several rules ask.
    dns: Mutex<HashMap<(WorkloadId, Protocol), Verdict>>,
    /// Policies that almost select a workload: several rules ask.
    near: Mutex<HashMap<WorkloadId, Arc<[NearPolicy]>>>,
    /// Workloads whose missing policy a finding has explained already.
    explained: Mutex<BTreeSet<WorkloadId>>,
}

/// The verdicts on all needs.
fn judge_all(model: &Model<'_>, needs: &[WorkloadNeeds]) -> Vec<Vec<Judged>> {
    let judge = |(index, of): (usize, &WorkloadNeeds)| -> Vec<Judged> {
        of.needs.iter().map(|need| need.judge(model, index)).collect()
    };
    let parts = parallel::ranges(needs.len(), 64, |range| {
        let part = needs.iter().enumerate().skip(range.start).take(range.len());
        part.map(judge).collect::<Vec<_>>()
    });
    parts.into_iter().flatten().collect()
}

impl<'a> Check<'a> {
    fn new(model: &'a Model<'a>, file: &'a NeedsFile, options: &'a CheckOptions) -> Self {
        let input = model.input();
        let default = model.options().default_namespace.as_str();
        let needs = derive(input, default, file);
        let judged = judge_all(model, &needs);
        let mut selecting = Vec::with_capacity(input.workloads.len());
        let mut selected = vec![Vec::new(); input.policies.len()];
        for index in 0..input.workloads.len() {
            let pod = model.pod(index);
            let both = [model.selecting(pod, Direction::Ingress), model.selecting(pod, Direction::Egress)];
            for (policy, _) in both.iter().flatten() {
                if let PolicyRef::Network(policy) = policy
                    && let Some(list) = selected.get_mut(*policy)
                    && list.last() != Some(&index)
                {
                    list.push(index);
                }
            }
            selecting.push(both);
        }
        let namespace_labels = input.namespaces.iter().map(|namespace| {
            let name = namespace.meta.name.value.as_str();
            (name, named(namespace.meta.labels.clone(), name))
        });
        let namespace_labels = namespace_labels.collect();
        let inhabited: HashSet<&str> =
            input.workloads.iter().map(|workload| workload.meta.namespace_or(default)).collect();
        let mut known_namespaces: BTreeSet<&str> = inhabited.iter().copied().collect();
        known_namespaces.extend(input.namespaces.iter().map(|namespace| namespace.meta.name.value.as_str()));
        Self {
            model,
            input,
            options,
            needs_file: file,
            needs,
            judged,
            selected,
            selecting,
            known_namespaces,
            inhabited,
            namespace_labels,
            names: Names::new(input, default),
            configs: Configs::new(input, default),
            dns: Mutex::new(HashMap::new()),
            near: Mutex::new(HashMap::new()),
            explained: Mutex::new(BTreeSet::new()),
        }
    }

    /// Namespace of objects that name none.
    pub(crate) fn default_namespace(&self) -> &'a str {
        &self.model.options().default_namespace
    }

    /// The namespace of an object.
    pub(crate) fn namespace<'m>(&self, meta: &'m Meta) -> &'m str
    where
        'a: 'm,
    {
        meta.namespace_or(self.default_namespace())
    }

    /// An object for a finding.
    pub(crate) fn object(&self, meta: &Meta) -> ObjectId {
        ObjectId::new(meta, self.default_namespace())
    }

    /// Whether a place is in a file under check.
    pub(crate) fn is_checked(&self, span: Span) -> bool {
        (span.file.0 as usize) < self.options.checked_files
    }

    /// The policies that select a workload in a direction, and how sure that is.
    pub(crate) fn selecting(&self, workload: WorkloadId, direction: Direction) -> &[(PolicyRef, Tri)] {
        let both = &self.selecting[workload];
        match direction {
            Direction::Ingress => &both[0],
            Direction::Egress => &both[1],
        }
    }

    /// Whether a policy surely isolates the workload in this direction.
    pub(crate) fn is_isolated(&self, workload: WorkloadId, direction: Direction) -> bool {
        self.selecting(workload, direction).iter().any(|(_, sure)| *sure == Tri::Yes)
    }

    /// Whether a workload reaches the resolver over UDP or TCP.
    pub(crate) fn dns(&self, workload: WorkloadId, protocol: Protocol) -> Verdict {
        if let Some(known) = lock(&self.dns).get(&(workload, protocol)) {
            return *known;
        }
        let needs = self.needs[workload].needs.iter().zip(&self.judged[workload]);
        let mut judged = needs.filter(|(need, _)| need.target == Target::Dns && need.protocol == protocol);
        let verdict = match judged.next() {
            Some((_, judged)) => judged.verdict,
            None => self.model.verdict(&Peer::Workload(workload), &DnsTarget::Dns, protocol, 53).verdict,
        };
        lock(&self.dns).insert((workload, protocol), verdict);
        verdict
    }

    /// Policies that almost select a workload, the closest first.
    pub(crate) fn near_policies(&self, workload: WorkloadId) -> Arc<[NearPolicy]> {
        if let Some(known) = lock(&self.near).get(&workload) {
            return Arc::clone(known);
        }
        // Not under the lock: others would wait for the answer on another workload.
        let near: Arc<[NearPolicy]> = nearmiss::policies_for(self.model, workload).into();
        lock(&self.near).insert(workload, Arc::clone(&near));
        near
    }

    /// Notes that a finding of a rule has explained which policy the workload misses: for the rules at the head of the list,
    /// since those after them ask at the same time.
    pub(crate) fn explain(&self, rule: &Rule, workload: WorkloadId) {
        debug_assert!(
            ALL[..EXPLAINING].iter().any(|first| first.id == rule.id),
            "{} comes too late",
            rule.id
        );
        lock(&self.explained).insert(workload);
    }

    /// Whether a finding has explained which policy the workload misses.
    pub(crate) fn is_explained(&self, workload: WorkloadId) -> bool {
        lock(&self.explained).contains(&workload)
    }

    /// Workloads under check.
    pub(crate) fn workloads(&self) -> impl Iterator<Item = (WorkloadId, &'a Workload)> {
        self.input.workloads.iter().enumerate().filter(|(_, workload)| self.is_checked(workload.meta.span))
    }

    /// Policies under check.
    pub(crate) fn policies(&self) -> impl Iterator<Item = (usize, &'a NetworkPolicy)> {
        self.input.policies.iter().enumerate().filter(|(_, policy)| self.is_checked(policy.meta.span))
    }

    /// A NetworkPolicy by reference; `None` for cluster-wide and assumed ones.
    pub(crate) fn network_policy(&self, policy: PolicyRef) -> Option<&'a NetworkPolicy> {
        match policy {
            PolicyRef::Network(index) => self.input.policies.get(index),
            _ => None,
        }
    }

    /// The rules of a policy that have an effect, with direction and number (from 1).
    pub(crate) fn rules_of<'p>(
        &self,
        policy: &'p NetworkPolicy,
    ) -> impl Iterator<Item = (Direction, usize, &'p PolicyRule)> + use<'p> {
        let both = [Direction::Ingress, Direction::Egress].into_iter();
        both.filter(|direction| policy.applies_to(*direction)).flat_map(|direction| {
            policy.rules(direction).iter().enumerate().map(move |(index, rule)| (direction, index + 1, rule))
        })
    }

    /// Namespaces that the input mentions as the home of something.
    pub(crate) fn known_namespaces(&self) -> &BTreeSet<&'a str> {
        &self.known_namespaces
    }

    /// Whether the input has any workload in this namespace: without one, what selects nothing there cannot be judged.
    pub(crate) fn is_inhabited(&self, namespace: &str) -> bool {
        self.inhabited.contains(namespace)
    }

    /// Whether a custom resource carries the labels: its operator will make pods from it.
    pub(crate) fn is_made_by_operator(&self, selector: &LabelSelector, namespace: &str) -> bool {
        const NO_PODS: [&str; 8] =
            ["Monitor", "Rule", "Policy", "Route", "Certificate", "Issuer", "Secret", "Application"];
        let custom = |meta: &Meta| {
            let group = meta.api_version.value.split('/').next().unwrap_or("");
            group.contains('.')
                && !group.ends_with("k8s.io")
                && !NO_PODS.iter().any(|word| meta.kind.value.ends_with(word))
        };
        !selector.is_empty()
            && self.input.others.iter().any(|other| {
                custom(&other.meta)
                    && self.namespace(&other.meta) == namespace
                    && selector.matches(&other.meta.labels) == Tri::Yes
            })
    }

    /// Whether a selector matches a namespace. Without a Namespace object its labels are not known, but for its name.
    pub(crate) fn namespace_matches(&self, selector: &LabelSelector, name: &str) -> Tri {
        match self.namespace_labels.get(name) {
            Some(labels) => selector.matches(labels),
            None => selector.matches(&named(Labels { incomplete: true, ..Labels::default() }, name)),
        }
    }

    fn configured(&self, rule: &Rule) -> Option<Option<Severity>> {
        let entries = self.options.severities.iter().rev();
        entries
            .filter(|(id, _)| id.eq_ignore_ascii_case(rule.id) || id.eq_ignore_ascii_case(rule.name))
            .map(|(_, severity)| *severity)
            .next()
    }

    /// Declared needs that cannot be read.
    fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        for (index, needs) in self.needs.iter().enumerate() {
            let object = self.input.workloads[index].meta.to_string();
            problems.extend(needs.bad_entries.iter().map(|bad| Problem {
                kind: ProblemKind::Invalid,
                span: bad.span,
                message: bad.message.clone(),
                object: object.clone(),
            }));
        }
        problems
    }

    /// The decisions in annotations, by object.
    fn decisions(&self, problems: &mut Vec<Problem>) -> Decisions<'a> {
        let mut found: Decisions<'a> = HashMap::new();
        let mut add = |meta: &'a Meta, annotations: &'a Labels| {
            for (decision, span) in suppress_decisions(annotations) {
                match decision {
                    Ok((rule, reason)) => {
                        let object = self.object(meta);
                        let key = (object.kind, object.namespace, object.name);
                        found.entry(key).or_default().push((rule, reason, span));
                    }
                    Err(message) => problems.push(Problem {
                        kind: ProblemKind::Invalid,
                        span,
                        message,
                        object: meta.to_string(),
                    }),
                }
            }
        };
        let input = self.input;
        for workload in &input.workloads {
            add(&workload.meta, &workload.meta.annotations);
            if workload.kind != crate::object::WorkloadKind::Pod {
                add(&workload.meta, &workload.pod.annotations);
            }
        }
        let metas = input.policies.iter().map(|policy| &policy.meta);
        let metas = metas.chain(input.admin_policies.iter().map(|policy| &policy.meta));
        let metas = metas.chain(input.services.iter().map(|service| &service.meta));
        let metas = metas.chain(input.ingresses.iter().map(|ingress| &ingress.meta));
        let metas = metas.chain(input.namespaces.iter().map(|namespace| &namespace.meta));
        let metas = metas.chain(input.config_maps.iter().map(|map| &map.meta));
        let metas = metas.chain(input.autoscalers.iter().map(|scaler| &scaler.meta));
        let metas = metas.chain(input.disruption_budgets.iter().map(|budget| &budget.meta));
        for meta in metas {
            add(meta, &meta.annotations);
        }
        found
    }
}

/// Labels of a namespace with the label that the control plane sets.
fn named(mut labels: Labels, name: &str) -> Labels {
    if labels.get(NAMESPACE_NAME_LABEL).is_none() {
        let text = |value: &str| Text { value: value.to_owned(), span: Span::default() };
        labels.pairs.push(Label { key: text(NAMESPACE_NAME_LABEL), value: text(name), templated: false });
    }
    labels
}

/// Decisions by kind, namespace and name: rule, reason, place.
type Decisions<'a> = HashMap<(String, String, String), Vec<(&'a str, &'a str, Span)>>;

/// Takes the findings of one rule.
pub(crate) struct Sink<'s> {
    rule: &'static Rule,
    severity: Option<Severity>,
    check: &'s Check<'s>,
    decisions: &'s Decisions<'s>,
    found: Vec<Finding>,
    groups: HashMap<(String, bool), usize>,
    /// By finding and name: the objects and needs that it has, so that a thousand objects of one cause do not cost a million
    /// comparisons.
    known: HashMap<(usize, String), usize>,
}

impl Sink<'_> {
    /// Takes a finding with the rule's own severity.
    pub(crate) fn emit(&mut self, finding: Finding) {
        self.emit_as(self.rule.severity, finding);
    }

    /// Takes a finding that is about no object under check.
    pub(crate) fn emit_always(&mut self, finding: Finding) {
        self.take(self.rule.severity, finding);
    }

    /// Takes a finding with a severity of its own; the configuration still has the last word. Findings about objects that
    /// are not under check are dropped.
    pub(crate) fn emit_as(&mut self, severity: Severity, finding: Finding) {
        let object = finding.objects.first().is_some_and(|object| self.check.is_checked(object.span));
        if object || self.check.is_checked(finding.span) {
            self.take(severity, finding);
        }
    }

    fn take(&mut self, severity: Severity, mut finding: Finding) {
        let Some(object) = finding.objects.first_mut() else { return };
        object.suppressed = suppression(self.rule.id, object, self.decisions, &self.check.options.ignores);
        finding.suppressed.clone_from(&object.suppressed);
        finding.rule = self.rule.id;
        finding.severity = self.severity.unwrap_or(severity);
        let key = (std::mem::take(&mut finding.group), finding.suppressed.is_some());
        let next = self.found.len();
        let index = *self.groups.entry(key.clone()).or_insert(next);
        if index == next {
            finding.group = key.0;
            let objects = std::mem::take(&mut finding.objects);
            let needs = std::mem::take(&mut finding.needs);
            self.found.push(finding);
            self.merge(index, objects, needs, None);
        } else {
            self.merge(index, finding.objects, finding.needs, finding.confidence);
        }
    }

    /// Takes another occurrence into a finding of the same cause. Its remarks are about the same cause and are not repeated.
    fn merge(
        &mut self,
        index: usize,
        objects: Vec<ObjectId>,
        needs: Vec<NeedRef>,
        confidence: Option<Confidence>,
    ) {
        let Some(finding) = self.found.get_mut(index) else { return };
        for object in objects {
            if self.known.insert((index, object.to_string()), 0).is_none() {
                finding.objects.push(object);
            }
        }
        for need in needs {
            let at = *self.known.entry((index, need.need.label())).or_insert(finding.needs.len());
            match finding.needs.get_mut(at) {
                Some(known) => known.need.confidence = known.need.confidence.max(need.need.confidence),
                None => finding.needs.push(need),
            }
        }
        finding.confidence = finding.confidence.max(confidence);
    }
}

fn suppression(
    rule: &str,
    object: &ObjectId,
    decisions: &Decisions<'_>,
    ignores: &[Ignore],
) -> Option<Suppression> {
    let key = (object.kind.clone(), object.namespace.clone(), object.name.clone());
    let annotated = decisions.get(&key).and_then(|list| {
        list.iter().find(|(id, ..)| id.eq_ignore_ascii_case(rule)).map(|(_, reason, span)| Suppression {
            reason: (*reason).to_owned(),
            by: "annotation",
            span: Some(*span),
        })
    });
    annotated.or_else(|| {
        let ignore = ignores.iter().find(|ignore| ignore.covers(rule, object))?;
        Some(Suppression { reason: ignore.reason.clone(), by: "config", span: None })
    })
}
