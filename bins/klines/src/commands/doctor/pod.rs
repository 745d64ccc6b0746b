//! The pod this process runs in, if it does: policies go by its labels.

use std::path::Path;

/// Where the downward API puts the labels, if the manifest asks for it.
const LABELS: &str = "/etc/podinfo/labels";
const NAMESPACE: &str = "/var/run/secrets/kubernetes.io/serviceaccount/namespace";

/// A pod of Kubernetes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pod {
    pub name: String,
    pub namespace: Option<String>,
    /// `key=value`; empty when the pod does not know its labels.
    pub labels: Vec<String>,
}

impl Pod {
    /// The pod of this process.
    pub fn of_this_process() -> Option<Self> {
        let env = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        env("KUBERNETES_SERVICE_HOST")?;
        let file = |path: &str| std::fs::read_to_string(Path::new(path)).ok();
        Some(Self {
            name: env("POD_NAME").or_else(|| env("HOSTNAME")).unwrap_or_else(|| "this pod".into()),
            namespace: env("POD_NAMESPACE").or_else(|| file(NAMESPACE).map(|text| text.trim().to_owned())),
            labels: file(LABELS).map(|text| labels(&text)).unwrap_or_default(),
        })
    }

    /// The workload whose pod this most likely is: the name without what controllers add.
    pub fn workload(&self) -> &str {
        let Some((front, random)) = self.name.rsplit_once('-') else { return &self.name };
        if random.len() != 5 || !random.chars().all(|c| c.is_ascii_alphanumeric()) {
            return &self.name;
        }
        match front.rsplit_once('-') {
            // A Job of a CronJob ends in its minute, a ReplicaSet in a hash.
            Some((workload, last)) if last.len() >= 7 && last.chars().all(|c| c.is_ascii_digit()) => workload,
            Some((workload, last)) if (8..=10).contains(&last.len()) && is_hash(last) => workload,
            _ => front,
        }
    }

    /// How to find out which policy is in the way.
    pub fn advice(&self, host: &str, port: u16) -> String {
        let namespace = self.namespace.as_ref().map(|n| format!(" -n {n}")).unwrap_or_default();
        let labels = match self.labels.as_slice() {
            [] => format!("its labels (`kubectl get pod {}{namespace} --show-labels`)", self.name),
            known => format!("its labels ({})", known.join(", ")),
        };
        let component = self.labels.iter().find_map(|label| label.strip_prefix("component="));
        let label = component.map_or("`component`".to_owned(), |value| format!("`component: {value}`"));
        format!(
            "most likely no network policy allows it for pod {}: `netpol explain k8s/ --from {} --to {host}:{port}` names the \
             policies and the label that is off; compare {labels}, first of all {label}, with the policies' podSelector",
            self.name,
            self.workload(),
        )
    }
}

fn is_hash(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_alphanumeric()) && text.chars().any(|c| c.is_ascii_digit())
}

/// Lines `key="value"`.
fn labels(text: &str) -> Vec<String> {
    let line = |line: &str| {
        let (key, value) = line.split_once('=')?;
        Some(format!("{}={}", key.trim(), value.trim().trim_matches('"')))
    };
    text.lines().filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(name: &str, labels: &[&str]) -> Pod {
        let labels = labels.iter().map(|l| (*l).to_owned()).collect();
        Pod { name: name.into(), namespace: Some("petrosa-apps".into()), labels }
    }

    #[test]
    fn the_workload_is_the_name_without_what_controllers_add() {
        for (name, workload) in [
            ("binance-klines-gap-filler-m5-29399640-x7k2p", "binance-klines-gap-filler-m5"),
            ("dashboard-5d9c7b8f4d-abcde", "dashboard"),
            ("mysql-0", "mysql-0"),
            ("manual-run-abcde", "manual-run"),
            ("plain", "plain"),
        ] {
            assert_eq!(pod(name, &[]).workload(), workload);
        }
    }

    #[test]
    fn the_advice_names_pod_labels_and_command() {
        let known = pod("gap-29399640-x7k2p", &["app=binance-extractor", "component=klines-gap-filler"]);
        let advice = known.advice("mysql", 3306);
        for part in [
            "pod gap-29399640-x7k2p",
            "netpol explain k8s/ --from gap --to mysql:3306",
            "app=binance-extractor, component=klines-gap-filler",
            "`component: klines-gap-filler`",
        ] {
            assert!(advice.contains(part), "{advice}");
        }
        assert!(pod("p", &[]).advice("h", 1).contains("kubectl get pod p -n petrosa-apps --show-labels"));
    }

    #[test]
    fn labels_are_read_as_the_downward_api_writes_them() {
        assert_eq!(labels("app=\"a\"\ncomponent=\"b\"\n"), ["app=a", "component=b"]);
    }
}
