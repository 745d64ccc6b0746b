//! `netpol smoke`.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::objects::{ended, incident, job_status, repaired, running};
use crate::run::{command, netpol};
use crate::server::{Api, Moods, Step};

const FILLER: &str = "binance-klines-gap-filler-m5";

fn passing() -> Vec<(u64, Step)> {
    vec![
        (50, Step::Pod(json!({"phase": "Pending"}))),
        (50, Step::Pod(running())),
        (100, Step::Pod(ended(0))),
        (0, Step::Job(job_status(true))),
    ]
}

fn failing() -> Vec<(u64, Step)> {
    vec![(50, Step::Pod(running())), (100, Step::Pod(ended(1))), (0, Step::Job(job_status(false)))]
}

fn lines(lines: &[&str]) -> Vec<(u64, String)> {
    lines.iter().map(|line| (0, (*line).to_owned())).collect()
}

const DNS: &str = "Failed to resolve 'fapi.binance.com' ([Errno -3] Temporary failure in name resolution)";

#[test]
fn a_run_that_succeeds_leaves_nothing_behind() {
    let log = lines(&["fetching", "complete"]);
    let api = Api::start(repaired(), Moods { script: passing(), log, ..Moods::default() });
    let ran = netpol(&api, &["smoke", FILLER]);
    assert_eq!(ran.code, 0, "{}", ran.all());
    insta::assert_snapshot!(ran.out);
    let state = api.state();
    let job = &state.created[0];
    assert_eq!(job["metadata"]["annotations"]["cronjob.kubernetes.io/instantiate"], "manual");
    assert_eq!(job["metadata"]["ownerReferences"][0]["uid"], format!("uid-of-{FILLER}"));
    assert_eq!(state.deleted, [job["metadata"]["name"].as_str().unwrap()]);
    let delete = state.seen.iter().find(|seen| seen.verb == "delete").unwrap();
    assert_eq!(delete.query["propagationPolicy"], "Background");
    assert!(ran.err.contains(&format!("[{FILLER}] klines | complete")), "{}", ran.err);
}

#[test]
fn the_incident_is_explained_when_the_run_fails() {
    let api = Api::start(
        incident(),
        Moods { script: failing(), log: lines(&["starting", DNS]), ..Moods::default() },
    );
    let ran = netpol(&api, &["smoke", FILLER]);
    assert_eq!(ran.code, 1, "{}", ran.all());
    insta::assert_snapshot!(ran.out);
    assert_eq!(api.state().deleted.len(), 1);
}

#[test]
fn the_json_has_outcome_signs_and_diagnosis() {
    let api = Api::start(incident(), Moods { script: failing(), log: lines(&[DNS]), ..Moods::default() });
    let json = netpol(&api, &["smoke", FILLER, "--format", "json"]).json();
    let trial = &json["trials"][0];
    assert_eq!(
        (&trial["outcome"], &trial["exit_code"], &trial["cleaned"]),
        (&json!("failed"), &json!(1), &json!(true))
    );
    assert_eq!(trial["signs"][0]["kind"], "dns");
    assert_eq!(trial["diagnosis"]["blocked"], true);
    assert_eq!(trial["diagnosis"]["findings"][0]["rule"], "NP101");
}

#[test]
fn labels_that_the_pod_really_had_are_judged() {
    let injected = Some(("component", "klines-gap-filler-v2"));
    let api =
        Api::start(repaired(), Moods { script: failing(), injected, log: lines(&[DNS]), ..Moods::default() });
    let ran = netpol(&api, &["smoke", FILLER]);
    assert_eq!(ran.code, 1);
    insta::assert_snapshot!(ran.out);
}

#[test]
fn without_names_and_without_a_policy_in_the_way_it_is_the_resolver() {
    let api = Api::start(repaired(), Moods { script: failing(), log: lines(&[DNS]), ..Moods::default() });
    let ran = netpol(&api, &["smoke", FILLER]);
    assert!(ran.out.contains("policies: the policies allow DNS: look at the resolver"), "{}", ran.all());
}

#[test]
fn a_failure_that_no_policy_explains_is_not_blamed_on_one() {
    let log = lines(&["Traceback: ValueError: bad interval"]);
    let api = Api::start(repaired(), Moods { script: failing(), log, ..Moods::default() });
    let ran = netpol(&api, &["smoke", FILLER]);
    assert_eq!(ran.code, 1);
    assert!(
        ran.out.contains(
            "policies: the policies allow everything that is known of its needs: the cause is elsewhere"
        ),
        "{}",
        ran.all()
    );
}

#[test]
fn a_log_that_comes_slowly_is_read_to_its_end() {
    let log = vec![(150, "one".to_owned()), (300, "two".to_owned()), (600, "three".to_owned())];
    let api = Api::start(repaired(), Moods { script: passing(), log, ..Moods::default() });
    let ran = netpol(&api, &["smoke", FILLER]);
    assert!(ran.err.contains("klines | three"), "{}", ran.all());
}

#[test]
fn a_pod_that_vanishes_is_told_and_the_job_followed_on() {
    let script = vec![(50, Step::Pod(running())), (500, Step::NoPod), (3000, Step::Job(job_status(true)))];
    let api = Api::start(repaired(), Moods { script, ..Moods::default() });
    let ran = netpol(&api, &["smoke", FILLER]);
    assert_eq!(ran.code, 0, "{}", ran.all());
    assert!(ran.out.contains("is gone: evicted, removed by hand, or its node was lost"), "{}", ran.all());
}

#[test]
fn a_job_that_somebody_removes_is_told() {
    let script = vec![(50, Step::Pod(running())), (300, Step::NoJob)];
    let api = Api::start(repaired(), Moods { script, ..Moods::default() });
    let ran = netpol(&api, &["smoke", FILLER]);
    assert_eq!(ran.code, 1);
    assert!(
        ran.out.contains("VANISHED") && ran.out.contains("somebody or something removed it"),
        "{}",
        ran.all()
    );
}

#[test]
fn a_run_that_does_not_end_is_stopped_at_the_deadline() {
    let script = vec![(50, Step::Pod(running()))];
    let api = Api::start(repaired(), Moods { script, ..Moods::default() });
    let ran = netpol(&api, &["smoke", FILLER, "--deadline", "3s"]);
    assert_eq!(ran.code, 1);
    assert!(ran.out.contains("TIMED OUT") && ran.out.contains("not done after 3 s: pod"), "{}", ran.all());
    assert_eq!(api.state().deleted.len(), 1);
}

#[test]
fn a_pod_that_cannot_start_fails_at_once() {
    let waiting = json!({"phase": "Pending", "containerStatuses": [{"name": "klines", "restartCount": 0, "state": {"waiting": {
        "reason": "CreateContainerConfigError", "message": "secret \"binance-extractor-secret\" not found"}}}]});
    let api = Api::start(repaired(), Moods { script: vec![(50, Step::Pod(waiting))], ..Moods::default() });
    let ran = netpol(&api, &["smoke", FILLER]);
    assert_eq!(ran.code, 1);
    let words = "container klines cannot start (CreateContainerConfigError): secret \"binance-extractor-secret\" not found";
    assert!(ran.out.contains(words), "{}", ran.all());
}

#[test]
fn an_expired_watch_loses_nothing() {
    let moods =
        Moods { script: passing(), log: lines(&["complete"]), expired_watches: true, ..Moods::default() };
    let api = Api::start(repaired(), moods);
    let ran = netpol(&api, &["smoke", FILLER]);
    assert_eq!(ran.code, 0, "{}", ran.all());
}

#[test]
fn without_the_right_to_watch_it_looks_again_and_again() {
    let forbidden = ["watch pods"].map(str::to_owned).into();
    let api = Api::start(repaired(), Moods { script: passing(), forbidden, ..Moods::default() });
    assert_eq!(netpol(&api, &["smoke", FILLER]).code, 0);
}

#[test]
fn without_the_right_to_create_jobs_nothing_is_tried() {
    let forbidden = ["create jobs"].map(str::to_owned).into();
    let api = Api::start(repaired(), Moods { forbidden, ..Moods::default() });
    let ran = netpol(&api, &["smoke", FILLER]);
    assert_eq!(ran.code, 2);
    insta::assert_snapshot!(ran.out);
}

#[test]
fn a_log_that_may_not_be_read_is_told() {
    let forbidden = ["get pods/log"].map(str::to_owned).into();
    let api = Api::start(repaired(), Moods { script: passing(), forbidden, ..Moods::default() });
    let ran = netpol(&api, &["smoke", FILLER]);
    assert_eq!(ran.code, 0, "{}", ran.all());
    assert!(ran.out.contains("note: not allowed to read the log (get pods/log) of klines"), "{}", ran.all());
}

#[test]
fn a_job_that_cannot_be_removed_is_told_with_the_way_to() {
    let forbidden = ["delete jobs"].map(str::to_owned).into();
    let api = Api::start(repaired(), Moods { script: passing(), forbidden, ..Moods::default() });
    let ran = netpol(&api, &["smoke", FILLER]);
    assert!(
        ran.out.contains("the Job is still there") && ran.out.contains("kubectl delete job"),
        "{}",
        ran.all()
    );
}

#[test]
fn what_is_to_be_kept_is_kept() {
    let api = Api::start(repaired(), Moods { script: passing(), ..Moods::default() });
    let ran = netpol(&api, &["smoke", FILLER, "--keep"]);
    assert!(
        ran.out.contains("kept: job binance-klines-gap-filler-m5-smoke-SUFFIX in namespace apps"),
        "{}",
        ran.all()
    );
    assert!(api.state().deleted.is_empty());
}

#[test]
fn all_of_them_run_and_no_more_at_a_time_than_asked() {
    let mut objects = repaired();
    for number in 0..4 {
        let mut copy = objects[2].clone();
        copy["metadata"]["name"] = format!("copy-{number}").into();
        objects.push(copy);
    }
    let api = Api::start(objects, Moods { script: passing(), ..Moods::default() });
    let ran = netpol(&api, &["smoke", "--all", "--parallel", "3"]);
    assert_eq!(ran.code, 0, "{}", ran.all());
    assert!(ran.out.contains("6 of 6 succeeded"), "{}", ran.all());
    let state = api.state();
    assert_eq!((state.created.len(), state.deleted.len()), (6, 6));
    assert!(state.most_jobs <= 3, "{}", state.most_jobs);
}

/// Stops the program in the middle of a run.
fn stopped_by(signal: &str) -> (Api, i32) {
    let script = vec![(50, Step::Pod(running()))];
    let api = Api::start(repaired(), Moods { script, ..Moods::default() });
    let mut child = command(&api, &["smoke", "--all", "--parallel", "1"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let begun = Instant::now();
    while api.state().objects.iter().all(|one: &Value| one["kind"] != "Pod")
        && begun.elapsed() < Duration::from_secs(30)
    {
        std::thread::sleep(Duration::from_millis(20));
    }
    let kill = Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
    assert!(kill.success());
    let code = child.wait().unwrap().code().unwrap();
    (api, code)
}

#[test]
fn a_signal_ends_the_trial_and_removes_the_job() {
    for (signal, expected) in [("-TERM", 143), ("-INT", 130)] {
        let (api, code) = stopped_by(signal);
        assert_eq!(code, expected, "{signal}");
        let state = api.state();
        assert_eq!((state.created.len(), state.deleted.len()), (1, 1), "{signal}");
    }
}

#[test]
fn without_names_all_but_the_suspended_ones_are_tried() {
    let mut objects = repaired();
    objects[3]["spec"]["suspend"] = true.into();
    let api = Api::start(objects, Moods { script: passing(), ..Moods::default() });
    let ran = netpol(&api, &["smoke"]);
    assert_eq!(ran.code, 0, "{}", ran.all());
    assert!(ran.out.contains("1 of 1 succeeded"), "{}", ran.all());
    assert!(ran.err.contains("note: binance-klines-m5 is suspended and left out"), "{}", ran.err);
    assert!(netpol(&api, &["smoke", "--all"]).out.contains("2 of 2 succeeded"));
}

#[test]
fn a_namespace_without_cron_jobs_is_told() {
    let api = Api::start(repaired(), Moods::default());
    let ran = netpol(&api, &["smoke", "-n", "kube-system"]);
    assert_eq!(ran.code, 2);
    assert!(
        ran.err.starts_with("error: there are no CronJobs to try in namespace kube-system"),
        "{}",
        ran.err
    );
}
