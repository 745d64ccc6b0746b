//! NP601: something that leads nowhere.

use crate::findings::{Finding, Severity};
use crate::nearmiss;
use crate::object::{Ingress, LabelSelector, PortRef, Service, ServiceMonitor, Tri};

use super::Rule;
use super::context::{Check, Sink};
use super::np307::backends;

pub(super) static RULE: Rule = Rule {
    id: "NP601",
    name: "leads-nowhere",
    severity: Severity::Warning,
    title: "a Service, Ingress, ServiceMonitor, autoscaler or disruption budget points at nothing",
    what: "A Service or PodDisruptionBudget whose selector matches no workload of its namespace, an Ingress whose Service or port does not \
           exist, a ServiceMonitor that finds no Service, a HorizontalPodAutoscaler whose target does not exist. The closest match is named.",
    why: "The Service has no endpoints and the Ingress answers 503; the autoscaler reports FailedGetScale; the budget protects nobody.",
    example: "
kind: Service
spec:
  selector: {app: data-extractor}     # the pods say app: binance-extractor
",
    fix: "Correct the selector or the name, or delete the object with the workload that it was made for.",
    check,
};

fn check(check: &Check<'_>, sink: &mut Sink<'_>) {
    for service in check.input.services.iter().filter(|service| check.is_checked(service.meta.span)) {
        self::service(check, service, sink);
    }
    for ingress in check.input.ingresses.iter().filter(|ingress| check.is_checked(ingress.meta.span)) {
        self::ingress(check, ingress, sink);
    }
    for monitor in check.input.service_monitors.iter().filter(|monitor| check.is_checked(monitor.meta.span)) {
        service_monitor(check, monitor, sink);
    }
    for scaler in check.input.autoscalers.iter().filter(|scaler| check.is_checked(scaler.meta.span)) {
        let (Some(kind), Some(name)) = (&scaler.target_kind, &scaler.target_name) else { continue };
        let namespace = check.namespace(&scaler.meta);
        let exists = check.input.workloads.iter().any(|workload| {
            workload.meta.name.value == name.value
                && workload.kind.as_str() == kind.value
                && check.namespace(&workload.meta) == namespace
        });
        // Targets of other kinds are not looked into.
        let scalable = matches!(kind.value.as_str(), "Deployment" | "StatefulSet" | "ReplicaSet");
        if exists || !scalable || scaler.meta.templated || name.value.contains("{{") {
            continue;
        }
        let message =
            format!("{} {} scales {kind} {name}, which does not exist", scaler.meta.kind, scaler.meta.name);
        sink.emit(
            Finding::new(check.object(&scaler.meta), message)
                .at(name.span)
                .fix("name an existing workload, or delete the autoscaler"),
        );
    }
    for budget in check.input.disruption_budgets.iter().filter(|budget| check.is_checked(budget.meta.span)) {
        let Some(selector) = budget.selector.as_ref().filter(|selector| !selector.is_empty()) else {
            continue;
        };
        let namespace = check.namespace(&budget.meta);
        let covers = check.input.workloads.iter().any(|workload| {
            check.namespace(&workload.meta) == namespace && selector.matches(&workload.pod.labels) != Tri::No
        });
        if !covers && !budget.meta.templated {
            let message = format!("{} {} covers no workload", budget.meta.kind, budget.meta.name);
            let finding = Finding::new(check.object(&budget.meta), message).at(selector.span);
            sink.emit(with_closest(check, finding, selector, namespace));
        }
    }
}

fn service(check: &Check<'_>, service: &Service, sink: &mut Sink<'_>) {
    let Some(selector) = service.selector.as_ref().filter(|selector| !selector.is_empty()) else { return };
    let hidden = service.meta.templated || selector.incomplete;
    if hidden || service.external_name.is_some() || !backends(check, service).is_empty() {
        return;
    }
    let namespace = check.namespace(&service.meta);
    let message = format!("Service {} selects no workload: it has no endpoints", service.meta.name);
    let span = selector.pairs.first().map_or(selector.span, |pair| pair.key.span);
    let as_selector =
        LabelSelector { match_labels: selector.clone(), span: selector.span, ..LabelSelector::default() };
    if check.is_made_by_operator(&as_selector, namespace) {
        return;
    }
    let mut finding = Finding::new(check.object(&service.meta), message).at(span);
    if let Some(scrape) =
        service.meta.annotations.get("prometheus.io/scrape").filter(|pair| pair.value.value == "true")
    {
        finding =
            finding.note_at("it asks to be scraped ({}), and there is nothing to scrape", scrape.key.span);
    }
    let severity = if check.is_inhabited(namespace) { RULE.severity } else { Severity::Info };
    sink.emit_as(severity, with_closest(check, finding, &as_selector, namespace));
}

/// A ServiceMonitor that finds no Service.
fn service_monitor(check: &Check<'_>, monitor: &ServiceMonitor, sink: &mut Sink<'_>) {
    if monitor.meta.templated || monitor.selector.match_labels.incomplete {
        return;
    }
    let own = check.namespace(&monitor.meta);
    // Without a namespace of its own it goes wherever it is applied.
    let anywhere =
        monitor.any_namespace || (monitor.namespaces.is_empty() && monitor.meta.namespace.is_none());
    let looks_in = |namespace: &str| match monitor.namespaces.as_slice() {
        _ if anywhere => true,
        [] => namespace == own,
        names => names.iter().any(|name| name.value == namespace),
    };
    let finds = check.input.services.iter().any(|service| {
        looks_in(check.namespace(&service.meta)) && monitor.selector.matches(&service.meta.labels) != Tri::No
    });
    if finds {
        return;
    }
    let message = format!("ServiceMonitor {} finds no Service: nothing is scraped", monitor.meta.name);
    let span = monitor.selector.requirements().next().map(|first| first.span());
    let span = span.or(monitor.namespaces.first().map(|name| name.span)).unwrap_or(monitor.meta.name.span);
    let severity = if check.input.services.is_empty() { Severity::Info } else { RULE.severity };
    sink.emit_as(
        severity,
        Finding::new(check.object(&monitor.meta), message)
            .at(span)
            .note("it looks at the labels of Services, not of pods")
            .fix("correct the selector, or add the Service with --context"),
    );
}

fn with_closest(check: &Check<'_>, finding: Finding, selector: &LabelSelector, namespace: &str) -> Finding {
    let Some(near) = nearmiss::workload_for(check.model, selector, Some(namespace)) else {
        return finding
            .fix("delete it when its workload is gone, or add the workload's manifests with --context");
    };
    let workload = &check.input.workloads[near.workload];
    let what = match &near.namespace {
        Some(other) => format!("it has these labels, in namespace {other}"),
        None => near.comparison.describe().replace("policy wants", "the selector wants"),
    };
    finding
        .note_at(
            format!("closest workload: {} {} ({{}}): {what}", workload.kind, workload.meta.name),
            workload.meta.name.span,
        )
        .fix("correct the selector or the label")
}

fn ingress(check: &Check<'_>, ingress: &Ingress, sink: &mut Sink<'_>) {
    let namespace = check.namespace(&ingress.meta);
    for backend in &ingress.backends {
        let name = &backend.service;
        if name.value.is_empty() || name.value.contains("{{") {
            continue;
        }
        let service =
            check.names.service(namespace, &name.value).and_then(|index| check.input.services.get(index));
        let (message, span) = match (service, &backend.port) {
            (None, _) => (
                format!(
                    "{} {} leads to Service {name}, which does not exist",
                    ingress.meta.kind, ingress.meta.name
                ),
                name.span,
            ),
            (Some(service), Some(port)) if !has_port(service, &port.value) => (
                format!(
                    "{} {} leads to port {} of Service {name}, which has no such port",
                    ingress.meta.kind, ingress.meta.name, port.value
                ),
                port.span,
            ),
            (Some(service), _) => {
                let selects = service
                    .selector
                    .as_ref()
                    .is_some_and(|selector| !selector.is_empty() && !selector.incomplete);
                let known = check.is_inhabited(namespace);
                if known && selects && !service.meta.templated && backends(check, service).is_empty() {
                    (
                        format!(
                            "{} {} leads to Service {name}, which has no endpoints",
                            ingress.meta.kind, ingress.meta.name
                        ),
                        name.span,
                    )
                } else {
                    continue;
                }
            }
        };
        sink.emit(
            Finding::new(check.object(&ingress.meta), message.clone())
                .at(span)
                .fix("name an existing Service and port, or delete the Ingress")
                .group(format!("{namespace} {message}")),
        );
    }
}

fn has_port(service: &Service, wanted: &PortRef) -> bool {
    service.ports.iter().any(|port| match wanted {
        PortRef::Number(number) => port.port.as_ref().is_some_and(|own| own.value == *number),
        PortRef::Name(name) => port.name.as_ref().is_some_and(|own| own.value == *name),
    })
}
