//! NP402: the Internet, and the cloud's metadata server with it.

use ipnet::IpNet;

use crate::findings::{Finding, Severity};
use crate::object::{Direction, NetworkPolicy, Protocol};
use crate::source::Span;

use super::Rule;
use super::context::{Check, Sink};
use super::ports;

pub(super) static RULE: Rule = Rule {
    id: "NP402",
    name: "internet-with-metadata",
    severity: Severity::Warning,
    title: "a rule for the Internet includes the cloud's metadata address and private ranges",
    what: "An egress rule for 0.0.0.0/0 on port 80, or on all ports, does not except 169.254.169.254, from which clouds hand out \
           credentials. As a note also for other ports: such a rule includes the private ranges, and so every pod and node.",
    why: "Whoever can make the pod fetch a URL can fetch the node's credentials.",
    example: "
to:
  - ipBlock:
      cidr: 0.0.0.0/0
ports: [{port: 80}]
",
    fix: "Add except: [169.254.169.254/32, 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16] to the ipBlock, and allow what is needed inside \
          by selectors. Note that then the rule no longer reaches pods, the resolver included.",
    check,
};

fn check(check: &Check<'_>, sink: &mut Sink<'_>) {
    for (_, policy) in check.policies() {
        let mut http = None;
        let mut other = None;
        for (direction, _, rule) in check.rules_of(policy) {
            let block = rule.peers.iter().find(|peer| ports::is_everywhere(peer));
            let Some(block) = block.filter(|_| direction == Direction::Egress && !excepts_metadata(rule))
            else {
                continue;
            };
            let span = block.ip_block.as_ref().map_or(block.span, |block| block.cidr.text.span);
            if ports::rule_holds(rule, Protocol::Tcp, 80) {
                http = http.or(Some(span));
            } else if rule.ports.iter().any(|port| ports::holds(port, Protocol::Tcp, 443)) {
                other = other.or(Some(span));
            }
        }
        match (http, other) {
            (Some(span), _) => {
                let message = format!(
                    "policy {} lets pods ask the cloud's metadata server for credentials",
                    policy.meta.name
                );
                let text = "0.0.0.0/0 on port 80 includes 169.254.169.254 and the private ranges";
                sink.emit(finding(check, policy, span, message, text));
            }
            (None, Some(span)) => {
                let message = format!(
                    "policy {} opens the Internet together with every private range",
                    policy.meta.name
                );
                let text = "0.0.0.0/0 without except includes pods, nodes and 169.254.169.254";
                sink.emit_as(Severity::Info, finding(check, policy, span, message, text));
            }
            (None, None) => {}
        }
    }
}

fn excepts_metadata(rule: &crate::object::PolicyRule) -> bool {
    let metadata = "169.254.169.254/32".parse::<IpNet>();
    metadata.is_ok_and(|metadata| ports::excepts(rule, metadata))
}

fn finding(check: &Check<'_>, policy: &NetworkPolicy, span: Span, message: String, text: &str) -> Finding {
    Finding::new(check.object(&policy.meta), message)
        .at(span)
        .group(format!("{} {text}", check.namespace(&policy.meta)))
        .note(text)
        .fix("add except: [169.254.169.254/32, 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16] to the ipBlock")
}
