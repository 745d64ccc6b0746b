//! Random clusters, small enough that everything meets everything.

use std::net::{IpAddr, Ipv4Addr};

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::{
    Admin, AdminPeer, AdminPort, AdminRule, Cluster, Namespace, Number, Pairs, Peer, Pod, PodPort, Policy,
    Port, Rule, Selector,
};

pub const PROTOCOLS: [&str; 3] = ["TCP", "UDP", "SCTP"];
/// Ports at which the rules below may change their mind, and their neighbours.
pub const PORTS: [u16; 9] = [1, 79, 80, 81, 82, 443, 444, 8080, 65535];
/// Addresses outside the cluster, on both sides of the borders of [`CIDRS`].
pub const OUTSIDE: [&str; 7] =
    ["9.255.255.255", "10.0.0.200", "10.1.0.0", "10.1.2.255", "10.1.3.0", "11.0.0.0", "8.8.8.8"];
const CIDRS: [&str; 7] =
    ["0.0.0.0/0", "10.0.0.0/8", "10.0.0.0/30", "10.0.0.4/32", "10.1.0.0/16", "10.1.2.0/24", "10.0.0.2/31"];
const KEYS: [&str; 2] = ["app", "tier"];
const VALUES: [&str; 3] = ["x", "y", "z"];
const NAMES: [&str; 2] = ["web", "dns"];

fn text(list: &'static [&'static str]) -> impl Strategy<Value = String> {
    select(list).prop_map(str::to_owned)
}

fn labels() -> impl Strategy<Value = Pairs> {
    vec(option::weighted(0.7, text(&VALUES)), KEYS.len()).prop_map(|values| {
        let pairs = KEYS.iter().zip(values);
        pairs.filter_map(|(key, value)| Some(((*key).to_owned(), value?))).collect()
    })
}

fn selector() -> impl Strategy<Value = Selector> {
    let key = || text(&KEYS);
    let values = || vec(text(&VALUES), 1..3);
    let expression = prop_oneof![
        (key(), values()).prop_map(|(key, values)| (key, "In", values)),
        (key(), values()).prop_map(|(key, values)| (key, "NotIn", values)),
        key().prop_map(|key| (key, "Exists", Vec::new())),
        key().prop_map(|key| (key, "DoesNotExist", Vec::new())),
    ];
    let pair = (key(), text(&VALUES)).prop_map(|pair| vec![pair]);
    prop_oneof![
        2 => Just(Selector { labels: Vec::new(), expressions: Vec::new() }),
        3 => pair.prop_map(|labels| Selector { labels, expressions: Vec::new() }),
        3 => (labels(), vec(expression, 0..3)).prop_map(|(labels, expressions)| Selector { labels, expressions }),
    ]
}

fn namespace_selector() -> impl Strategy<Value = Selector> {
    let name = text(&["n0", "n1", "n2"]);
    let by_name = name.prop_map(|name| Selector {
        labels: vec![("kubernetes.io/metadata.name".to_owned(), name)],
        expressions: Vec::new(),
    });
    prop_oneof![selector(), by_name]
}

fn pod_port() -> impl Strategy<Value = PodPort> {
    (text(&NAMES), select(&PROTOCOLS[..]), select(&[80_u16, 81, 8080][..]))
        .prop_map(|(name, protocol, port)| PodPort { name, protocol, port })
}

fn port() -> impl Strategy<Value = Port> {
    let protocol = || option::of(select(&PROTOCOLS[..]));
    let number = || select(&[80_u16, 81, 443, 8080][..]);
    prop_oneof![
        protocol().prop_map(|protocol| Port { protocol, port: None, end: None }),
        (protocol(), number()).prop_map(|(protocol, number)| {
            Port { protocol, port: Some(Number::Number(number)), end: None }
        }),
        (protocol(), number(), select(&[0_u16, 1, 363, 60000][..])).prop_map(|(protocol, number, more)| {
            let end = Some(number.saturating_add(more));
            Port { protocol, port: Some(Number::Number(number)), end }
        }),
        (protocol(), text(&NAMES))
            .prop_map(|(protocol, name)| { Port { protocol, port: Some(Number::Name(name)), end: None } }),
    ]
}

fn block() -> impl Strategy<Value = Peer> {
    (select(&CIDRS[..]), vec(select(&CIDRS[..]), 0..3)).prop_map(|(cidr, except)| {
        let length = |cidr: &str| cidr.split_once('/').unwrap().1.parse::<u8>().unwrap();
        let outer: ipnet::IpNet = cidr.parse().unwrap();
        // Only what the API server accepts: smaller, and inside.
        let strict = |inner: &&&str| {
            length(inner) > length(cidr) && outer.contains(&inner.parse::<ipnet::IpNet>().unwrap())
        };
        let except = except.iter().filter(strict).map(|inner| (*inner).to_owned()).collect();
        Peer::Block { cidr: cidr.to_owned(), except }
    })
}

fn peer() -> impl Strategy<Value = Peer> {
    prop_oneof![
        selector().prop_map(|pods| Peer::Pods { namespaces: None, pods: Some(pods) }),
        namespace_selector().prop_map(|labels| Peer::Pods { namespaces: Some(labels), pods: None }),
        (namespace_selector(), selector())
            .prop_map(|(labels, pods)| Peer::Pods { namespaces: Some(labels), pods: Some(pods) }),
        block(),
    ]
}

fn rules() -> impl Strategy<Value = Option<Vec<Rule>>> {
    let rule = (option::weighted(0.8, vec(peer(), 0..3)), option::weighted(0.7, vec(port(), 0..3)))
        .prop_map(|(peers, ports)| Rule { peers, ports });
    option::weighted(0.8, vec(rule, 0..3))
}

fn policy(namespaces: usize) -> impl Strategy<Value = Policy> {
    let types = option::weighted(
        0.6,
        select(vec![
            vec![],
            vec!["Ingress"],
            vec!["Egress"],
            vec!["Ingress", "Egress"],
            vec!["Egress", "Egress"],
        ]),
    );
    (0..namespaces, selector(), types, rules(), rules()).prop_map(
        |(namespace, selector, types, ingress, egress)| Policy {
            namespace,
            selector,
            types,
            ingress,
            egress,
        },
    )
}

fn admin() -> impl Strategy<Value = Admin> {
    let peer = prop_oneof![
        namespace_selector().prop_map(AdminPeer::Namespaces),
        (namespace_selector(), selector()).prop_map(|(namespaces, pods)| AdminPeer::Pods(namespaces, pods)),
        vec(text(&CIDRS), 1..3).prop_map(AdminPeer::Networks),
    ];
    let number = select(&[80_u16, 81, 443, 8080][..]);
    let port = prop_oneof![
        (select(&PROTOCOLS[..]), number, select(&[0_u16, 1, 363][..]))
            .prop_map(|(protocol, first, more)| AdminPort::Range(protocol, first, first + more)),
        text(&NAMES).prop_map(AdminPort::Name),
    ];
    let rule = (select(&["Accept", "Deny", "Pass"][..]), vec(peer, 1..3), option::of(vec(port, 1..3)))
        .prop_map(|(action, peers, ports)| AdminRule { action, peers, ports });
    let list = vec(rule, 0..4);
    (any::<bool>(), namespace_selector(), option::of(selector()), list.clone(), list).prop_map(
        |(baseline, namespaces, pods, ingress, egress)| Admin {
            baseline,
            priority: 0,
            namespaces,
            pods,
            ingress,
            egress,
        },
    )
}

/// A cluster with `tiers` cluster-wide policies at most.
pub fn cluster(tiers: usize) -> impl Strategy<Value = Cluster> {
    let pods = vec((0..3_usize, labels(), vec(pod_port(), 0..3)), 1..6);
    let parts = (vec(labels(), 3), pods, vec(policy(3), 0..6), vec(admin(), 0..=tiers));
    parts.prop_map(|(namespaces, pods, policies, mut admin)| {
        for (priority, policy) in (10..).zip(&mut admin) {
            // Two policies of one priority have no defined order.
            policy.priority = 50 - priority;
        }
        let name = |(index, labels)| Namespace { name: format!("n{index}"), labels };
        let pod = |(index, (namespace, labels, ports)): (usize, (usize, Pairs, Vec<PodPort>))| Pod {
            namespace,
            name: format!("p{index}"),
            labels,
            ports,
            ip: IpAddr::V4(Ipv4Addr::new(10, 0, 0, u8::try_from(index).unwrap() + 1)),
        };
        Cluster {
            namespaces: namespaces.into_iter().enumerate().map(name).collect(),
            pods: pods.into_iter().enumerate().map(pod).collect(),
            policies,
            admin,
        }
    })
}
