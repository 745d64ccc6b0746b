//! From a workload to its needs.

use crate::object::{Protocol, Workload, WorkloadKind};
use crate::source::{Span, Text};

use super::declared::{self, Entry};
use super::scan::Scan;
use super::{ANNOTATION, BadEntry, Confidence, Evidence, Forbidden, Need, Target, WorkloadNeeds, World};

/// Everything one workload needs.
pub(super) fn workload(workload: &Workload, world: &World<'_>) -> WorkloadNeeds {
    let namespace = world.namespace(workload);
    let mut found = WorkloadNeeds::default();
    let declared = declared_entries(workload, namespace, world, &mut found);
    if !found.only_declared {
        for container in &workload.pod.containers {
            let mut scan = Scan::new(container, namespace, world);
            scan.run();
            scan.finish(&mut found);
        }
    }
    for need in declared {
        add(&mut found.needs, need);
    }
    add_dns(&mut found.needs);
    found
}

/// Joins a need to the list: the same connection named twice is one need with more evidence.
pub(super) fn add(needs: &mut Vec<Need>, need: Need) {
    let same = |known: &&mut Need| {
        known.target == need.target
            && known.protocol == need.protocol
            && known.port == need.port
            && known.last_port == need.last_port
            && (known.target != Target::Hidden || known.service == need.service)
    };
    match needs.iter_mut().find(same) {
        Some(known) => {
            known.confidence = known.confidence.max(need.confidence);
            known.service = known.service.or(need.service);
            for evidence in need.evidence {
                if !known.evidence.contains(&evidence) {
                    known.evidence.push(evidence);
                }
            }
        }
        None => needs.push(need),
    }
}

/// Whoever needs a name needs the resolver, over UDP and TCP.
fn add_dns(needs: &mut Vec<Need>) {
    let named = needs.iter().filter(|need| need.wants_dns());
    let Some(strongest) = named.max_by_key(|need| need.confidence) else { return };
    let (confidence, evidence) = (strongest.confidence, strongest.evidence.clone());
    for protocol in [Protocol::Tcp, Protocol::Udp] {
        let known = needs.iter().position(|need| need.target == Target::Dns && need.protocol == protocol);
        let need = match known {
            Some(index) => needs.remove(index),
            None => dns(protocol, confidence, evidence.clone()),
        };
        needs.insert(0, need);
    }
}

fn dns(protocol: Protocol, confidence: Confidence, evidence: Vec<Evidence>) -> Need {
    Need {
        target: Target::Dns,
        host: String::new(),
        protocol,
        port: 53,
        last_port: 53,
        service: Some("dns"),
        confidence,
        evidence,
    }
}

/// Reads the annotation and the needs file.
fn declared_entries(
    workload: &Workload,
    namespace: &str,
    world: &World<'_>,
    found: &mut WorkloadNeeds,
) -> Vec<Need> {
    let mut needs = Vec::new();
    let mut read = |text: &str, never: bool, key: &str, span: Span, found: &mut WorkloadNeeds| {
        let text = if never { format!("!{text}") } else { text.to_owned() };
        let evidence =
            Evidence { key: key.to_owned(), source: "declared".to_owned(), span, value_span: None };
        match declared::entry(&text, world.names, namespace) {
            Ok(Entry::Only) => found.only_declared = true,
            Ok(Entry::Dns) => {
                for protocol in [Protocol::Udp, Protocol::Tcp] {
                    needs.push(dns(protocol, Confidence::Declared, vec![evidence.clone()]));
                }
            }
            Ok(Entry::Endpoint { never: true, target, protocol, ports, .. }) => {
                let host = text.trim_start_matches('!').to_owned();
                found.forbidden.push(Forbidden { target, host, protocol, ports, evidence });
            }
            Ok(Entry::Endpoint { never: false, target, service, protocol, ports }) => {
                let (port, last_port) = ports.unwrap_or((1, u16::MAX));
                let host = text.split(':').next().unwrap_or("").to_owned();
                let confidence = Confidence::Declared;
                needs.push(Need {
                    target,
                    host,
                    protocol,
                    port,
                    last_port,
                    service,
                    confidence,
                    evidence: vec![evidence],
                });
            }
            Err(message) => found.bad_entries.push(BadEntry { message, span }),
        }
    };
    for annotations in [&workload.meta.annotations, &workload.pod.annotations] {
        let Some(pair) = annotations.get(ANNOTATION) else { continue };
        let words = pair.value.value.split(|c: char| c == ',' || c.is_whitespace());
        for word in words.filter(|word| !word.is_empty()) {
            read(word, false, ANNOTATION, pair.value.span, found);
        }
        // A bare Pod is its own template: one place, not two.
        if workload.kind == WorkloadKind::Pod {
            break;
        }
    }
    let kind = workload.kind.as_str();
    for entry in world.file.about(kind, namespace, &workload.meta.name.value) {
        let only = Text::new("only".to_owned(), entry.workload.span);
        let only = entry.only.then_some(&only);
        for text in entry.needs.iter().chain(only) {
            read(text.value.trim(), false, "needs file", text.span, found);
        }
        for text in &entry.never {
            read(text.value.trim(), true, "needs file", text.span, found);
        }
    }
    needs
}
