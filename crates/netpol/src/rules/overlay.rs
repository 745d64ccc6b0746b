//! The checked files over their context.

use std::collections::HashSet;

use crate::findings::ObjectId;
use crate::object::{Meta, NetworkPolicy, Workload};
use crate::read::Input;

/// Objects of the context that the checked files define as well.
#[derive(Clone, Debug, Default)]
pub struct Replaced {
    /// NetworkPolicies.
    pub policies: Vec<NetworkPolicy>,
    /// Workloads.
    pub workloads: Vec<Workload>,
}

/// Lays the checked files over their context: an object that both define is taken from the checked files alone, as applying
/// them would do. Returns what was taken out; call it before the model is made.
pub fn overlay(input: &mut Input, checked_files: usize, default_namespace: &str) -> Replaced {
    type Key = (String, String, String);
    let key = |meta: &Meta| -> Key {
        let object = ObjectId::new(meta, default_namespace);
        (object.kind, object.namespace, object.name)
    };
    let is_checked = |meta: &Meta| (meta.span.file.0 as usize) < checked_files;
    let mut ours: HashSet<Key> = HashSet::new();
    macro_rules! each_list {
        ($action:ident) => {
            $action!(workloads);
            $action!(policies);
            $action!(admin_policies);
            $action!(services);
            $action!(ingresses);
            $action!(namespaces);
            $action!(config_maps);
            $action!(secrets);
            $action!(autoscalers);
            $action!(disruption_budgets);
        };
    }
    macro_rules! collect {
        ($list:ident) => {
            ours.extend(input.$list.iter().map(|one| &one.meta).filter(|meta| is_checked(meta)).map(key));
        };
    }
    each_list!(collect);
    let gone = |meta: &Meta| !is_checked(meta) && ours.contains(&key(meta));
    let replaced = Replaced {
        policies: input.policies.iter().filter(|policy| gone(&policy.meta)).cloned().collect(),
        workloads: input.workloads.iter().filter(|workload| gone(&workload.meta)).cloned().collect(),
    };
    macro_rules! remove {
        ($list:ident) => {
            input.$list.retain(|one| !gone(&one.meta));
        };
    }
    each_list!(remove);
    replaced
}
