//! Explanations: verdict, policies and rule numbers, section by section.

use std::collections::BTreeSet;

use netpol::object::{Action, Direction, Protocol, Tri};
use netpol::set::{IpSet, PortSet};
use netpol::{Decision, Model, Peer, PodShape, PolicyRef, Reason, RuleOutcome, SideDecision, Verdict};

use super::{cases, external, input, name, options};

/// One section: some ports between two peers, and why.
#[derive(Debug)]
struct Section {
    from: String,
    to: String,
    allowed: bool,
    /// A port of each protocol and range of the section.
    samples: Vec<(Protocol, u16)>,
    sides: Vec<Side>,
}

#[derive(Debug)]
struct Side {
    direction: Direction,
    allowed: bool,
    default: bool,
    statements: Vec<String>,
}

#[derive(Default)]
struct Count {
    sections: usize,
    statements: usize,
}

#[test]
fn every_explanation_names_the_same_policies_and_rules() {
    let Some((folder, cases)) = cases("explain") else { return };
    let (mut compared, mut count, mut failed) = (0, Count::default(), Vec::new());
    for case in &cases {
        let input = input(&folder, &case.tests[0]);
        let model = Model::new(&input, &options());
        let mut list = Vec::new();
        for section in parse(&case.file("txt").unwrap()) {
            if section.from == "{ingress-controller}" && case.not_served_here(&section.to) {
                continue;
            }
            compare(&model, &section, &mut count, &mut list);
        }
        compared += 1;
        if !list.is_empty() {
            failed.push(format!("{} ({}):\n  {}", case.name, case.category, list.join("\n  ")));
        }
    }
    println!(
        "np-guard explain: {compared} cases, {} sections, {} statements compared",
        count.sections, count.statements
    );
    assert!(failed.is_empty(), "{} of {compared} differ:\n{}", failed.len(), failed.join("\n"));
}

fn compare(model: &Model<'_>, section: &Section, count: &mut Count, list: &mut Vec<String>) {
    count.sections += 1;
    let (from, to) = (peer(model, &section.from), peer(model, &section.to));
    let place = format!("{} => {}", section.from, section.to);
    for (protocol, port) in &section.samples {
        let decision = model.decide(&from, &to, *protocol, *port);
        let wanted = if section.allowed { Verdict::Allowed } else { Verdict::Denied };
        let found = if section.from == "{ingress-controller}" {
            entry(model, section, *protocol, *port, &decision)
        } else {
            decision.verdict
        };
        if found != wanted {
            list.push(format!("{place} {protocol} {port}: expected {wanted}, found {found}"));
        }
        for side in &section.sides {
            let own = match side.direction {
                Direction::Egress => decision.egress.as_ref(),
                Direction::Ingress => decision.ingress.as_ref(),
            };
            let Some(own) = own else {
                if !side.default {
                    list.push(format!("{place}: {:?} of an address", side.direction));
                }
                continue;
            };
            // A side without policies is about the Ingress object alone, which `entry` has compared.
            if side.default || !side.statements.is_empty() {
                compare_side(model, own, side, &format!("{place} {protocol} {port}"), count, list);
            }
        }
    }
}

fn compare_side(
    model: &Model<'_>,
    own: &SideDecision,
    side: &Side,
    place: &str,
    count: &mut Count,
    list: &mut Vec<String>,
) {
    let place = format!("{place} {}", side.direction);
    if (own.verdict == Verdict::Allowed) != side.allowed {
        list.push(format!("{place}: expected allowed={}, found {}", side.allowed, own.verdict));
    }
    if side.default {
        count.statements += 1;
        if !matches!(own.reason, Reason::NotIsolated | Reason::Default) {
            list.push(format!("{place}: expected the default, found {:?}", own.reason));
        }
        return;
    }
    let found = statements(model, own);
    for statement in &side.statements {
        count.statements += 1;
        if !found.contains(statement) {
            list.push(format!("{place}: expected {statement:?}, found {found:?}"));
        }
    }
    // Where access is denied, np-guard names every policy that could have allowed it; so must we.
    let policies = |list: &[String]| -> BTreeSet<String> {
        list.iter().filter_map(|text| Some(text.split_once('\'')?.1.split_once('\'')?.0.to_owned())).collect()
    };
    if policies(&found.iter().cloned().collect::<Vec<_>>()) != policies(&side.statements) {
        list.push(format!("{place}: expected {:?}, found {found:?}", side.statements));
    }
}

/// What the engine found, in np-guard's words cut to policy, rule and kind of reason.
fn statements(model: &Model<'_>, side: &SideDecision) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    let word = match side.direction {
        Direction::Ingress => "Ingress",
        Direction::Egress => "Egress",
    };
    let hit = |rule: &&RuleOutcome| rule.hit() == Tri::Yes;
    let mut admin = side.rules.iter().filter(|rule| is_tier(model, rule, "Admin")).filter(hit);
    let mut decided = false;
    if let Some(rule) = admin.next() {
        all.insert(admin_statement(model, rule, word));
        decided = rule.action != Action::Pass;
    }
    if decided {
        return all;
    }
    for (policy, _) in &side.selected_by {
        let own: Vec<&RuleOutcome> = side.rules.iter().filter(|rule| rule.rule.policy == *policy).collect();
        let name = format!("NetworkPolicy '{}'", model.policy_name(*policy));
        let allowing: Vec<&&RuleOutcome> = own.iter().filter(|rule| rule.hit() == Tri::Yes).collect();
        for rule in &allowing {
            all.insert(format!("{name} allows {word} #{}", rule.rule.index + 1));
        }
        if side.verdict == Verdict::Allowed {
            continue;
        }
        let near: Vec<&&RuleOutcome> = own.iter().filter(|rule| rule.peer == Tri::Yes).collect();
        for rule in &near {
            let why = if rule.unresolved.is_empty() { "ports" } else { "named ports" };
            all.insert(format!("{name} misses {word} #{} by {why}", rule.rule.index + 1));
        }
        if near.is_empty() {
            let none = if own.is_empty() { " (no rules)" } else { "" };
            all.insert(format!("{name} has no {word} rule for it{none}"));
        }
    }
    if side.selected_by.is_empty() {
        let mut baseline = side.rules.iter().filter(|rule| is_tier(model, rule, "Baseline")).filter(hit);
        all.extend(baseline.next().map(|rule| admin_statement(model, rule, word)));
    }
    all
}

fn is_tier(model: &Model<'_>, rule: &RuleOutcome, tier: &str) -> bool {
    let PolicyRef::Admin(index) = rule.rule.policy else { return false };
    model.input().admin_policies[index].tier.as_str() == tier
}

fn admin_statement(model: &Model<'_>, rule: &RuleOutcome, word: &str) -> String {
    let PolicyRef::Admin(index) = rule.rule.policy else { unreachable!() };
    let policy = &model.input().admin_policies[index];
    let verb = match rule.action {
        Action::Accept => "allows",
        Action::Deny => "denies",
        _ => "passes",
    };
    let written = &policy.rules(rule.rule.direction)[rule.rule.index];
    let label =
        written.name.as_ref().map_or_else(|| format!("#{}", rule.rule.index + 1), |name| name.value.clone());
    format!("{} '{}' {verb} {word} {label}", policy.meta.kind, policy.meta.name)
}

/// The verdict on traffic from the ingress controller: an Ingress must lead there, and the policies allow it.
fn entry(
    model: &Model<'_>,
    section: &Section,
    protocol: Protocol,
    port: u16,
    decision: &Decision,
) -> Verdict {
    let leads = model.entry_paths().iter().any(|path| {
        name(&model.input().workloads[path.workload]) == section.to
            && (path.protocol, path.port) == (protocol, port)
    });
    // The controller's labels are not known, so what policies say of it is what they say of any pod.
    if leads && decision.verdict == Verdict::Allowed { Verdict::Allowed } else { Verdict::Denied }
}

fn peer(model: &Model<'_>, text: &str) -> Peer {
    if let Some(addresses) = external(text) {
        // One address stands for the range: no rule tells its addresses apart.
        return Peer::Addresses(IpSet::one(addresses.first().unwrap()));
    }
    if text == "{ingress-controller}" {
        return Peer::Pod(PodShape::unknown(None));
    }
    let workloads = &model.input().workloads;
    let id = workloads.iter().position(|workload| name(workload) == text);
    Peer::Workload(id.unwrap_or_else(|| panic!("no workload {text}")))
}

fn parse(text: &str) -> Vec<Section> {
    let mut sections = Vec::new();
    let (mut from, mut to) = (String::new(), String::new());
    let mut defaults = false;
    for line in text.lines().take_while(|line| !line.starts_with("Exposure Analysis")) {
        let trimmed = line.trim();
        if let Some(pair) = trimmed.strip_prefix("Connections between ") {
            let (a, b) = pair.trim_end_matches(':').split_once(" => ").unwrap();
            (from, to) = (a.to_owned(), b.to_owned());
        } else if trimmed.starts_with("# All Connections due to the system default") {
            defaults = true;
        } else if let Some((a, b)) = trimmed.split_once(" => ").filter(|_| defaults) {
            sections.push(default_section(a, b));
        } else if let Some((verdict, rest)) = line.strip_prefix('\t').and_then(|rest| rest.split_once(' '))
            && matches!(verdict, "Allowed" | "Denied")
        {
            let (ports, reason) = rest.split_once(" due to ").unwrap();
            let mut section = Section {
                from: from.clone(),
                to: to.clone(),
                allowed: verdict == "Allowed",
                samples: samples(ports),
                sides: Vec::new(),
            };
            if reason.starts_with("the system default") {
                section.sides = default_section(&from, &to).sides;
            }
            sections.push(section);
        } else if let Some(section) = sections.last_mut() {
            add_line(section, trimmed);
        }
    }
    sections
}

fn default_section(from: &str, to: &str) -> Section {
    let side = |direction| Side { direction, allowed: true, default: true, statements: Vec::new() };
    Section {
        from: from.trim().to_owned(),
        to: to.trim().to_owned(),
        allowed: true,
        samples: vec![(Protocol::Tcp, 80), (Protocol::Udp, 53)],
        sides: vec![side(Direction::Egress), side(Direction::Ingress)],
    }
}

fn add_line(section: &mut Section, line: &str) {
    for (word, direction) in [("Egress (", Direction::Egress), ("Ingress (", Direction::Ingress)] {
        if let Some(rest) = line.strip_prefix(word) {
            section.sides.push(Side {
                direction,
                allowed: rest.starts_with("Allowed"),
                default: rest.contains("the system default"),
                statements: Vec::new(),
            });
            return;
        }
    }
    let Some(side) = section.sides.last_mut() else { return };
    if line.starts_with("the system default") {
        return;
    }
    let line = line.trim_start_matches("- ");
    if line.starts_with("Route ")
        || line.starts_with("Ingress ")
        || line.ends_with("list:")
        || line.is_empty()
    {
        return;
    }
    if !line.contains('\'') {
        return;
    }
    side.statements.push(statement(line, side.direction));
}

/// Cuts a sentence to what is compared.
fn statement(line: &str, direction: Direction) -> String {
    let word = match direction {
        Direction::Ingress => "Ingress",
        Direction::Egress => "Egress",
    };
    let (policy, rest) = line.split_once("' ").unwrap_or_else(|| panic!("{line}"));
    let policy = format!("{policy}'");
    let rule = rest.split_once(" rule ").map(|(_, rest)| rest.split([' ', ',']).next().unwrap());
    for verb in ["allows", "denies", "passes"] {
        if rest.starts_with(verb) {
            return format!("{policy} {verb} {word} {}", rule.unwrap().trim_matches('"'));
        }
    }
    if rest.contains("named ports of the rule have no match") {
        return format!("{policy} misses {word} {} by named ports", rule.unwrap());
    }
    if rest.contains("the protocols and ports do not match") {
        return format!("{policy} misses {word} {} by ports", rule.unwrap());
    }
    let none = if rest.ends_with("(no rules defined)") { " (no rules)" } else { "" };
    format!("{policy} has no {word} rule for it{none}")
}

/// `TCP:[1-79,81-65535], UDP, SCTP` as one port of each range.
fn samples(text: &str) -> Vec<(Protocol, u16)> {
    let mut list = Vec::new();
    for part in text.split(", ") {
        let (name, ranges) = part.split_once(":[").unwrap_or((part, "1-65535"));
        let protocol = Protocol::parse(name.trim()).unwrap_or_else(|| panic!("{text}"));
        for range in ranges.trim_end_matches(']').split(',') {
            let set: PortSet = super::ports(&format!("{protocol} {range}"));
            list.extend(set.of(protocol).spans().iter().map(|(first, _)| (protocol, *first)));
        }
    }
    list
}
