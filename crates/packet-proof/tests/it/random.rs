//! Random policies: the engine's verdict on every pair, and what the kernel does.

use std::fmt::Write as _;
use std::net::IpAddr;

use netpol::object::Protocol;
use netpol::set::IpSet;
use netpol::{Input, Model, Options, Peer, SourceFile, Verdict};
use packet_proof::compile::{Policies, compile};
use packet_proof::{Plan, Probe, Round, Scenario};

use crate::shared::play;

/// Rounds of one run: each has its own policies. Each costs a second: the kernel tells a TCP client of a refusal over
/// IPv6 only when it repeats its first packet.
const ROUNDS: usize = 24;
/// Connections tried in each.
const PROBES: usize = 150;
/// Addresses outside, at the borders that the policies draw.
const OUTSIDE: [&str; 4] = ["5.5.5.5", "10.1.2.3", "192.168.7.7", "2400:cb00::11"];

/// A small generator with a fixed start: a failure is the same on every machine.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % sides
    }

    fn pick<'a>(&mut self, list: &[&'a str]) -> &'a str {
        list[self.roll(list.len())]
    }

    fn chance(&mut self, of: usize) -> bool {
        self.roll(of) == 0
    }
}

fn pods() -> String {
    let mut text = String::new();
    for (namespace, team) in [("x", "red"), ("y", "red"), ("z", "blue")] {
        let _ = writeln!(
            text,
            "apiVersion: v1\nkind: Namespace\nmetadata: {{name: {namespace}, labels: {{team: {team}}}}}\n---"
        );
    }
    for (number, (namespace, app, tier, named)) in [
        ("x", "a", "front", 80),
        ("x", "b", "back", 81),
        ("y", "a", "back", 81),
        ("y", "b", "front", 80),
        ("z", "a", "front", 81),
        ("z", "c", "back", 80),
    ]
    .into_iter()
    .enumerate()
    {
        let _ = writeln!(
            text,
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: {app}, namespace: {namespace}, labels: {{app: {app}, tier: \
             {tier}}}}}\nspec:\n  containers:\n  - name: c\n    ports:\n    - {{name: web, containerPort: {named}, \
             protocol: TCP}}\n    - {{name: ask, containerPort: {named}, protocol: UDP}}\nstatus:\n  podIPs:\n  - ip: \
             10.244.{}.{}\n  - ip: fd00:244::{}\n---",
            number / 2,
            number + 10,
            number + 10
        );
    }
    text
}

fn selector(dice: &mut Dice, keys: &[(&str, &[&str])]) -> String {
    if dice.chance(4) {
        return "{}".to_owned();
    }
    let (key, values) = keys[dice.roll(keys.len())];
    let value = dice.pick(values);
    match dice.roll(5) {
        0 => format!("{{matchExpressions: [{{key: {key}, operator: NotIn, values: [{value}]}}]}}"),
        1 => format!("{{matchExpressions: [{{key: {key}, operator: Exists}}]}}"),
        2 => format!("{{matchExpressions: [{{key: {key}, operator: In, values: [{value}, other]}}]}}"),
        _ => format!("{{matchLabels: {{{key}: {value}}}}}"),
    }
}

fn pod_selector(dice: &mut Dice) -> String {
    selector(dice, &[("app", &["a", "b", "c"]), ("tier", &["front", "back"]), ("gone", &["x"])])
}

fn namespace_selector(dice: &mut Dice) -> String {
    selector(dice, &[("team", &["red", "blue"]), ("kubernetes.io/metadata.name", &["x", "y", "z"])])
}

fn peer(dice: &mut Dice) -> String {
    match dice.roll(6) {
        0 => "{ipBlock: {cidr: 0.0.0.0/0}}".to_owned(),
        1 => "{ipBlock: {cidr: 10.0.0.0/8, except: [10.244.1.0/24, 10.1.2.0/24]}}".to_owned(),
        2 => format!("{{ipBlock: {{cidr: {}}}}}", dice.pick(&["192.168.7.7/32", "'::/0'", "10.244.0.0/24"])),
        3 => format!("{{podSelector: {}}}", pod_selector(dice)),
        4 => format!("{{namespaceSelector: {}}}", namespace_selector(dice)),
        _ => format!(
            "{{namespaceSelector: {}, podSelector: {}}}",
            namespace_selector(dice),
            pod_selector(dice)
        ),
    }
}

fn port(dice: &mut Dice) -> &'static str {
    dice.pick(&[
        "{port: 80}",
        "{port: 81, protocol: UDP}",
        "{port: web}",
        "{port: ask, protocol: UDP}",
        "{port: 79, endPort: 80}",
        "{protocol: UDP}",
        "{protocol: TCP}",
        "{port: 80, protocol: UDP}",
    ])
}

fn list(dice: &mut Dice, most: usize, mut item: impl FnMut(&mut Dice) -> String) -> String {
    let count = dice.roll(most + 1);
    let items: Vec<String> = (0..count).map(|_| item(dice)).collect();
    items.join(", ")
}

fn policy(dice: &mut Dice, number: usize) -> String {
    let mut text = format!(
        "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: p{number}, namespace: {}}}\nspec:\n  \
         podSelector: {}\n",
        dice.pick(&["x", "y", "z"]),
        pod_selector(dice)
    );
    let types = dice.pick(&["", "[Ingress]", "[Egress]", "[Ingress, Egress]"]);
    if !types.is_empty() {
        let _ = writeln!(text, "  policyTypes: {types}");
    }
    for (key, field) in [("ingress", "from"), ("egress", "to")] {
        if dice.chance(3) {
            continue;
        }
        let rules = list(dice, 2, |dice| {
            let peers = list(dice, 2, peer);
            let ports = list(dice, 2, |dice| port(dice).to_owned());
            format!("{{{field}: [{peers}], ports: [{ports}]}}")
        });
        let _ = writeln!(text, "  {key}: [{rules}]");
    }
    text.push_str("---\n");
    text
}

fn cluster_policy(dice: &mut Dice, number: usize) -> String {
    let tier = dice.pick(&["Admin", "Admin", "Baseline"]);
    let mut text = format!(
        "apiVersion: policy.networking.k8s.io/v1alpha2\nkind: ClusterNetworkPolicy\nmetadata: {{name: c{number}}}\nspec:\n  \
         tier: {tier}\n  priority: {number}\n  subject: {{namespaces: {}}}\n",
        namespace_selector(dice)
    );
    for (key, field) in [("ingress", "from"), ("egress", "to")] {
        let rules = list(dice, 2, |dice| {
            let action = match tier {
                "Admin" => dice.pick(&["Accept", "Deny", "Pass"]),
                _ => dice.pick(&["Accept", "Deny"]),
            };
            let peer = match dice.roll(3) {
                0 if field == "to" => "{networks: [10.0.0.0/8]}".to_owned(),
                1 => format!(
                    "{{pods: {{namespaceSelector: {}, podSelector: {}}}}}",
                    namespace_selector(dice),
                    pod_selector(dice)
                ),
                _ => format!("{{namespaces: {}}}", namespace_selector(dice)),
            };
            let ports = dice.pick(&[
                "",
                ", protocols: [{tcp: {destinationPort: {number: 80}}}]",
                ", protocols: [{udp: {destinationPort: {range: {start: 80, end: 81}}}}]",
                ", protocols: [{destinationNamedPort: web}]",
            ]);
            format!("{{action: {action}, {field}: [{peer}]{ports}}}")
        });
        let _ = writeln!(text, "  {key}: [{rules}]");
    }
    text.push_str("---\n");
    text
}

#[test]
fn engine_and_kernel_agree_on_random_policies() {
    let mut dice = Dice(0x5DEE_CE66_D1CE_4E5B);
    let base = pods();
    let outside: Vec<IpAddr> = OUTSIDE.iter().map(|text| text.parse().unwrap()).collect();
    let options = Options { complete: true, families: netpol::Families::Dual, ..Options::default() };
    let mut plan = Plan::default();
    let mut expected: Vec<Vec<(String, Verdict)>> = Vec::new();
    let mut texts = Vec::new();
    for _ in 0..ROUNDS {
        let mut text = base.clone();
        for number in 0..1 + dice.roll(5) {
            text.push_str(&policy(&mut dice, number));
        }
        for number in 0..dice.roll(3) {
            text.push_str(&cluster_policy(&mut dice, number));
        }
        let input = Input::parse([SourceFile::new("random", text.clone())]);
        assert!(input.problems.is_empty(), "{:?}\n{text}", input.problems);
        let model = Model::new(&input, &options);
        let mut scenario = Scenario::new(&input, true);
        for workload in &input.workloads {
            let node = scenario.add_workload(workload, "default");
            for transport in [Protocol::Tcp, Protocol::Udp] {
                scenario.listen(node, transport.into(), 80);
                scenario.listen(node, transport.into(), 81);
            }
        }
        let world = scenario.add_outside("outside".to_owned(), outside.clone());
        for transport in [Protocol::Tcp, Protocol::Udp] {
            scenario.listen(world, transport.into(), 80);
            scenario.listen(world, transport.into(), 81);
        }
        let rules = compile(
            &scenario.cluster,
            &Policies {
                policies: &input.policies,
                admin: &input.admin_policies,
                default_namespace: "default",
                default_deny: &[],
            },
        );
        assert_eq!(rules.unsupported, [], "{text}");
        let (mut probes, mut verdicts) = (Vec::new(), Vec::new());
        while probes.len() < PROBES {
            let (from, to) = (dice.roll(7), dice.roll(7));
            if from == to {
                continue;
            }
            let protocol = if dice.chance(2) { Protocol::Tcp } else { Protocol::Udp };
            let port = if dice.chance(2) { 80 } else { 81 };
            let end = |node: usize, address: IpAddr| match node == world {
                true => Peer::Addresses(IpSet::one(address)),
                false => Peer::Workload(node),
            };
            // A sender outside uses its first address of the family.
            let target = scenario.nodes[to].addresses[dice.roll(scenario.nodes[to].addresses.len())];
            let source = scenario.nodes[from].addresses.iter().find(|own| own.is_ipv4() == target.is_ipv4());
            let decision = model.decide(&end(from, *source.unwrap()), &end(to, target), protocol, port);
            // The engine judges a pod as a whole, the packet has one address: where a range holds one family of a pod's
            // addresses only, the engine says "unknown", and there is nothing to compare.
            if decision.verdict == Verdict::Unknown {
                if dice.chance(50) {
                    break;
                }
                continue;
            }
            probes.push(Probe { from, to: target, port, transport: protocol.into(), query: None });
            verdicts.push((format!("{from} -> {target} {port}/{protocol}"), decision.verdict));
        }
        plan.nodes = scenario.nodes;
        plan.rounds.push(Round { ruleset: rules.text, probes, ..Round::default() });
        expected.push(verdicts);
        texts.push(text);
    }
    let start = std::time::Instant::now();
    let Some(results) = play(&plan) else { return };
    let (mut compared, mut allowed, mut wrong) = (0, 0, Vec::new());
    for (round, (outcomes, verdicts)) in results.rounds.iter().zip(&expected).enumerate() {
        for (outcome, (what, verdict)) in outcomes.iter().zip(verdicts) {
            compared += 1;
            allowed += usize::from(*verdict == Verdict::Allowed);
            if outcome.passed() != Some(*verdict == Verdict::Allowed) {
                wrong.push(format!("round {round}: {what}: engine {verdict}, kernel: {outcome}"));
            }
        }
    }
    println!(
        "{ROUNDS} random policy sets, {compared} connections ({allowed} allowed), {:?}",
        start.elapsed()
    );
    if let Some(first) = wrong.first() {
        let round: usize = first[6..first.find(':').unwrap()].trim().parse().unwrap();
        let policies = texts[round].replace(&base, "");
        panic!("{} differ:\n{}\n{policies}", wrong.len(), wrong.join("\n"));
    }
    assert!(allowed * 10 > compared && allowed < compared, "the sample says little");
}
