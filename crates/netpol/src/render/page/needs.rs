//! What each workload needs, whether it gets it, and how that is known.

use std::fmt::Write as _;

use crate::model::{Model, Verdict, WorkloadId};
use crate::needs::{Judged, WorkloadNeeds};
use crate::reach_render::escape;
use crate::render::Context;

use super::findings::places;

/// The verdicts on the needs of the workloads under check.
pub(super) struct Judgements {
    of: Vec<(WorkloadId, Vec<Judged>)>,
}

impl Judgements {
    pub(super) fn workloads(&self) -> usize {
        self.of.len()
    }

    /// How many needs are allowed, open and denied.
    pub(super) fn totals(&self) -> [usize; 3] {
        let all = self.of.iter().flat_map(|(_, judged)| judged);
        let mut totals = [0; 3];
        for judged in all {
            let [allowed, unknown, denied] = &mut totals;
            match judged.verdict {
                Verdict::Allowed => *allowed += 1,
                Verdict::Unknown => *unknown += 1,
                Verdict::Denied => *denied += 1,
            }
        }
        totals
    }
}

pub(super) fn judge(context: &Context<'_>, model: &Model<'_>, needs: &[WorkloadNeeds]) -> Judgements {
    let checked = |id: WorkloadId| {
        let file = context.input.workloads.get(id).map(|workload| workload.meta.span.file.0 as usize);
        file.is_some_and(|file| file < context.checked_files)
    };
    let of = needs.iter().enumerate().filter(|(id, _)| checked(*id));
    let judge = |(id, own): (WorkloadId, &WorkloadNeeds)| {
        (id, own.needs.iter().map(|need| need.judge(model, id)).collect())
    };
    Judgements { of: of.map(judge).collect() }
}

pub(super) fn write(
    text: &mut String,
    context: &Context<'_>,
    needs: &[WorkloadNeeds],
    judgements: &Judgements,
) {
    text.push_str("<section id=\"needs\" aria-labelledby=\"needs-title\">\n<h2 id=\"needs-title\">Needs of the workloads</h2>\n");
    text.push_str(
        "<p class=\"hint\">Read from environment, arguments, ConfigMaps and annotations. A host that hides in a Secret is \
         <b>open</b> unless the policies allow, or deny, every place it may be.</p>\n",
    );
    if judgements.of.is_empty() {
        text.push_str("<p class=\"hint\">There is no workload in the files.</p>\n");
    }
    for (id, judged) in &judgements.of {
        let (Some(workload), Some(own)) = (context.input.workloads.get(*id), needs.get(*id)) else {
            continue;
        };
        let worst = judged.iter().map(|one| one.verdict).min().unwrap_or(Verdict::Allowed);
        let open = if worst == Verdict::Denied { " open" } else { "" };
        let namespace = workload.meta.namespace_or(&context.options.default_namespace);
        let _ = writeln!(
            text,
            "<details class=\"block workload\"{open}><summary><span class=\"who\">{} <small>{}/</small>{}</span> {}</summary>",
            workload.kind,
            escape(namespace),
            escape(&workload.meta.name.value),
            summary(judged, own)
        );
        table(text, context, own, judged);
        text.push_str("</details>\n");
    }
    text.push_str("</section>\n");
}

/// `7 allowed, 1 denied`, each in the style of its verdict.
fn summary(judged: &[Judged], own: &WorkloadNeeds) -> String {
    let mut parts = Vec::new();
    for verdict in [Verdict::Denied, Verdict::Unknown, Verdict::Allowed] {
        let count = judged.iter().filter(|one| one.verdict == verdict).count();
        if count > 0 {
            parts.push(format!(
                "<span class=\"verdict {}\">{count} {}</span>",
                class(verdict),
                words(verdict)
            ));
        }
    }
    if !own.unknown.is_empty() {
        parts.push(format!("<span class=\"verdict unknown\">{} not known</span>", own.unknown.len()));
    }
    if parts.is_empty() {
        "<span class=\"verdict none\">no known needs</span>".to_owned()
    } else {
        parts.join(" ")
    }
}

fn table(text: &mut String, context: &Context<'_>, own: &WorkloadNeeds, judged: &[Judged]) {
    if own.needs.is_empty() && own.unknown.is_empty() {
        text.push_str("<p class=\"hint\">Nothing in the manifests says that it opens a connection.</p>\n");
        return;
    }
    text.push_str(
        "<div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"Needs\"><table class=\"needs\"><thead><tr>\
         <th scope=\"col\">Need</th><th scope=\"col\">Verdict</th><th scope=\"col\">Evidence</th></tr></thead>\n<tbody>\n",
    );
    for (need, judged) in own.needs.iter().zip(judged) {
        let host = if need.host.is_empty() || need.label().starts_with(&need.host) {
            String::new()
        } else {
            format!(" <small>{}</small>", escape(&need.host))
        };
        let _ = writeln!(
            text,
            "<tr><th scope=\"row\">{}{host}</th><td><span class=\"verdict {}\">{} {}</span></td><td>{} <small>({})</small></td></tr>",
            escape(&need.label()),
            class(judged.verdict),
            mark(judged.verdict),
            words(judged.verdict),
            escape(&places(context, need)),
            need.confidence.as_str()
        );
    }
    for unknown in &own.unknown {
        let place = context.input.locate(unknown.span).to_string();
        let _ = writeln!(
            text,
            "<tr><th scope=\"row\">{}</th><td><span class=\"verdict unknown\">? not known</span></td><td>{} at {}</td></tr>",
            escape(&unknown.key),
            escape(&unknown.reason),
            escape(&place)
        );
    }
    text.push_str("</tbody></table></div>\n");
}

fn class(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Allowed => "allowed",
        Verdict::Unknown => "unknown",
        Verdict::Denied => "denied",
    }
}

fn words(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Allowed => "allowed",
        Verdict::Unknown => "open",
        Verdict::Denied => "denied",
    }
}

fn mark(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Allowed => "✓",
        Verdict::Unknown => "?",
        Verdict::Denied => "✗",
    }
}
