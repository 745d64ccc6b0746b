//! Where manifests and cluster differ, in the fields that the policy engine knows.
//!
//! Both are read into one [`Input`], the cluster first, so that every place can be pointed at. [`Manifests::take`] then takes the
//! manifests out again: what is judged is the cluster alone.

mod words;

use std::collections::{BTreeMap, BTreeSet};

use netpol::Input;
use netpol::findings::{Finding, Ignore, ObjectId, Severity, Suppression};
use netpol::object::{Labels, Meta, Namespace, NetworkPolicy, Workload};

use words::{policy_words, selector_words};

/// The rule that findings of this kind belong to.
pub const RULE: &str = "NP702";

/// The manifests that a cluster is compared with.
#[derive(Clone, Debug, Default)]
pub struct Manifests {
    policies: Vec<NetworkPolicy>,
    workloads: Vec<Workload>,
    namespaces: Vec<Namespace>,
}

/// What is compared with what.
#[derive(Clone, Debug)]
pub struct Comparison<'a> {
    /// The cluster.
    pub input: &'a Input,
    /// Files of the input before this index are the cluster's.
    pub live_files: usize,
    /// The namespace that was read; `None` is all.
    pub scope: Option<&'a str>,
    /// Namespace of manifests that name none.
    pub default_namespace: &'a str,
    /// Kinds that were read completely: what is missing of others may be there.
    pub complete: &'a BTreeSet<&'static str>,
}

impl Manifests {
    /// Takes the objects of all files from `live_files` on out of the input.
    #[must_use]
    pub fn take(input: &mut Input, live_files: usize) -> Self {
        let is_ours = |meta: &Meta| meta.span.file.0 as usize >= live_files;
        let policies = input.policies.extract_if(.., |one| is_ours(&one.meta)).collect();
        let workloads = input.workloads.extract_if(.., |one| is_ours(&one.meta)).collect();
        let namespaces = input.namespaces.extract_if(.., |one| is_ours(&one.meta)).collect();
        input.services.retain(|one| !is_ours(&one.meta));
        input.ingresses.retain(|one| !is_ours(&one.meta));
        input.config_maps.retain(|one| !is_ours(&one.meta));
        input.secrets.retain(|one| !is_ours(&one.meta));
        input.autoscalers.retain(|one| !is_ours(&one.meta));
        input.disruption_budgets.retain(|one| !is_ours(&one.meta));
        input.service_monitors.retain(|one| !is_ours(&one.meta));
        input.admin_policies.retain(|one| !is_ours(&one.meta));
        input.others.retain(|one| !is_ours(&one.meta));
        Self { policies, workloads, namespaces }
    }

    /// What is missing in the cluster, what only the cluster has, and what differs.
    #[must_use]
    pub fn compare(&self, with: &Comparison<'_>) -> Vec<Finding> {
        let mut findings = Vec::new();
        self.policies(with, &mut findings);
        self.workloads(with, &mut findings);
        self.namespaces(with, &mut findings);
        for finding in &mut findings {
            finding.rule = RULE;
        }
        findings
    }

    fn policies(&self, with: &Comparison<'_>, findings: &mut Vec<Finding>) {
        if !with.complete.contains("NetworkPolicy") {
            return;
        }
        let live: BTreeMap<(&str, &str), &NetworkPolicy> =
            with.input.policies.iter().map(|one| (with.key(&one.meta), one)).collect();
        let mut ours = BTreeSet::new();
        for policy in self.policies.iter().filter(|one| with.covers(&one.meta)) {
            ours.insert(with.key(&policy.meta));
            match live.get(&with.key(&policy.meta)) {
                None => {
                    findings.push(missing(with, &policy.meta, "policy", "what it allows or denies is not so"))
                }
                Some(live) => findings.extend(differing_policy(with, policy, live)),
            }
        }
        let spaces: BTreeSet<&str> = ours.iter().map(|(space, _)| *space).chain(self.spaces(with)).collect();
        for (key, policy) in live.iter().filter(|(key, _)| spaces.contains(key.0) && !ours.contains(*key)) {
            let message = format!("policy {} is in the cluster and in no manifest", key.1);
            findings.push(
                warning(with, &policy.meta, message)
                    .note(format!("it selects pods with {}", selector_words(&policy.pod_selector)))
                    .fix("add it to the manifests, or delete it"),
            );
        }
    }

    /// Namespaces that the manifests are about.
    fn spaces<'m>(&'m self, with: &Comparison<'m>) -> impl Iterator<Item = &'m str> {
        let default = with.default_namespace;
        let own = self.workloads.iter().filter(|one| with.covers(&one.meta));
        own.map(move |one| one.meta.namespace_or(default))
    }

    fn workloads(&self, with: &Comparison<'_>, findings: &mut Vec<Finding>) {
        let key = |one: &Workload| {
            let (space, name) = with.key(&one.meta);
            (space.to_owned(), one.kind.as_str(), name.to_owned())
        };
        let live: BTreeMap<_, &Workload> = with.input.workloads.iter().map(|one| (key(one), one)).collect();
        let mut ours = BTreeSet::new();
        for workload in self.workloads.iter().filter(|one| with.covers(&one.meta)) {
            ours.insert(key(workload));
            let kind = workload.kind.as_str();
            match live.get(&key(workload)) {
                // A Job or a bare pod that has ended is not read.
                None if matches!(kind, "Job" | "Pod") || !with.complete.contains(kind) => {}
                None => findings.push(missing(with, &workload.meta, kind, "it does not run")),
                Some(live) => findings.extend(differing_workload(with, workload, live)),
            }
        }
        let spaces: BTreeSet<String> = self.spaces(with).map(str::to_owned).collect();
        for space in &spaces {
            let owned = |one: &&Workload| one.meta.owner.is_some();
            let extra: Vec<&Workload> = live
                .iter()
                .filter(|(key, one)| &key.0 == space && !ours.contains(*key) && !owned(one))
                .map(|(_, one)| *one)
                .collect();
            findings.extend(only_live(with, space, &extra));
        }
    }
}

impl Manifests {
    /// Labels that the manifests give to namespaces. Others may add more: only those are compared.
    fn namespaces(&self, with: &Comparison<'_>, findings: &mut Vec<Finding>) {
        for ours in self.namespaces.iter().filter(|one| !one.meta.templated) {
            let live = with.input.namespaces.iter().find(|live| live.meta.name.value == ours.meta.name.value);
            let Some(live) = live else { continue };
            let theirs = pairs(&live.meta.labels);
            let differing: Vec<String> = pairs(&ours.meta.labels)
                .into_iter()
                .filter(|(key, value)| theirs.get(key) != Some(value))
                .map(|(key, value)| {
                    let there = theirs.get(key).copied().unwrap_or("no such label");
                    format!("label {key}: {there} in the cluster, {value} in the manifest")
                })
                .collect();
            if differing.is_empty() {
                continue;
            }
            let message = format!("namespace {} has other labels in the cluster", live.meta.name);
            let mut finding = warning(with, &live.meta, message)
                .note_at("the manifest is at {}", ours.meta.name.span)
                .note("rules with a namespaceSelector look at them");
            for words in differing {
                finding = finding.note(words);
            }
            findings.push(finding.fix("apply the manifest, or take the live change into it"));
        }
    }
}

impl<'a> Comparison<'a> {
    fn key<'m>(&self, meta: &'m Meta) -> (&'m str, &'m str)
    where
        'a: 'm,
    {
        (meta.namespace_or(self.default_namespace), meta.name.value.as_str())
    }

    /// Manifests of other namespaces, and templates, cannot be compared.
    fn covers(&self, meta: &Meta) -> bool {
        let space = meta.namespace_or(self.default_namespace);
        !meta.templated && self.scope.is_none_or(|scope| scope == space)
    }
}

fn warning(with: &Comparison<'_>, meta: &Meta, message: String) -> Finding {
    let mut finding = Finding::new(ObjectId::new(meta, with.default_namespace), message);
    finding.severity = Severity::Warning;
    finding
}

fn missing(with: &Comparison<'_>, meta: &Meta, what: &str, so: &str) -> Finding {
    warning(with, meta, format!("{what} {} of the manifests is not in the cluster", meta.name))
        .note(so.to_owned())
        .fix("apply the manifest, or remove it")
}

fn differing_policy(
    with: &Comparison<'_>,
    manifest: &NetworkPolicy,
    live: &NetworkPolicy,
) -> Option<Finding> {
    let (ours, theirs) = (policy_words(manifest), policy_words(live));
    if ours == theirs {
        return None;
    }
    let message = format!("policy {} is not the same in the cluster", live.meta.name);
    let mut finding =
        warning(with, &live.meta, message).note_at("the manifest is at {}", manifest.meta.name.span);
    for words in theirs.difference(&ours) {
        finding = finding.note(format!("only in the cluster: {words}"));
    }
    for words in ours.difference(&theirs) {
        finding = finding.note(format!("only in the manifest: {words}"));
    }
    Some(finding.fix("apply the manifest, or take the live change into it"))
}

fn differing_workload(with: &Comparison<'_>, manifest: &Workload, live: &Workload) -> Option<Finding> {
    let mut notes = Vec::new();
    let (ours, theirs) = (pairs(&manifest.pod.labels), pairs(&live.pod.labels));
    let labels_differ = ours != theirs;
    let keys: BTreeSet<&str> = ours.keys().chain(theirs.keys()).copied().collect();
    for key in keys.into_iter().filter(|key| ours.get(key) != theirs.get(key)) {
        let say =
            |value: Option<&&str>| value.map_or("no such label".to_owned(), |value| (*value).to_owned());
        notes.push(format!(
            "pod label {key}: {} in the cluster, {} in the manifest",
            say(theirs.get(key)),
            say(ours.get(key))
        ));
    }
    if let (Some(ours), Some(theirs)) = (&manifest.cron, &live.cron) {
        let word =
            |text: &Option<netpol::Text>| text.as_ref().map_or("none", |text| text.value.as_str()).to_owned();
        let suspended = |suspend: bool| if suspend { "suspended" } else { "not suspended" }.to_owned();
        for (what, here, there) in [
            ("schedule", word(&theirs.schedule), word(&ours.schedule)),
            ("time zone", word(&theirs.time_zone), word(&ours.time_zone)),
            ("starts", suspended(theirs.suspend), suspended(ours.suspend)),
        ] {
            if here != there {
                notes.push(format!("{what}: {here} in the cluster, {there} in the manifest"));
            }
        }
    }
    if notes.is_empty() {
        return None;
    }
    let message = if labels_differ {
        format!("the pods of {} have other labels in the cluster", live.meta.name)
    } else {
        format!("{} is not the same in the cluster", live.meta.name)
    };
    let place = if labels_differ { live.pod.labels.span } else { live.meta.name.span };
    let mut finding = warning(with, &live.meta, message)
        .at(place)
        .note_at("the manifest is at {}", manifest.meta.name.span);
    for note in notes {
        finding = finding.note(note);
    }
    Some(finding.fix("apply the manifest, or take the live change into it"))
}

/// Workloads that no manifest knows: good to know, as others may deploy to the same namespace.
fn only_live(with: &Comparison<'_>, space: &str, extra: &[&Workload]) -> Option<Finding> {
    let first = extra.first()?;
    let message = match extra.len() {
        1 => format!("{} {} is in the cluster and in no manifest", first.kind, first.meta.name),
        several => format!("{several} workloads of namespace {space} are in the cluster and in no manifest"),
    };
    let mut finding = warning(with, &first.meta, message);
    finding.severity = Severity::Info;
    for other in extra.iter().skip(1) {
        finding.objects.push(ObjectId::new(&other.meta, with.default_namespace));
    }
    Some(finding)
}

/// Labels of pods without those that controllers and deployers add.
fn pairs(labels: &Labels) -> BTreeMap<&str, &str> {
    let own = |key: &str| {
        !key.ends_with("-hash")
            && !key.starts_with("batch.kubernetes.io/")
            && key != "controller-uid"
            && key != "job-name"
    };
    let pairs = labels.pairs.iter().filter(|pair| own(&pair.key.value));
    pairs.map(|pair| (pair.key.value.as_str(), pair.value.value.as_str())).collect()
}

/// Applies what the configuration says of the rule: its severity (the last one counts, `None` is off) and accepted objects.
#[must_use]
pub fn configured(
    mut findings: Vec<Finding>,
    severities: &[(String, Option<Severity>)],
    ignores: &[Ignore],
) -> Vec<Finding> {
    let rule =
        |(rule, severity): &(String, Option<Severity>)| rule.eq_ignore_ascii_case(RULE).then_some(*severity);
    match severities.iter().rev().find_map(rule) {
        Some(None) => return Vec::new(),
        Some(Some(severity)) => findings.iter_mut().for_each(|finding| finding.severity = severity),
        None => {}
    }
    for finding in &mut findings {
        for object in &mut finding.objects {
            let covering = ignores.iter().find(|ignore| ignore.covers(RULE, object));
            object.suppressed = covering.map(|ignore| Suppression {
                reason: ignore.reason.clone(),
                by: "config",
                span: None,
            });
        }
        if finding.objects.iter().all(|object| object.suppressed.is_some()) {
            finding.suppressed = finding.objects.first().and_then(|object| object.suppressed.clone());
        }
    }
    findings
}

#[cfg(test)]
mod tests;
