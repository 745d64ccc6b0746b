//! The least policy that gives each workload what it needs.
//!
//! What is proposed is applied to the texts in memory and judged again by the engine, and every connection it newly
//! opens is listed. Start with [`propose`].

mod alternatives;
mod draft;
mod edit;
mod group;
mod human;
mod write;

pub use human::{human, outcome, summary};

pub use edit::patch as text_patch;

use std::collections::BTreeMap;

use serde::Serialize;

use crate::changes::Changes;
use crate::model::{Model, Options, Verdict};
use crate::needs::{self, NeedsFile, Target};
use crate::reach_render::group_name;
use crate::read::Input;
use crate::source::SourceFile;
use draft::Draft;

/// What to fix, and what is known about it.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The texts.
    pub files: &'a [SourceFile],
    /// Declared needs.
    pub needs: &'a NeedsFile,
    /// Profile, default namespace, assumptions.
    pub options: &'a Options,
}

/// What is denied and the ways to allow it.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Proposal {
    /// Namespaces for which a default-deny outside the files was assumed, because other workloads of them are under
    /// policies.
    pub suspected_default_deny: Vec<String>,
    /// What is denied now.
    pub blocked: Vec<NeedGroup>,
    /// New policies, as YAML documents; empty when nothing is denied.
    pub policies: String,
    /// What the new policies open.
    pub opens: Changes,
    /// Needs that are not surely met even with the new policies.
    pub remaining: Vec<NeedGroup>,
    /// Other ways: edits of what is there.
    pub alternatives: Vec<Alternative>,
    #[serde(skip)]
    drafts: Vec<(Draft, Vec<String>)>,
    #[serde(skip)]
    default_namespace: String,
}

/// A need that several workloads have in common.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NeedGroup {
    /// The need, `mysql:3306`.
    pub need: String,
    /// `denied` or `unknown`.
    pub verdict: String,
    /// Why it is open or cannot be helped, when there is something to say.
    pub why: Option<String>,
    /// The workloads, `namespace/name`.
    pub workloads: Vec<String>,
}

/// A way out that edits existing files.
#[derive(Clone, Debug, Serialize)]
pub struct Alternative {
    /// `widen` (the closest policy selects these pods too) or `relabel` (the pods get the label it wants).
    pub kind: &'static str,
    /// What it does, in a sentence.
    pub title: String,
    /// The edits as a patch.
    pub patch: String,
    /// Changed files with their new texts.
    #[serde(skip)]
    pub files: Vec<(String, String)>,
    /// What it opens and closes.
    pub changes: Changes,
    /// Needs of these workloads that are not surely met by it.
    pub remaining: Vec<NeedGroup>,
    /// What to mind.
    pub warnings: Vec<String>,
}

impl Proposal {
    /// Whether everything that is needed is allowed already.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.blocked.is_empty()
    }

    /// The text of a file with the new policies in it: `existing` with its comments and order kept, or a new one.
    #[must_use]
    pub fn write_into(&self, name: &str, existing: Option<&str>) -> String {
        write::merged(name, existing, &self.drafts, &self.default_namespace)
    }
}

/// Finds what is denied and proposes how to allow it.
#[must_use]
pub fn propose(request: &Request<'_>) -> Proposal {
    let input = Input::parse(request.files.iter().cloned());
    let default = request.options.default_namespace.clone();
    let needs = needs::derive(&input, &default, request.needs);
    let mut options = request.options.clone();
    let suspected = group::suspected(&Model::new(&input, &options), &needs);
    options.assume_default_deny.extend(suspected.iter().cloned());
    let model = Model::new(&input, &options);
    let blocked = group::blocked(&model, &needs);
    let mut proposal =
        Proposal { suspected_default_deny: suspected, default_namespace: default, ..Proposal::default() };
    if blocked.is_empty() {
        // Nothing was held against the files: there is nothing to say about an assumption.
        proposal.suspected_default_deny.clear();
        return proposal;
    }
    proposal.blocked = groups(
        blocked
            .iter()
            .map(|one| (one.need.label(), Verdict::Denied, None, group::full_name(&model, one.workload))),
    );
    let mut drafts = group::egress_drafts(&model, &blocked);
    drafts.extend(group::ingress_drafts(&model, &blocked));
    proposal.alternatives = alternatives(request, &model, &drafts);
    proposal.drafts =
        drafts.into_iter().map(|draft| (head(&model, &draft), draft)).map(|(a, b)| (b, a)).collect();
    proposal.policies = write::merged("", None, &proposal.drafts, &proposal.default_namespace);
    let mut files = request.files.to_vec();
    files.push(SourceFile::new("<proposed>", proposal.policies.clone()));
    let subjects: Vec<String> = blocked.iter().map(|one| group::full_name(&model, one.workload)).collect();
    let (opens, remaining) = judge(&model, files, request.needs, &subjects);
    proposal.opens = opens;
    proposal.remaining = remaining;
    proposal
}

/// What new texts change, and which needs of the subjects they do not surely meet.
fn judge(
    before: &Model<'_>,
    files: Vec<SourceFile>,
    file: &NeedsFile,
    subjects: &[String],
) -> (Changes, Vec<NeedGroup>) {
    let input = Input::parse(files);
    let model = Model::new(&input, before.options());
    let needs = needs::derive(&input, &before.options().default_namespace, file);
    let mut open = Vec::new();
    for (id, own) in needs.iter().enumerate() {
        let name = group::full_name(&model, id);
        if !subjects.contains(&name) {
            continue;
        }
        for need in &own.needs {
            let judged = need.judge(&model, id);
            if judged.verdict == Verdict::Allowed {
                continue;
            }
            let why = match &need.target {
                _ if judged.port_not_exposed() => Some("the Service does not have this port".to_owned()),
                Target::Hidden => Some("the host is not in the files".to_owned()),
                Target::ClusterName { .. } => Some("the Service is not in the files".to_owned()),
                _ => None,
            };
            open.push((need.label(), judged.verdict, why, name.clone()));
        }
    }
    (Changes::new(before, &model), groups(open.into_iter()))
}

fn groups(list: impl Iterator<Item = (String, Verdict, Option<String>, String)>) -> Vec<NeedGroup> {
    let mut order: Vec<NeedGroup> = Vec::new();
    let mut known: BTreeMap<(String, Verdict, Option<String>), usize> = BTreeMap::new();
    for (need, verdict, why, workload) in list {
        let at = *known.entry((need.clone(), verdict, why.clone())).or_insert_with(|| {
            order.push(NeedGroup { need, verdict: verdict.to_string(), why, workloads: Vec::new() });
            order.len() - 1
        });
        if let Some(group) = order.get_mut(at)
            && !group.workloads.contains(&workload)
        {
            group.workloads.push(workload);
        }
    }
    order
}

/// The comment above a new policy.
fn head(model: &Model<'_>, draft: &Draft) -> Vec<String> {
    let names: Vec<&str> =
        draft.workloads.iter().map(|id| model.input().workloads[*id].meta.name.value.as_str()).collect();
    let direction = match draft.direction {
        crate::object::Direction::Egress => "Egress of",
        crate::object::Direction::Ingress => "Ingress to",
    };
    vec![format!("{direction} {}: what is needed and was not allowed, by netpol fix.", group_name(&names))]
}

fn alternatives(request: &Request<'_>, model: &Model<'_>, drafts: &[Draft]) -> Vec<Alternative> {
    let mut found = Vec::new();
    for draft in drafts {
        let subjects: Vec<String> = draft.workloads.iter().map(|id| group::full_name(model, *id)).collect();
        let ways =
            [("widen", alternatives::widen(model, draft)), ("relabel", alternatives::relabel(model, draft))];
        for (kind, way) in ways {
            let Some(way) = way else { continue };
            let after = edit::apply(request.files, &way.edits);
            let pairs = request.files.iter().zip(&after);
            let changed: Vec<_> = pairs.filter(|(old, new)| old.text() != new.text()).collect();
            let patch: String =
                changed.iter().map(|(old, new)| edit::patch(new.name(), old.text(), new.text())).collect();
            let files: Vec<(String, String)> =
                changed.iter().map(|(_, new)| (new.name().to_owned(), new.text().to_owned())).collect();
            let (changes, remaining) = judge(model, after, request.needs, &subjects);
            let warnings = way.warnings;
            found.push(Alternative { kind, title: way.title, patch, files, changes, remaining, warnings });
        }
    }
    found
}
