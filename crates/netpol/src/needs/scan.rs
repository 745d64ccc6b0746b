//! One container: its variables and arguments, and the needs in them.

use crate::object::{Container, Protocol};
use crate::source::{Span, Text};

use super::endpoint::{self, Endpoint};
use super::env::{self, Value, Variable};
use super::role::{Role, is_well_known, variable_name};
use super::service::{self, Family, Service};
use super::switches::{Adapter, Settings};
use super::{Confidence, Evidence, Need, Target, UnknownKind, UnknownNeed, WorkloadNeeds, World};

/// One container while it is scanned.
pub(super) struct Scan<'a> {
    container: &'a Container,
    namespace: &'a str,
    world: &'a World<'a>,
    variables: Vec<Variable<'a>>,
    /// `--db-adapter mysql` as (`DB_ADAPTER`, `mysql`).
    flags: Vec<(String, String)>,
    needs: Vec<(String, Need)>,
    unknown: Vec<UnknownNeed>,
}

impl<'a> Scan<'a> {
    pub(super) fn new(container: &'a Container, namespace: &'a str, world: &'a World<'a>) -> Self {
        let variables = env::variables(container, namespace, world.configs);
        let mut flags = Vec::new();
        let words: Vec<&Text> = container.command.iter().chain(&container.args).collect();
        for (index, word) in words.iter().enumerate() {
            let Some(flag) = word.value.strip_prefix('-') else { continue };
            let flag = flag.trim_start_matches('-');
            let (key, value) = match flag.split_once('=') {
                Some((key, value)) => (key, Some(value)),
                None => (flag, words.get(index + 1).map(|next| next.value.as_str())),
            };
            if let Some(value) = value {
                flags.push((variable_name(key), env::expand(value, &variables)));
            }
        }
        Self { container, namespace, world, variables, flags, needs: Vec::new(), unknown: Vec::new() }
    }

    pub(super) fn run(&mut self) {
        self.unseen_sources();
        for index in 0..self.variables.len() {
            let variable = self.variables[index].clone();
            let evidence = Evidence {
                key: variable.name.clone(),
                source: variable.origin.to_string(),
                span: variable.span,
                value_span: variable.value_span,
            };
            match &variable.value {
                Value::Known(text) => self.text(&variable.name, text, &evidence),
                Value::Hidden | Value::Absent => self.hidden(&variable.name, &evidence),
                Value::Runtime => {}
            }
        }
        self.arguments();
    }

    /// Sources of variables that the input does not show.
    fn unseen_sources(&mut self) {
        for source in &self.container.env_from {
            let name = source.name.value.as_str();
            let there = if source.secret {
                self.world.configs.secret(self.namespace, name).is_some()
            } else {
                self.world.configs.map(self.namespace, name).is_some()
            };
            if !there && !source.optional {
                let kind = if source.secret { "Secret" } else { "ConfigMap" };
                self.unknown.push(UnknownNeed {
                    key: format!("{kind} {name}"),
                    kind: UnknownKind::Source,
                    reason: format!("{kind} {name} is not in the input: its variables may name any host"),
                    span: source.span,
                });
            }
        }
    }

    fn arguments(&mut self) {
        let words: Vec<Text> = self.container.command.iter().chain(&self.container.args).cloned().collect();
        for (index, word) in words.iter().enumerate() {
            let text = env::expand(&word.value, &self.variables);
            let before = index.checked_sub(1).and_then(|before| words.get(before));
            let (key, value) = match text.strip_prefix('-').and_then(|flag| flag.split_once('=')) {
                Some((key, value)) => (variable_name(key.trim_start_matches('-')), value.to_owned()),
                None => match before.map(|before| before.value.as_str()) {
                    Some(flag) if flag.starts_with('-') && !flag.contains('=') => {
                        (variable_name(flag.trim_start_matches('-')), text.clone())
                    }
                    _ => (String::new(), text.clone()),
                },
            };
            let shown = if key.is_empty() {
                "argument".to_owned()
            } else {
                format!("argument {}", flag_of(&word.value, before))
            };
            let evidence = Evidence {
                key: shown,
                source: format!("container {}", self.container.name),
                span: word.span,
                value_span: None,
            };
            self.text(&key, &value, &evidence);
        }
    }

    /// A text that is known, perhaps with open parts.
    fn text(&mut self, key: &str, text: &str, evidence: &Evidence) {
        let role = Role::of(key);
        if role == Role::NotAClient || text.len() > 64 * 1024 || self.settings().switched_off(key) {
            return;
        }
        let endpoints = endpoint::find(text);
        if endpoints.is_empty() {
            if env::is_partial(text) {
                self.hidden(key, evidence);
            } else if role == Role::Host {
                self.bare_host(key, text, evidence);
            }
            return;
        }
        // A script may print URLs that it never opens.
        let script = text.contains('\n') || text.contains("echo ");
        for endpoint in endpoints {
            let sure = !script && role != Role::Doubtful;
            self.endpoint(
                key,
                role,
                &endpoint,
                evidence,
                if sure { Confidence::Literal } else { Confidence::Guess },
            );
        }
    }

    fn endpoint(
        &mut self,
        key: &str,
        role: Role,
        endpoint: &Endpoint,
        evidence: &Evidence,
        confidence: Confidence,
    ) {
        let Some(target) = self.world.names.resolve(&endpoint.host, self.namespace) else { return };
        if !endpoint.is_url
            && !matches!(role, Role::Host | Role::Url)
            && !matches!(target, Target::Service(_))
        {
            return;
        }
        let by_name = service::by_words(key.split('_'));
        let known = endpoint.service.or(by_name.filter(|service| {
            endpoint.port.is_none_or(|port| service.port == port || (service.name == "otlp" && port == 4318))
        }));
        let port = endpoint.port.or(known.map(|service| service.port));
        let Some(port) = port else {
            self.unknown(
                key,
                UnknownKind::Endpoint,
                format!("the port behind {} is not known", endpoint.host),
                evidence,
            );
            return;
        };
        let known = known.map(|service| service.name);
        self.push(key, target, &endpoint.host, endpoint.protocol, port, known, confidence, evidence);
    }

    /// A host without a port.
    fn bare_host(&mut self, key: &str, text: &str, evidence: &Evidence) {
        for host in text.split(',').map(str::trim) {
            let Some((host, None)) = endpoint::host_and_port(host) else { continue };
            let Some(target) = self.world.names.resolve(host, self.namespace) else { continue };
            let service = service::by_words(key.split('_'));
            let sibling = self.settings().sibling_port(key);
            let single = matches!(target, Target::Service(_)) || host.contains('.');
            match sibling.or(service.map(|service| service.port)) {
                Some(port) if single || service.is_some() || sibling.is_some() => {
                    let name = service.filter(|service| service.port == port).map(|service| service.name);
                    self.push(key, target, host, Protocol::Tcp, port, name, Confidence::Literal, evidence);
                }
                _ if single => {
                    self.unknown(
                        key,
                        UnknownKind::Endpoint,
                        format!("no port is named for {host}"),
                        evidence,
                    );
                }
                _ => {}
            }
        }
    }

    /// A value that the input does not show.
    fn hidden(&mut self, key: &str, evidence: &Evidence) {
        let role = Role::of(key);
        if !matches!(role, Role::Url | Role::Host) || self.settings().switched_off(key) {
            return;
        }
        let Some(service) = service::by_words(key.split('_')) else {
            self.unknown(
                key,
                UnknownKind::Endpoint,
                format!("its value is not in the input ({})", evidence.source),
                evidence,
            );
            return;
        };
        let port = match service.name {
            "otlp" => self.settings().otlp_port(key),
            _ => self.settings().sibling_port(key).unwrap_or(service.port),
        };
        let confidence = if is_well_known(key) { Confidence::WellKnown } else { Confidence::Guess };
        self.push(key, Target::Hidden, "", Protocol::Tcp, port, Some(service.name), confidence, evidence);
        self.unknown(
            key,
            UnknownKind::Host,
            format!("the host is not in the input ({})", evidence.source),
            evidence,
        );
    }

    #[allow(clippy::too_many_arguments, reason = "one value per field of the need")]
    fn push(
        &mut self,
        key: &str,
        target: Target,
        host: &str,
        protocol: Protocol,
        port: u16,
        service: Option<&'static str>,
        confidence: Confidence,
        evidence: &Evidence,
    ) {
        let need = Need {
            target,
            host: host.to_owned(),
            protocol,
            port,
            last_port: port,
            service,
            confidence,
            evidence: vec![evidence.clone()],
        };
        self.needs.push((key.to_owned(), need));
    }

    fn unknown(&mut self, key: &str, kind: UnknownKind, reason: String, evidence: &Evidence) {
        self.unknown.push(UnknownNeed { key: key.to_owned(), kind, reason, span: evidence.span });
    }

    fn settings(&self) -> Settings<'_> {
        Settings { variables: &self.variables, flags: &self.flags }
    }

    /// Hands over what was found, after the adapter setting had its say.
    pub(super) fn finish(mut self, found: &mut WorkloadNeeds) {
        let is_choice = |service: &Service| {
            service.family == Family::Database
                && matches!(service.name, "mysql" | "mongodb" | "postgresql" | "sqlserver")
        };
        let choice_of = |need: &Need| {
            need.service
                .and_then(service::by_adapter)
                .filter(|service| is_choice(service))
                .map(|service| service.name)
        };
        let mut offered: Vec<&str> = self.needs.iter().filter_map(|(_, need)| choice_of(need)).collect();
        offered.sort_unstable();
        offered.dedup();
        match self.settings().adapter() {
            Adapter::Chosen(Some(chosen)) if offered.contains(&chosen.name) => {
                self.drop_choices(|name| name != chosen.name, choice_of);
            }
            Adapter::Chosen(None) => self.drop_choices(|_| true, choice_of),
            Adapter::Hidden if offered.len() > 1 => {
                for (key, need) in &mut self.needs {
                    if choice_of(need).is_some() {
                        need.confidence = Confidence::Guess;
                        let reason = "which of the databases is used is not in the input".to_owned();
                        let span = need.evidence.first().map_or_else(Span::default, |evidence| evidence.span);
                        let (key, kind) = (key.clone(), UnknownKind::Choice);
                        self.unknown.push(UnknownNeed { key, kind, reason, span });
                    }
                }
            }
            _ => {}
        }
        self.doubt_what_a_proxy_carries();
        for (_, need) in self.needs {
            super::derive::add(&mut found.needs, need);
        }
        for unknown in self.unknown {
            if !found.unknown.contains(&unknown) {
                found.unknown.push(unknown);
            }
        }
    }

    fn drop_choices(
        &mut self,
        unused: impl Fn(&str) -> bool,
        choice_of: impl Fn(&Need) -> Option<&'static str>,
    ) {
        let dropped: Vec<String> = self
            .needs
            .iter()
            .filter(|(_, need)| choice_of(need).is_some_and(&unused))
            .map(|(key, _)| key.clone())
            .collect();
        self.needs.retain(|(_, need)| !choice_of(need).is_some_and(&unused));
        self.unknown.retain(|unknown| !dropped.contains(&unknown.key));
    }

    /// With a proxy set, what goes out over HTTP goes to the proxy.
    fn doubt_what_a_proxy_carries(&mut self) {
        let is_proxy = |key: &str| {
            matches!(key.to_ascii_uppercase().as_str(), "HTTP_PROXY" | "HTTPS_PROXY" | "ALL_PROXY")
        };
        if !self.variables.iter().any(|variable| is_proxy(&variable.name)) {
            return;
        }
        for (key, need) in &mut self.needs {
            if matches!(need.target, Target::Name(_)) && matches!(need.port, 80 | 443) && !is_proxy(key) {
                need.confidence = Confidence::Guess;
            }
        }
    }
}

fn flag_of<'t>(word: &'t str, before: Option<&'t Text>) -> &'t str {
    if word.starts_with('-') {
        return word.split('=').next().unwrap_or(word);
    }
    before.map_or(word, |before| before.value.as_str())
}
