//! Reading single fields, with a report instead of an error where the type is wrong.

use super::meta::is_substitution;
use crate::object::{Cidr, PortRef, Protocol};
use crate::source::{Problem, ProblemKind, Span, Spanned, Text};
use crate::yaml::scalar::parse_int;
use crate::yaml::{Entry, Node, ScalarKind, Value};

/// One document never reports more than this.
const MOST_PROBLEMS: usize = 50_000;

/// Reads the fields of one object.
pub(crate) struct Reader<'p> {
    problems: &'p mut Vec<Problem>,
    /// `Kind namespace/name`, for the problems.
    pub(super) object: String,
    /// Something was reported for which the API server rejects the object.
    pub(super) rejected: bool,
}

impl<'p> Reader<'p> {
    pub(super) fn new(problems: &'p mut Vec<Problem>) -> Self {
        Self { problems, object: String::new(), rejected: false }
    }

    pub(super) fn report(&mut self, kind: ProblemKind, span: Span, message: impl Into<String>) {
        self.rejected |= matches!(kind, ProblemKind::WrongType | ProblemKind::Invalid);
        if self.problems.len() < MOST_PROBLEMS {
            self.problems.push(Problem { kind, span, message: message.into(), object: self.object.clone() });
        }
    }

    fn wrong_type(&mut self, node: &Node<'_>, what: &str, wanted: &str) {
        if !node.is_templated() && !node.as_str().is_some_and(is_substitution) {
            let message = format!("{what} must be {wanted}, here it is {}", node.shape());
            self.report(ProblemKind::WrongType, node.span, message);
        }
    }

    /// A text. A boolean or number is kept as its text, and reported with the quoting that it needs.
    pub(super) fn text(&mut self, node: &Node<'_>, what: &str) -> Option<Text> {
        match &node.value {
            Value::Scalar(scalar) => {
                let kind = scalar.kind;
                if !matches!(kind, ScalarKind::Str | ScalarKind::Null) && !scalar.templated {
                    let message = format!(
                        "{what} must be a string, but {} is {}: write \"{}\"",
                        scalar.text,
                        kind.name(),
                        scalar.text
                    );
                    self.report(ProblemKind::WrongType, node.span, message);
                }
                (kind != ScalarKind::Null).then(|| Text::new(scalar.text.to_string(), node.span))
            }
            _ => {
                self.wrong_type(node, what, "a string");
                None
            }
        }
    }

    pub(super) fn text_at(&mut self, node: &Node<'_>, key: &str) -> Option<Text> {
        node.get(key).and_then(|value| self.text(value, key))
    }

    /// A list; anything else is reported and read as empty.
    pub(super) fn list<'n, 's>(&mut self, node: Option<&'n Node<'s>>, what: &str) -> &'n [Node<'s>] {
        match node.map(|node| (node, &node.value)) {
            Some((_, Value::Seq(items))) => items,
            Some((node, _)) => {
                self.wrong_type(node, what, "a list");
                &[]
            }
            None => &[],
        }
    }

    /// The entries of a mapping; anything else is reported and read as empty.
    pub(super) fn entries<'n, 's>(&mut self, node: Option<&'n Node<'s>>, what: &str) -> &'n [Entry<'s>] {
        match node.map(|node| (node, &node.value)) {
            Some((_, Value::Map(entries))) => entries,
            Some((node, _)) => {
                self.wrong_type(node, what, "a mapping");
                &[]
            }
            None => &[],
        }
    }

    pub(super) fn texts(&mut self, node: Option<&Node<'_>>, what: &str) -> Vec<Text> {
        self.list(node, what).iter().filter_map(|item| self.text(item, what)).collect()
    }

    pub(super) fn boolean(&mut self, node: Option<&Node<'_>>, what: &str) -> bool {
        let Some(node) = node else { return false };
        match &node.value {
            Value::Scalar(scalar) => match scalar.kind {
                ScalarKind::Bool(value) => return value,
                _ => self.wrong_type(node, what, "true or false"),
            },
            _ => self.wrong_type(node, what, "true or false"),
        }
        false
    }

    pub(super) fn int(&mut self, node: Option<&Node<'_>>, what: &str) -> Option<Spanned<i64>> {
        let node = node?;
        if let Value::Scalar(scalar) = &node.value
            && let Some(value) = parse_int(&scalar.text)
        {
            if scalar.kind != ScalarKind::Int {
                let message =
                    format!("{what} must be an integer, but \"{value}\" is quoted: remove the quotes");
                self.report(ProblemKind::WrongType, node.span, message);
            }
            return Some(Spanned::new(value, node.span));
        }
        self.wrong_type(node, what, "an integer");
        None
    }

    /// A port number; one outside 1 to 65535 is reported and read as nothing.
    pub(super) fn port(&mut self, node: Option<&Node<'_>>, what: &str) -> Option<Spanned<u16>> {
        let value = self.int(node, what)?;
        match u16::try_from(value.value) {
            Ok(port) if port > 0 => Some(Spanned::new(port, value.span)),
            _ => {
                let message = format!("{what} must be between 1 and 65535, here it is {}", value.value);
                self.report(ProblemKind::Invalid, value.span, message);
                None
            }
        }
    }

    /// A port by number or by name.
    pub(super) fn port_ref(&mut self, node: Option<&Node<'_>>, what: &str) -> Option<Spanned<PortRef>> {
        let node = node?;
        match &node.value {
            Value::Scalar(scalar) if scalar.kind == ScalarKind::Int => {
                let port = self.port(Some(node), what)?;
                Some(Spanned::new(PortRef::Number(port.value), port.span))
            }
            Value::Scalar(scalar) if scalar.kind == ScalarKind::Str => {
                if scalar.templated {
                    return None;
                }
                let name = scalar.text.as_ref();
                if name.bytes().all(|byte| byte.is_ascii_digit()) {
                    let message =
                        format!("{what} \"{name}\" is a name because of the quotes; a port number has none");
                    self.report(ProblemKind::Invalid, node.span, message);
                }
                if name.len() > 15 {
                    let message = format!("{what} {name:?} is longer than the 15 characters of a port name");
                    self.report(ProblemKind::Invalid, node.span, message);
                }
                Some(Spanned::new(PortRef::Name(name.to_owned()), node.span))
            }
            _ => {
                self.wrong_type(node, what, "a port number or the name of a container port");
                None
            }
        }
    }

    /// A protocol; TCP when missing, `None` (and a report) when there is no such protocol.
    pub(super) fn protocol(&mut self, node: Option<&Node<'_>>) -> Option<Protocol> {
        let Some(node) = node else { return Some(Protocol::Tcp) };
        let text = self.text(node, "protocol")?;
        let protocol = Protocol::parse(&text);
        if protocol.is_none() && !node.is_templated() {
            let upper = text.to_ascii_uppercase();
            let message = match Protocol::parse(&upper) {
                Some(_) => format!("protocol {text:?} must be written {upper}", text = text.value),
                None => format!("protocol {:?} does not exist: TCP, UDP or SCTP", text.value),
            };
            self.report(ProblemKind::Invalid, text.span, message);
        }
        protocol
    }

    /// An address range. Host bits are dropped, as the API server does.
    pub(super) fn cidr(&mut self, node: &Node<'_>, what: &str) -> Option<Cidr> {
        let text = self.text(node, what)?;
        let net = text.value.trim().parse::<ipnet::IpNet>().ok().map(|net| net.trunc());
        if net.is_none() && !node.is_templated() {
            let hint = if text.value.parse::<std::net::IpAddr>().is_ok() {
                ": a single address needs /32 (IPv6: /128)"
            } else {
                ""
            };
            let message = format!("{what} {:?} is no address range like 10.0.0.0/8{hint}", text.value);
            self.report(ProblemKind::Invalid, text.span, message);
        }
        Some(Cidr { text, net })
    }

    /// Reports keys that the schema does not have.
    pub(super) fn known_fields(&mut self, node: &Node<'_>, what: &str, known: &[&str]) {
        let Value::Map(entries) = &node.value else { return };
        for entry in entries {
            if known.contains(&entry.key.as_ref()) {
                continue;
            }
            let hint = misplaced(&entry.key, known);
            let message = format!("{what} has no field {:?} (it has {}){hint}", entry.key, known.join(", "));
            self.report(ProblemKind::UnknownField, entry.key_span, message);
        }
    }
}

/// The likeliest reason for an unknown field.
fn misplaced(key: &str, known: &[&str]) -> String {
    if let Some(near) = known.iter().find(|name| name.eq_ignore_ascii_case(key)) {
        return format!(": field names are case-sensitive, write {near}");
    }
    match key {
        "matchLabels" | "matchExpressions" => {
            ": it belongs inside podSelector or namespaceSelector; check the indentation".to_owned()
        }
        "ports" | "from" | "to" | "podSelector" | "namespaceSelector" | "ipBlock" | "except" => {
            ": check the indentation of this line".to_owned()
        }
        _ => String::new(),
    }
}
