//! The cluster as manifests.

use std::fmt::Write as _;

use super::{
    Admin, AdminPeer, AdminPort, AdminRule, Cluster, Number, Pairs, Peer, Policy, Port, Rule, Selector,
};

/// What of the cluster the manifests tell.
#[derive(Clone, Copy, Debug)]
pub struct Told {
    pub pod_ips: bool,
    pub namespace_labels: bool,
}

/// All objects, JSON in YAML documents: no indentation to get wrong.
pub fn render(cluster: &Cluster, told: Told) -> String {
    let mut out = String::new();
    for namespace in cluster.namespaces.iter().filter(|_| told.namespace_labels) {
        let (name, labels) = (&namespace.name, pairs(&namespace.labels));
        writeln!(
            out,
            "---\n{{apiVersion: v1, kind: Namespace, metadata: {{name: {name}, labels: {labels}}}}}"
        )
        .unwrap();
    }
    for pod in &cluster.pods {
        let ports: Vec<String> = pod
            .ports
            .iter()
            .map(|port| {
                format!("{{name: {}, protocol: {}, containerPort: {}}}", port.name, port.protocol, port.port)
            })
            .collect();
        let status = if told.pod_ips { format!(", status: {{podIP: '{}'}}", pod.ip) } else { String::new() };
        writeln!(
            out,
            "---\n{{apiVersion: v1, kind: Pod, metadata: {{name: {}, namespace: {}, labels: {}}}, spec: {{containers: \
             [{{name: c, ports: [{}]}}]}}{status}}}",
            pod.name,
            cluster.namespaces[pod.namespace].name,
            pairs(&pod.labels),
            ports.join(", ")
        )
        .unwrap();
    }
    for (index, policy) in cluster.policies.iter().enumerate() {
        policy_yaml(&mut out, index, policy, &cluster.namespaces[policy.namespace].name);
    }
    for (index, policy) in cluster.admin.iter().enumerate() {
        admin_yaml(&mut out, index, policy);
    }
    out
}

fn policy_yaml(out: &mut String, index: usize, policy: &Policy, namespace: &str) {
    let mut spec = vec![format!("podSelector: {}", selector(&policy.selector))];
    spec.extend(policy.types.as_ref().map(|types| format!("policyTypes: [{}]", types.join(", "))));
    spec.extend(policy.ingress.as_ref().map(|list| format!("ingress: [{}]", rules(list, "from"))));
    spec.extend(policy.egress.as_ref().map(|list| format!("egress: [{}]", rules(list, "to"))));
    writeln!(
        out,
        "---\n{{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {{name: p{index}, namespace: \
         {namespace}}}, spec: {{{}}}}}",
        spec.join(", ")
    )
    .unwrap();
}

fn rules(list: &[Rule], field: &str) -> String {
    let rule = |rule: &Rule| {
        let mut parts = Vec::new();
        parts.extend(rule.peers.as_ref().map(|peers| format!("{field}: [{}]", join(peers, peer))));
        parts.extend(rule.ports.as_ref().map(|ports| format!("ports: [{}]", join(ports, port))));
        format!("{{{}}}", parts.join(", "))
    };
    join(list, rule)
}

fn peer(peer: &Peer) -> String {
    match peer {
        Peer::Pods { namespaces, pods } => {
            let mut parts = Vec::new();
            parts
                .extend(namespaces.as_ref().map(|labels| format!("namespaceSelector: {}", selector(labels))));
            parts.extend(pods.as_ref().map(|labels| format!("podSelector: {}", selector(labels))));
            format!("{{{}}}", parts.join(", "))
        }
        Peer::Block { cidr, except } => {
            format!("{{ipBlock: {{cidr: '{cidr}', except: [{}]}}}}", join(except, |one| format!("'{one}'")))
        }
    }
}

fn port(port: &Port) -> String {
    let mut parts = Vec::new();
    parts.extend(port.protocol.map(|protocol| format!("protocol: {protocol}")));
    parts.extend(port.port.as_ref().map(|number| match number {
        Number::Number(number) => format!("port: {number}"),
        Number::Name(name) => format!("port: {name}"),
    }));
    parts.extend(port.end.map(|end| format!("endPort: {end}")));
    format!("{{{}}}", parts.join(", "))
}

fn admin_yaml(out: &mut String, index: usize, policy: &Admin) {
    let subject = match &policy.pods {
        None => format!("namespaces: {}", selector(&policy.namespaces)),
        Some(pods) => {
            format!(
                "pods: {{namespaceSelector: {}, podSelector: {}}}",
                selector(&policy.namespaces),
                selector(pods)
            )
        }
    };
    writeln!(
        out,
        "---\n{{apiVersion: policy.networking.k8s.io/v1alpha2, kind: ClusterNetworkPolicy, metadata: {{name: \
         c{index}}}, spec: {{tier: {}, priority: {}, subject: {{{subject}}}, ingress: [{}], egress: [{}]}}}}",
        if policy.baseline { "Baseline" } else { "Admin" },
        policy.priority,
        join(&policy.ingress, |rule| admin_rule(rule, "from")),
        join(&policy.egress, |rule| admin_rule(rule, "to")),
    )
    .unwrap();
}

fn admin_rule(rule: &AdminRule, field: &str) -> String {
    let peer = |peer: &AdminPeer| match peer {
        AdminPeer::Namespaces(labels) => format!("{{namespaces: {}}}", selector(labels)),
        AdminPeer::Pods(namespaces, pods) => {
            format!(
                "{{pods: {{namespaceSelector: {}, podSelector: {}}}}}",
                selector(namespaces),
                selector(pods)
            )
        }
        AdminPeer::Networks(cidrs) => format!("{{networks: [{}]}}", join(cidrs, |one| format!("'{one}'"))),
    };
    let port = |port: &AdminPort| match port {
        AdminPort::Range(protocol, first, last) if first == last => {
            format!("{{{}: {{destinationPort: {{number: {first}}}}}}}", protocol.to_lowercase())
        }
        AdminPort::Range(protocol, first, last) => {
            format!(
                "{{{}: {{destinationPort: {{range: {{start: {first}, end: {last}}}}}}}}}",
                protocol.to_lowercase()
            )
        }
        AdminPort::Name(name) => format!("{{destinationNamedPort: {name}}}"),
    };
    let ports =
        rule.ports.as_ref().map_or_else(String::new, |ports| format!(", protocols: [{}]", join(ports, port)));
    format!("{{action: {}, {field}: [{}]{ports}}}", rule.action, join(&rule.peers, peer))
}

fn selector(selector: &Selector) -> String {
    let expression = |(key, operator, values): &(String, &str, Vec<String>)| {
        let values =
            if values.is_empty() { String::new() } else { format!(", values: [{}]", values.join(", ")) };
        format!("{{key: {key}, operator: {operator}{values}}}")
    };
    let expressions = join(&selector.expressions, expression);
    format!("{{matchLabels: {}, matchExpressions: [{expressions}]}}", pairs(&selector.labels))
}

fn pairs(pairs: &Pairs) -> String {
    format!("{{{}}}", join(pairs, |(key, value)| format!("{key}: {value}")))
}

fn join<T>(list: &[T], one: impl Fn(&T) -> String) -> String {
    list.iter().map(one).collect::<Vec<String>>().join(", ")
}
