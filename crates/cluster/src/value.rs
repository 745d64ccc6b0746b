//! Looking into objects that are JSON.

use jiff_kube::Timestamp;
use serde_json::Value;

/// The text at a JSON pointer; empty when there is none.
pub(crate) fn text<'v>(object: &'v Value, pointer: &str) -> &'v str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

pub(crate) fn name(object: &Value) -> &str {
    text(object, "/metadata/name")
}

pub(crate) fn namespace(object: &Value) -> &str {
    text(object, "/metadata/namespace")
}

/// The items at a JSON pointer.
pub(crate) fn items<'v>(object: &'v Value, pointer: &str) -> &'v [Value] {
    object.pointer(pointer).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// The instant at a JSON pointer.
pub(crate) fn instant(object: &Value, pointer: &str) -> Option<Timestamp> {
    text(object, pointer).parse().ok()
}

/// Labels of the object itself.
pub(crate) fn labels(object: &Value) -> impl Iterator<Item = (&str, &str)> {
    let labels = object.pointer("/metadata/labels").and_then(Value::as_object);
    labels.into_iter().flatten().filter_map(|(key, value)| Some((key.as_str(), value.as_str()?)))
}

/// An annotation.
pub(crate) fn annotation<'v>(object: &'v Value, key: &str) -> Option<&'v str> {
    object.pointer("/metadata/annotations")?.get(key)?.as_str()
}

/// Kind and name of the controller that owns the object.
pub(crate) fn controller(object: &Value) -> Option<(&str, &str)> {
    let owners = items(object, "/metadata/ownerReferences").iter();
    let mut owners = owners.filter(|owner| owner.get("controller").and_then(Value::as_bool) == Some(true));
    owners.next().map(|owner| (text(owner, "/kind"), text(owner, "/name")))
}

/// How a Job ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct JobEnd {
    pub(crate) succeeded: bool,
    /// `BackoffLimitExceeded`, ...; empty when it succeeded.
    pub(crate) reason: String,
    /// The controller's sentence.
    pub(crate) message: String,
    pub(crate) at: Option<Timestamp>,
}

/// How a Job ended; `None` while it runs.
pub(crate) fn job_end(job: &Value) -> Option<JobEnd> {
    let mut conditions = items(job, "/status/conditions").iter().filter(|one| text(one, "/status") == "True");
    let condition = conditions.find(|one| matches!(text(one, "/type"), "Complete" | "Failed"))?;
    let succeeded = text(condition, "/type") == "Complete";
    let at = instant(job, "/status/completionTime").or_else(|| instant(condition, "/lastTransitionTime"));
    let words = |pointer| if succeeded { String::new() } else { text(condition, pointer).to_owned() };
    Some(JobEnd { succeeded, reason: words("/reason"), message: words("/message"), at })
}

/// Why a pod did not do its work, from its containers: the first that says so.
pub(crate) fn pod_trouble(pod: &Value) -> Option<ContainerEnd> {
    let lists = ["/status/initContainerStatuses", "/status/containerStatuses"];
    let mut found = None;
    for status in lists.iter().flat_map(|list| items(pod, list)) {
        for state in ["/state/terminated", "/lastState/terminated"] {
            let Some(ended) = status.pointer(state) else { continue };
            let code = ended.get("exitCode").and_then(Value::as_i64).unwrap_or_default();
            if code != 0 && found.is_none() {
                found = Some(ContainerEnd {
                    container: name_of(status),
                    exit_code: Some(code),
                    reason: text(ended, "/reason").to_owned(),
                    message: text(ended, "/message").trim().to_owned(),
                });
            }
        }
    }
    found.or_else(|| stuck(pod))
}

/// A container that cannot start, and why.
pub(crate) fn stuck(pod: &Value) -> Option<ContainerEnd> {
    let lists = ["/status/initContainerStatuses", "/status/containerStatuses"];
    let hopeless = [
        "CreateContainerConfigError",
        "CreateContainerError",
        "InvalidImageName",
        "ErrImageNeverPull",
        "ImagePullBackOff",
    ];
    lists.iter().flat_map(|list| items(pod, list)).find_map(|status| {
        let waiting = status.pointer("/state/waiting")?;
        let reason = text(waiting, "/reason");
        hopeless.contains(&reason).then(|| ContainerEnd {
            container: name_of(status),
            exit_code: None,
            reason: reason.to_owned(),
            message: text(waiting, "/message").trim().to_owned(),
        })
    })
}

fn name_of(status: &Value) -> String {
    text(status, "/name").to_owned()
}

/// How a container ended, or why it does not start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ContainerEnd {
    pub(crate) container: String,
    pub(crate) exit_code: Option<i64>,
    pub(crate) reason: String,
    pub(crate) message: String,
}

impl ContainerEnd {
    /// `container klines ended with exit code 1 (Error)`.
    pub(crate) fn words(&self) -> String {
        let mut words = match self.exit_code {
            Some(code) => format!("container {} ended with exit code {code}", self.container),
            None => format!("container {} cannot start", self.container),
        };
        if !self.reason.is_empty() && self.reason != "Error" {
            words.push_str(&format!(" ({})", self.reason));
        }
        // The message may be the end of the log: its last line says what happened.
        if let Some(line) = self.message.lines().rev().find(|line| !line.trim().is_empty()) {
            let line: String = line.trim().chars().take(200).collect();
            words.push_str(&format!(": {line}"));
        }
        words
    }
}
