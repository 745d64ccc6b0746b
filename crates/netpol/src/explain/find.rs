//! From what a person types to a workload.

use crate::model::{Model, WorkloadId};
use crate::nearmiss::similar;
use crate::object::Workload;

/// Most names listed in an error.
const LISTED: usize = 12;

/// What was typed names nothing, or several things.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FindError {
    /// What is wrong.
    pub message: String,
    /// What can be typed instead.
    pub hint: Option<String>,
}

impl std::fmt::Display for FindError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for FindError {}

/// The workload that `text` names: `name`, `namespace/name`, `kind/name` or `kind/namespace/name`; kinds in any case
/// and in the short forms of kubectl.
///
/// # Errors
/// When there is none, with the names that are alike; when there are several, with all of them.
pub fn find_workload(model: &Model<'_>, text: &str) -> Result<WorkloadId, FindError> {
    let found = matching(model, text);
    match found.as_slice() {
        [one] => Ok(*one),
        [] => Err(missing(model, text)),
        several => Err(FindError {
            message: format!("{text:?} names {} workloads", several.len()),
            hint: Some(format!("name one of: {}", list(several.iter().map(|id| full_name(model, *id))))),
        }),
    }
}

/// All workloads that `text` may mean.
pub(super) fn matching(model: &Model<'_>, text: &str) -> Vec<WorkloadId> {
    let parts: Vec<&str> = text.split('/').collect();
    let default = model.options().default_namespace.as_str();
    let fits = |workload: &Workload| {
        let namespace = workload.meta.namespace_or(default);
        let (_, name) = workload.display_name();
        let named = |part: &str| part == name || part == workload.meta.name.value;
        match parts.as_slice() {
            [last] => named(last),
            [first, last] => (*first == namespace || is_kind(first, workload)) && named(last),
            [kind, space, last] => is_kind(kind, workload) && *space == namespace && named(last),
            _ => false,
        }
    };
    let workloads = model.input().workloads.iter().enumerate();
    workloads.filter(|(_, workload)| fits(workload)).map(|(id, _)| id).collect()
}

/// `Kind/namespace/name`.
pub(super) fn full_name(model: &Model<'_>, id: WorkloadId) -> String {
    let workload = &model.input().workloads[id];
    let namespace = workload.meta.namespace_or(&model.options().default_namespace);
    format!("{}/{namespace}/{}", workload.kind, workload.meta.name)
}

fn is_kind(text: &str, workload: &Workload) -> bool {
    let kind = workload.kind.as_str();
    let short = match kind {
        "Pod" => "po",
        "Deployment" => "deploy",
        "StatefulSet" => "sts",
        "DaemonSet" => "ds",
        "ReplicaSet" => "rs",
        "ReplicationController" => "rc",
        "CronJob" => "cj",
        _ => "",
    };
    let singular = text.strip_suffix('s').unwrap_or(text);
    [text, singular].iter().any(|word| kind.eq_ignore_ascii_case(word))
        || (text == short && !short.is_empty())
}

fn missing(model: &Model<'_>, text: &str) -> FindError {
    let workloads = &model.input().workloads;
    let message = format!("no workload is named {text:?}");
    if workloads.is_empty() {
        let hint = "the files hold no workload (Pod, Deployment, StatefulSet, DaemonSet, Job, CronJob)";
        return FindError { message, hint: Some(hint.to_owned()) };
    }
    let last = text.rsplit('/').next().unwrap_or(text);
    let mut alike: Vec<(similar::Likeness, WorkloadId)> = workloads
        .iter()
        .enumerate()
        .filter_map(|(id, workload)| Some((similar::values(&workload.meta.name.value, last)?, id)))
        .collect();
    alike.sort();
    let ids: Vec<WorkloadId> = match alike.is_empty() {
        true => (0..workloads.len()).collect(),
        false => alike.into_iter().map(|(_, id)| id).collect(),
    };
    let hint = format!("there are: {}", list(ids.into_iter().map(|id| full_name(model, id))));
    FindError { message, hint: Some(hint) }
}

fn list(names: impl ExactSizeIterator<Item = String>) -> String {
    let count = names.len();
    let mut shown: Vec<String> = names.take(LISTED).collect();
    if count > LISTED {
        shown.push(format!("and {} more", count - LISTED));
    }
    shown.join(", ")
}
