//! Near misses in both directions.

use netpol::nearmiss::{compare, policies_for, workload_for};
use netpol::object::{LabelSelector, Labels};
use netpol::{Input, Model, Options, SourceFile};

fn input(pods: &str, selector: &str) -> Input {
    Input::parse([SourceFile::new(
        "a.yaml",
        format!(
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: a, labels: {{tier: object}}}}\nspec: {{template: {{metadata: {{labels: {{{pods}}}}}}}}}\n---\n\
             apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: p}}\nspec: {{podSelector: {{matchLabels: {{{selector}}}}}}}\n"
        ),
    )])
}

/// What is off, seen from the workload; and the policy must find the same workload when it looks back.
fn off(pods: &str, selector: &str) -> Option<String> {
    let input = input(pods, selector);
    let model = Model::new(&input, &Options::default());
    let forth = policies_for(&model, 0).first().map(|near| near.comparison.describe());
    let back = workload_for(&model, &input.policies[0].pod_selector, Some("default"));
    assert_eq!(forth, back.map(|near| near.comparison.describe()));
    forth
}

#[test]
fn the_one_pair_that_is_off_is_named() {
    assert_eq!(
        off("app: x, component: klines-gap-filler", "app: x, component: klines-extractor").unwrap(),
        "app matches, component differs: policy wants klines-extractor, pod has klines-gap-filler"
    );
    assert_eq!(
        off("app: wroker", "app: worker").unwrap(),
        "app differs: policy wants worker, pod has wroker"
    );
    assert_eq!(off("app: Web", "app: web").unwrap(), "app differs: policy wants web, pod has Web");
}

#[test]
fn another_key_for_the_same_thing_is_recognised() {
    assert_eq!(
        off("app.kubernetes.io/name: web", "app: web").unwrap(),
        "app is missing: policy wants app: web, pod has app.kubernetes.io/name: web"
    );
}

#[test]
fn labels_of_the_object_do_not_count_and_are_named() {
    assert_eq!(
        off("app: x", "app: x, tier: object").unwrap(),
        "app matches, tier: object is on the Deployment and not on the pod template, which alone counts"
    );
}

#[test]
fn strangers_are_no_near_miss() {
    assert_eq!(off("app: frontend", "app: database"), None);
    assert_eq!(off("app: a", "role: b, zone: c"), None);
    assert_eq!(off("app: shard-1", "app: shard-2"), None);
}

#[test]
fn what_a_template_hides_is_not_held_against_it() {
    let selector =
        LabelSelector { match_labels: Labels::from_pairs([("a", "b")]), ..LabelSelector::default() };
    let hidden = Labels { incomplete: true, ..Labels::default() };
    assert_eq!(compare(&selector, &hidden, &[]).differences, []);
}
