//! Who is speaking: service, pod, host.

use super::SERVICE_NAME;
use super::parse::Env;

/// Variables that a manifest sets from the pod's own fields, and the attributes they become.
const POD: &[(&str, &str)] = &[
    ("POD_NAME", "k8s.pod.name"),
    ("POD_NAMESPACE", "k8s.namespace.name"),
    ("POD_UID", "k8s.pod.uid"),
    ("NODE_NAME", "k8s.node.name"),
    ("CONTAINER_NAME", "k8s.container.name"),
];

/// The attributes. `OTEL_RESOURCE_ATTRIBUTES` wins over what is derived, `OTEL_SERVICE_NAME` over both.
pub(super) fn attributes(env: &Env<'_>, in_cluster: bool) -> Vec<(String, String)> {
    let mut attributes = Attributes::default();
    attributes.set("service.name", SERVICE_NAME);
    attributes.set("service.version", env!("CARGO_PKG_VERSION"));
    attributes.set("process.pid", &std::process::id().to_string());
    let host = env.get("HOSTNAME");
    if let Some(host) = &host {
        attributes.set("host.name", host);
        if in_cluster {
            // The host name of a pod is its name, unless somebody said otherwise.
            attributes.set("k8s.pod.name", host);
        }
    }
    for (variable, attribute) in POD {
        if let Some(value) = env.get(variable) {
            attributes.set(attribute, &value);
        }
    }
    // Counters start at zero with every process: each needs series of its own.
    let instance = env.get("POD_NAME").unwrap_or_else(|| {
        let host = host.as_deref().unwrap_or("local");
        if in_cluster { host.to_owned() } else { format!("{host}-{}", std::process::id()) }
    });
    attributes.set("service.instance.id", &instance);
    if let Some(text) = env.get("OTEL_RESOURCE_ATTRIBUTES") {
        match super::parse::pairs(&text) {
            Ok(pairs) => pairs.iter().for_each(|(name, value)| attributes.set(name, value)),
            Err(why) => env.warn(format!("OTEL_RESOURCE_ATTRIBUTES is left out: {why}")),
        }
    }
    if let Some(name) = env.get("OTEL_SERVICE_NAME") {
        attributes.set("service.name", &name);
    }
    attributes.0
}

#[derive(Default)]
struct Attributes(Vec<(String, String)>);

impl Attributes {
    fn set(&mut self, name: &str, value: &str) {
        match self.0.iter_mut().find(|(known, _)| known == name) {
            Some((_, old)) => value.clone_into(old),
            None => self.0.push((name.to_owned(), value.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::Settings;

    fn attributes(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        Settings::from_env(|name| pairs.iter().find(|(k, _)| *k == name).map(|(_, v)| (*v).into())).resource
    }

    fn value(attributes: &[(String, String)], name: &str) -> Option<String> {
        attributes.iter().find(|(n, _)| n == name).map(|(_, v)| v.clone())
    }

    #[test]
    fn the_pod_is_named() {
        let a = attributes(&[
            ("KUBERNETES_SERVICE_HOST", "10.96.0.1"),
            ("HOSTNAME", "filler-abc"),
            ("POD_NAMESPACE", "petrosa-apps"),
        ]);
        assert_eq!(value(&a, "k8s.pod.name").as_deref(), Some("filler-abc"));
        assert_eq!(value(&a, "k8s.namespace.name").as_deref(), Some("petrosa-apps"));
        assert_eq!(value(&a, "service.instance.id").as_deref(), Some("filler-abc"));
        assert_eq!(value(&a, "service.name").as_deref(), Some("klines"));
    }

    #[test]
    fn outside_a_cluster_there_is_no_pod_and_each_process_is_an_instance() {
        let a = attributes(&[("HOSTNAME", "laptop")]);
        assert_eq!(value(&a, "k8s.pod.name"), None);
        assert!(value(&a, "service.instance.id").unwrap().starts_with("laptop-"));
    }

    #[test]
    fn what_the_user_says_wins() {
        let a = attributes(&[
            ("POD_NAME", "p"),
            (
                "OTEL_RESOURCE_ATTRIBUTES",
                "service.name=a,k8s.pod.name=q, deployment.environment.name=prod%20eu",
            ),
            ("OTEL_SERVICE_NAME", "klines-gap-filler"),
        ]);
        assert_eq!(value(&a, "service.name").as_deref(), Some("klines-gap-filler"));
        assert_eq!(value(&a, "k8s.pod.name").as_deref(), Some("q"));
        assert_eq!(value(&a, "deployment.environment.name").as_deref(), Some("prod eu"));
    }
}
