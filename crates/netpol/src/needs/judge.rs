//! Whether the policies let a need through.

use crate::model::{self, Answer, Decision, Model, Note, Peer, PodShape, Route, Verdict, WorkloadId};
use crate::set::IpSet;

use super::{Need, Target};

/// The verdict on one need.
#[derive(Clone, Debug)]
pub struct Judged {
    /// The verdict over everything the target may be.
    pub verdict: Verdict,
    /// Where packets may end, the worst verdict first.
    pub routes: Vec<Route>,
    /// What else there is to say.
    pub notes: Vec<Note>,
}

impl Judged {
    /// The decision that the verdict rests on.
    #[must_use]
    pub fn decision(&self) -> Option<&Decision> {
        self.routes.first().map(|route| &route.decision)
    }

    /// Whether the sender's own policies deny it.
    #[must_use]
    pub fn egress_denied(&self) -> bool {
        let side = self.decision().and_then(|decision| decision.egress.as_ref());
        self.verdict == Verdict::Denied && side.is_some_and(|side| side.verdict == Verdict::Denied)
    }

    /// Whether the receiver's policies deny it.
    #[must_use]
    pub fn ingress_denied(&self) -> bool {
        let side = self.decision().and_then(|decision| decision.ingress.as_ref());
        self.verdict == Verdict::Denied && side.is_some_and(|side| side.verdict == Verdict::Denied)
    }

    /// Whether the Service is there and does not have the port.
    #[must_use]
    pub fn port_not_exposed(&self) -> bool {
        self.notes.iter().any(|note| matches!(note, Note::NoSuchPort { .. }))
    }
}

impl Need {
    /// The verdict on this need of a workload.
    #[must_use]
    pub fn judge(&self, model: &Model<'_>, workload: WorkloadId) -> Judged {
        let from = Peer::Workload(workload);
        let mut answers = Vec::new();
        for target in self.engine_targets(model) {
            answers.push(model.verdict(&from, &target, self.protocol, self.port));
            if self.last_port > self.port {
                answers.push(model.verdict(&from, &target, self.protocol, self.last_port));
            }
        }
        let mut judged = join(answers);
        if judged.verdict == Verdict::Denied && self.receiver_port_is_open() && self.may_pass(model, &from) {
            judged.verdict = Verdict::Unknown;
        }
        judged
    }

    /// What the engine has to be asked for; several when the target may be any of them.
    fn engine_targets(&self, model: &Model<'_>) -> Vec<model::Target> {
        let peer = |peer| vec![model::Target::Peer(peer)];
        match &self.target {
            Target::Dns => vec![model::Target::Dns],
            Target::Service(index) => vec![model::Target::Service(*index)],
            Target::ClusterName { namespace, .. } => peer(Peer::Pod(PodShape::unknown(Some(namespace)))),
            Target::Workload(index) => peer(Peer::Workload(*index)),
            Target::Address(address) => vec![model.resolve_host(&address.to_string(), None)],
            Target::Network(net) => peer(Peer::Addresses(IpSet::networks(&[*net]))),
            Target::Name(name) => peer(Peer::Name(name.clone())),
            Target::Internet => peer(Peer::Addresses(model.public_addresses())),
            Target::Hidden => vec![
                model::Target::Peer(Peer::Pod(PodShape::unknown(None))),
                model::Target::Peer(Peer::Name(String::new())),
            ],
        }
    }

    /// Whether the port at the receiver may be another: the Service that maps it is not in the input. Databases and
    /// brokers listen where their clients connect, for HTTP that is rarely so.
    fn receiver_port_is_open(&self) -> bool {
        matches!(self.target, Target::ClusterName { .. }) && self.service.is_none()
    }

    fn may_pass(&self, model: &Model<'_>, from: &Peer) -> bool {
        self.engine_targets(model).into_iter().any(|target| match target {
            model::Target::Peer(peer) => !model.allowed(from, &peer).may.of(self.protocol).is_empty(),
            _ => true,
        })
    }
}

/// Allowed or denied when every answer says so, else unknown.
fn join(answers: Vec<Answer>) -> Judged {
    let verdicts = answers.iter().map(|answer| answer.verdict);
    let (worst, best) = (verdicts.clone().min(), verdicts.max());
    let verdict = match (worst, best) {
        (Some(worst), Some(best)) if worst == best => worst,
        _ => Verdict::Unknown,
    };
    let mut notes = Vec::new();
    let mut routes = Vec::new();
    for answer in answers {
        notes.extend(answer.notes);
        routes.extend(answer.routes);
    }
    routes.sort_by_key(|route| route.decision.verdict);
    Judged { verdict, routes, notes }
}
