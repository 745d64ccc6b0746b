//! `netpol status`.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use serde_json::{Value, json};

use crate::objects::{ended, incident, minute, past_job};
use crate::run::{command, netpol};
use crate::server::{Api, Moods};

const FILLER: &str = "binance-klines-gap-filler-m5";
const EXTRACTOR: &str = "binance-klines-m5";

/// The gap filler failed twice, the extractor is well.
fn objects() -> Vec<Value> {
    let mut objects = incident();
    let last = minute(1);
    for (index, name) in [(2, FILLER), (3, EXTRACTOR)] {
        assert_eq!(objects[index]["metadata"]["name"], name);
        objects[index]["spec"]["schedule"] = "* * * * *".into();
        objects[index]["status"]["lastScheduleTime"] = last.clone().into();
        objects[index]["status"]["lastSuccessfulTime"] = minute(0).into();
    }
    objects.extend([past_job(FILLER, 3, true), past_job(FILLER, 2, false), past_job(FILLER, 1, false)]);
    objects.extend([past_job(EXTRACTOR, 2, true), past_job(EXTRACTOR, 1, true)]);
    objects.push(json!({"kind": "Pod", "metadata": {"name": "p", "namespace": "apps", "labels": {
        "job-name": format!("{FILLER}-1")}}, "status": ended(1)}));
    objects
}

#[test]
fn a_failing_one_is_told_with_its_reason_and_makes_exit_code_1() {
    let api = Api::start(objects(), Moods::default());
    let ran = netpol(&api, &["status"]);
    assert_eq!(ran.code, 1, "{}", ran.all());
    for words in [
        "FAILING",
        "the last 2 finished runs failed",
        "container klines ended with exit code 1; BackoffLimitExceeded: Job has reached the specified backoff limit",
        "next: netpol audit -n apps, netpol smoke -n apps binance-klines-gap-filler-m5",
        "1 of 2 failing",
    ] {
        assert!(ran.out.contains(words), "{words}\n{}", ran.all());
    }
}

#[test]
fn people_see_a_table_and_what_is_wrong() {
    let mut suspended = crate::objects::cron_job("paused", "klines-extractor");
    suspended["spec"]["suspend"] = true.into();
    let mut objects = objects();
    objects.push(suspended);
    let api = Api::start(objects, Moods::default());
    let text = netpol(&api, &["status", "-A"]).out;
    // Times differ from run to run.
    let text: String = text.chars().map(|c| if c.is_ascii_digit() { '#' } else { c }).collect();
    insta::assert_snapshot!(text);
}

#[test]
fn a_narrow_terminal_loses_columns_by_name_and_never_a_state() {
    let api = Api::start(objects(), Moods::default());
    let narrow = command(&api, &["status"]).env("COLUMNS", "80").output().unwrap();
    let text = String::from_utf8(narrow.stdout).unwrap();
    let table: Vec<&str> = text.lines().skip(1).take(4).collect();
    assert!(table.iter().all(|line| line.chars().count() <= 80), "{text}");
    assert!(table[1].contains("FAILING") || table[2].contains("FAILING"), "{text}");
    assert!(table[0].contains("RATE") && !table[0].contains("NEXT RUN"), "{text}");
    assert!(table[3].starts_with("(no room for next run"), "{text}");
}

#[test]
fn counts_and_rates_are_in_the_json() {
    let api = Api::start(objects(), Moods::default());
    let json = netpol(&api, &["status", "--format", "json"]).json();
    let filler = &json["cron_jobs"][0];
    assert_eq!(
        json!([
            filler["name"],
            filler["succeeded"],
            filler["failed"],
            filler["success_percent"],
            filler["failing"]
        ]),
        json!([FILLER, 1, 2, 33, true])
    );
    assert_eq!(filler["last_run"]["outcome"], "failed");
    assert_eq!(json["cron_jobs"][1]["failing"], false);
}

#[test]
fn one_that_is_well_makes_exit_code_0() {
    let api = Api::start(objects(), Moods::default());
    let ran = netpol(&api, &["status", EXTRACTOR]);
    assert_eq!(ran.code, 0, "{}", ran.all());
    assert!(ran.out.contains("none of 1 is failing"), "{}", ran.all());
}

#[test]
fn a_name_that_does_not_exist_is_told_with_those_that_do() {
    let api = Api::start(objects(), Moods::default());
    let ran = netpol(&api, &["status", "binance-klines-gapfiller"]);
    assert_eq!(ran.code, 2);
    insta::assert_snapshot!(ran.err);
}

#[test]
fn without_the_right_to_see_pods_the_rest_is_told() {
    let forbidden = ["list pods"].map(str::to_owned).into();
    let api = Api::start(objects(), Moods { forbidden, ..Moods::default() });
    let ran = netpol(&api, &["status"]);
    assert_eq!(ran.code, 1);
    assert!(
        ran.out.contains("unknown: not allowed to list pods in namespace apps: exit codes are unknown"),
        "{}",
        ran.out
    );
}

/// Reads reports of `--watch` while `change` happens after the first one.
fn watched(moods: Moods, change: impl FnOnce(&Api)) -> (Value, Value) {
    let api = Api::start(objects(), moods);
    let mut child =
        command(&api, &["status", "--watch", "--format", "json"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = || serde_json::from_str::<Value>(&lines.next().unwrap().unwrap()).unwrap();
    let first = next();
    change(&api);
    let mut second = next();
    for _ in 0..5 {
        if second["cron_jobs"] == first["cron_jobs"] {
            second = next();
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
    (first, second)
}

fn repair(api: &Api) {
    let mut state = api.state();
    state.objects.push(past_job(FILLER, 0, true));
    api.shared.touch(&mut state);
}

#[test]
fn a_watch_shows_what_changes() {
    let (first, second) = watched(Moods::default(), repair);
    assert_eq!(
        (&first["cron_jobs"][0]["failing"], &second["cron_jobs"][0]["failing"]),
        (&json!(true), &json!(false))
    );
}

#[test]
fn a_watch_that_expires_goes_on() {
    let (_, second) = watched(Moods { expired_watches: true, ..Moods::default() }, repair);
    assert_eq!(second["cron_jobs"][0]["failing"], false);
}
